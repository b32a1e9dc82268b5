"""The sound of a recording as windows: one mono track at 16 kHz on the recording's own time, old parts let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..capture.demux import SAMPLE_RATE
from ..capture.mono import MonoMix

Floats = npt.NDArray[np.float32]
_JOINED_S = 0.1  # stamps that wander by less than this are one continuous sound
_MAX_GAP_S = 60.0  # of silence put in for a hole; beyond, the track starts anew there


class Decoded:
    """An audio stream's packets -> (first sample's position, mono samples), positions from the recording's start."""

    def __init__(self, av: Any, stream: Any, start_s: float) -> None:
        self._av, self._stream, self._start_s = av, stream, start_s
        self._resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
        self._mix = MonoMix()
        self.damaged = 0  # packets that could not be decoded

    def blocks(self, packet: Any | None) -> Iterator[tuple[int, Floats]]:
        """What one packet holds; None at the end gives what decoder and resampler still hold."""
        try:
            frames = self._stream.codec_context.decode(packet)
        except self._av.error.FFmpegError:
            self.damaged += 1
            return
        for frame in [*frames, *([None] if packet is None else [])]:
            for out in self._resampled(frame):
                samples = self._mix.mix(out.to_ndarray().T.astype(np.float32, copy=False))
                start_s = float((out.pts or 0) * out.time_base) - self._start_s
                yield round(start_s * SAMPLE_RATE), np.nan_to_num(samples, copy=False)

    def _resampled(self, frame: Any) -> list[Any]:
        try:
            resampled: list[Any] = self._resampler.resample(frame)
        except ValueError:  # rate or channels change in the middle of the stream
            self._resampler = self._av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
            resampled = self._resampler.resample(frame)
        return resampled


class Track:
    """The newest stretch of sound. `more` is called for further sound; it returns False at the end of the recording."""

    def __init__(self, more: Callable[[], bool], keep_s: float) -> None:
        self._more = more
        self._keep = round(keep_s * SAMPLE_RATE)
        self._start: int | None = None  # position of the first sample held
        self._parts: list[Floats] = []
        self._held = 0
        self.ended = False

    @property
    def end_s(self) -> float:
        """Where the sound that was laid down so far ends, s; 0 before there is any."""
        return 0.0 if self._start is None else (self._start + self._held) / SAMPLE_RATE

    def add(self, position: int, samples: Floats) -> None:
        """Lay samples down at `position`: holes become silence, overlaps are cut."""
        if self._start is None:
            self._start = position
        hole = position - (self._start + self._held)
        if abs(hole) < _JOINED_S * SAMPLE_RATE:
            hole = 0
        if hole < 0:
            samples = samples[-hole:]
        elif hole > _MAX_GAP_S * SAMPLE_RATE:
            self._start, self._parts, self._held = position, [], 0
        elif hole:
            samples = np.concatenate([np.zeros(hole, np.float32), samples])
        self._parts.append(samples)
        self._held += len(samples)

    def window(self, begin: int, end: int) -> tuple[int, Floats]:
        """Samples [begin, end) as far as they exist: (position of the first, samples). Begins must not fall."""
        while not self.ended and (self._start is None or self._start + self._held < end):
            self.ended = not self._more()
        if self._start is None:
            return begin, np.empty(0, np.float32)
        self._forget(begin)
        joined = self._joined()
        low, high = max(begin, self._start), min(end, self._start + self._held)
        return low, joined[low - self._start : max(high, low) - self._start]

    def _joined(self) -> Floats:
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0] if self._parts else np.empty(0, np.float32)

    def _forget(self, begin: int) -> None:
        assert self._start is not None
        old = begin - self._keep - self._start
        if old > self._keep:
            self._parts = [self._joined()[old:].copy()]
            self._start, self._held = self._start + min(old, self._held), len(self._parts[0])
