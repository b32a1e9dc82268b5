"""What the modes that run a `LiveSession` have in common: watching its results, and what is kept of a run.

The session is the product's own class, not a copy of its loop; it sees pushed data or devices and a counted localizer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .rows import NONE_NS, Recorder, Rows

if TYPE_CHECKING:
    from ..live.stats import SessionStats
    from ..results import Result

SUPERSEDED = "superseded"
NO_AUDIO = "no_audio"


class Watch:
    """`on_result` of one session: each result becomes a row. Called in the inference thread alone."""

    def __init__(self, capacity: int, stream: int = 0) -> None:
        self.recorder = Recorder(capacity)
        self._stream = stream
        self.provider = ""
        self.stamp_source = ""

    def __call__(self, result: Result) -> None:
        """Record one result."""
        wait_ms = result.stages_ms.get("wait", 0.0)
        publish_ms = (time.monotonic_ns() - result.output_ns) / 1e6  # from the stamp to whoever listens
        self.recorder.add(
            result.frame_index,
            result.capture_ns,
            result.capture_ns + round(wait_ms * 1e6),
            result.output_ns,
            stream=self._stream,
            audio_end_ns=NONE_NS if NO_AUDIO in result.flags else result.audio_end_ns,
            stages_ms={**result.stages_ms, "publish": publish_ms},
        )
        self.provider, self.stamp_source = result.provider, result.stamp_source


@dataclass(kw_only=True)
class SessionRun:
    """Everything that a report is made of."""

    rows: Rows
    dropped: dict[tuple[int, int], tuple[int, str]]
    offered: int
    unusable: dict[str, int] = field(default_factory=dict)  # frames without a number, by reason; part of `offered`
    in_flight: int = 0
    start_ns: int = 0  # of the kept part
    end_ns: int = 0
    warmup_frames: int = 0
    warmup_ms: float = 0.0
    first_result_ms: float | None = None  # devices: from the session's start
    sources: list[dict[str, Any]] = field(default_factory=list)  # what the devices say of themselves
    partial: bool = False
    inferences: int = 0  # pictures encoded in the kept part
    audio_ms: Any = field(default_factory=lambda: np.empty(0))
    audio: dict[str, Any] = field(default_factory=dict)
    stamp_source: str = ""
    feeder_cpu_ns: int = 0
    feeder_late_ms: Any = field(default_factory=lambda: np.empty(0))
    flags_seen: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def merge(watches: list[Watch]) -> Rows:
    """The rows of all sessions, in the order of their hand-over."""
    data = np.concatenate([watch.recorder.rows().data for watch in watches])
    rows = Rows(data)
    return Rows(data[np.argsort(rows["out_ns"], kind="stable")])


def audio_block(stats: list[SessionStats], audio_ms: Any, seconds: float) -> dict[str, Any]:
    """The `audio` block of a report."""
    return {
        "windows": len(audio_ms),
        "inferences_hz": round(len(audio_ms) / seconds, 3) if seconds > 0 else None,
        "gaps": sum(s.audio_gaps for s in stats),
        "results_without_sound": sum(s.drops.get(NO_AUDIO, 0) for s in stats),
        "lost_samples": None,  # the session counts gaps, not what lies in them
        "drift_ppm": round(stats[0].drift_ppm, 1) if stats else None,
    }
