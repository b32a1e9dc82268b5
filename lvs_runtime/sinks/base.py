"""What a sink is: somewhere results go. One small protocol, called in the sink's own worker thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..results import AudioWindow, Result, VideoFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """What a sink is told once, before the first result. Everything has a default: not every caller knows all."""

    source: str = ""  # camera or file, as the user named it
    audio_source: str = ""  # microphone, as the user named it; "" when there is no sound
    size_px: tuple[int, int] | None = None  # width, height, when known before the first frame
    fps: float | None = None  # nominal; the frames' own stamps rule
    sample_rate: int | None = None  # of `write_audio`; None: no continuous sound will come (mp4 without a sound track)
    provider: str = ""
    precision: str = ""
    device: str = ""  # what the user asked: "cpu" | "cuda" | "auto"
    bundle_name: str = ""
    is_live: bool = True  # False: a file, whose stamps may run faster or slower than the clock
    wall_offset_ns: int = 0  # wall clock minus monotonic clock at the start: turns stamps into dates
    thresholds: Mapping[str, float] = field(default_factory=dict)  # of the bundle's manifest

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "source": self.source,
            "audio_source": self.audio_source,
            "size_px": list(self.size_px) if self.size_px else None,
            "fps": self.fps,
            "sample_rate": self.sample_rate,
            "provider": self.provider,
            "precision": self.precision,
            "device": self.device,
            "bundle_name": self.bundle_name,
            "is_live": self.is_live,
            "wall_offset_ns": self.wall_offset_ns,
            "thresholds": dict(self.thresholds),
        }


@runtime_checkable
class ResultSink(Protocol):
    """Somewhere results go. `SinkQueue` calls every method from one worker thread, in order.

    Each method raises `SinkError` when the output is gone for good (disk full, port taken); the sink then gets
    `close()` and nothing more, and the session goes on without it.
    """

    name: str  # as the user wrote it, for messages: "web:8080", "out.mp4"
    queue_size: int  # results that may wait; a full queue drops its oldest result
    wants_stop: bool  # the user asked here for the session to end (window: q, Esc, closed)

    def open(self, info: SessionInfo) -> None:
        """Make ready; raise `SinkError` with the repair when that cannot be."""

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """One result with the frame it belongs to, and the sound it was made from where the caller has it."""

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Continuous sound, mono (n,) in [-1, 1], first sample at `start_ns`; for recordings and meters."""

    def close(self) -> None:
        """Finish the output. Called once, also after an error; a second call does nothing."""
