"""What a source is: something that yields frames, sound, or both, one item at a time.

live source (camera, microphone, stream)      stamps on `time.monotonic_ns`
media source (file, drawn world, folder)      stamps count from 0; the session adds its anchor and paces
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError
from ..results import DropReason, VideoFrame


class SourceLost(CaptureError):
    """A source that was running delivers no more: unplugged, daemon killed, server gone, file cut."""


class EndOfSource(Exception):
    """The source has delivered everything it had."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SoundBlock:
    """A stretch of sound as the source delivered it, mono float32 in [-1, 1]."""

    samples: npt.NDArray[np.float32]  # (n,)
    sample_rate: int
    arrival_ns: int = 0  # when this process held its last sample; 0 for media sources
    start_ns: int | None = None  # of the first sample where the source knows it; None: laid under the arrivals
    overflow: bool = False  # the driver says that sound before this block may be lost

    @property
    def duration_ns(self) -> int:
        """Nominal length of the block."""
        return len(self.samples) * 1_000_000_000 // self.sample_rate


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something was lost inside the source, with its reason."""

    reason: DropReason
    count: int = 1


Item: TypeAlias = VideoFrame | SoundBlock | Dropped


@dataclass(slots=True, kw_only=True)
class SourceInfo:
    """What a source actually delivers; filled by `open()`, refined by the first items."""

    name: str = ""  # as the user wrote it, secrets removed
    kind: str = ""  # "camera" | "microphone" | "file" | "stream" | "synthetic" | "images"
    size_px: tuple[int, int] | None = None  # width, height
    fps: float | None = None  # nominal
    sample_rate: int | None = None  # Hz as captured, before resampling
    channels: int | None = None
    duration_s: float | None = None
    stamp_source: str = ""  # "driver" | "arrival" | "file"
    details: dict[str, str] = field(default_factory=dict)  # codec, driver, host api


class Source(Protocol):
    """One thing to capture from. Every method is called from one thread."""

    info: SourceInfo
    has_picture: bool
    has_sound: bool
    is_live: bool  # True: stamps on the monotonic clock; False: stamps count from 0

    def open(self) -> None:
        """Make ready; raises `CaptureError` that names what was asked, what was found and the repair."""

    def read(self, timeout_s: float) -> Item | None:
        """The next item, or None when none came within about `timeout_s`.

        Raises `EndOfSource` when a file is through and `SourceLost` when a source that ran is gone.
        """

    def close(self) -> bool:
        """Let go of the device. Bounded: False when it did not let go in time. A closed source may be reopened."""
