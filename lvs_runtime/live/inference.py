"""One frame and its sound to one result: every stage stamped, every condition named."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..gate import SILENCE_DBFS, AudibleGate, level_dbfs
from ..localizer import Localizer
from ..results import AudioWindow, DropReason, Result, VideoFrame
from . import flags as names
from .flags import Flags
from .hearing import Ears, Heard, Hearing
from .smoothing import Smoother
from .stats import StatsCollector

_LEVEL_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """A frame on its way to inference; its age counts from `due_ns` on the real clock."""

    frame: VideoFrame
    due_ns: int


class Inference:
    """Not thread-safe: belongs to the inference thread (gate and smoother have a memory)."""

    def __init__(
        self, localizer: Localizer, ears: Ears, smoother: Smoother, stats: StatsCollector, flags: Flags
    ) -> None:
        self._localizer, self._ears, self._stats, self._flags = localizer, ears, stats, flags
        self._smoother = smoother
        self._size_px = (0, 0)
        self._grid = localizer.bundle.image.grid
        thresholds = localizer.thresholds
        self._gate = AudibleGate(thresholds["audible_on_dbfs"], thresholds["audible_off_dbfs"])

    def run(self, offered: Offered, other_drops: dict[str, int]) -> tuple[Result, Heard]:
        """The result of one frame. `other_drops`: losses that sinks counted."""
        frame = offered.frame
        begin_ns = time.monotonic_ns()
        picture = self._localizer.prepare_image(frame.image_bgr)
        prepared_ns = time.monotonic_ns()
        image_embedding = self._localizer.embed_prepared(picture)
        seen_ns = time.monotonic_ns()
        heard = self._ears.hear(frame.capture_ns, begin_ns)
        hearing = heard.hearing
        level = _level(hearing.window) if hearing else SILENCE_DBFS
        audible = self._gate.update(level)
        heard_ns = time.monotonic_ns()
        size_px = (frame.image_bgr.shape[1], frame.image_bgr.shape[0])
        similarity_map = self._similarity(image_embedding, hearing, audible, size_px, frame.capture_ns)
        head_ns = time.monotonic_ns()
        window = hearing.window if hearing else None
        if window is not None and window.gap_samples:
            self._stats.drop(DropReason.AUDIO_GAP)
        result = self._localizer.result(
            similarity_map,
            size_px,
            level,
            audible=audible and hearing is not None,
            frame_index=frame.index,
            capture_ns=frame.capture_ns,
            arrival_ns=frame.arrival_ns,
            audio_start_ns=window.start_ns if window else frame.capture_ns,
            audio_end_ns=window.end_ns if window else frame.capture_ns,
            stamp_source=frame.stamp_source,
            frame_id=frame.frame_id,
            source_stamp_ns=frame.source_stamp_ns,
            gap_samples=window.gap_samples if window else 0,
            stages_ms={
                "wait": (begin_ns - offered.due_ns) / 1e6,
                "pre": (prepared_ns - begin_ns) / 1e6,
                "image": (seen_ns - prepared_ns) / 1e6,
                "audio": (heard_ns - seen_ns) / 1e6,
                "head": (head_ns - heard_ns) / 1e6,
            },
            drops=_sum(self._stats.drops(), other_drops),
            flags=self._conditions(hearing),
        )
        # Media stamps count from the session's anchor, not from when this machine got round to the frame: what the
        # result is handed over with is the time since the frame was due.
        shift_ns = offered.due_ns - frame.capture_ns
        return replace(result, output_ns=result.output_ns - shift_ns), heard

    def _similarity(
        self,
        image_embedding: npt.NDArray[np.float32],
        hearing: Hearing | None,
        audible: bool,
        size_px: tuple[int, int],
        stamp_ns: int,
    ) -> npt.NDArray[np.float32]:
        """The map, smoothed while one picture goes on and something sounds."""
        if not (hearing and audible) or size_px != self._size_px:
            self._smoother.reset()
        self._size_px = size_px
        if hearing is None:
            self._stats.drop(DropReason.NO_AUDIO)
            return np.zeros((self._grid, self._grid), np.float32)
        return self._smoother.update(self._localizer.similarity(image_embedding, hearing.embedding), stamp_ns)

    def _conditions(self, hearing: Hearing | None) -> tuple[str, ...]:
        here = [] if hearing else [names.NO_AUDIO]
        if hearing and hearing.window.gap_samples:
            here.append(names.AUDIO_GAP)
        return tuple(sorted({*self._flags.active(), *here}))


def _level(window: AudioWindow) -> float:
    """Of the newest half second that the result rests on."""
    return level_dbfs(window.waveform[-round(_LEVEL_S * window.sample_rate) :], window.sample_rate)


def _sum(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in sorted({*first, *second})}
