"""The sound of a recording as windows: one mono track at 16 kHz on the recording's own time, old parts let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..capture.demux import SAMPLE_RATE
from ..capture.mono import MonoMix

Floats = npt.NDArray[np.float32]
_BLOCK = SAMPLE_RATE // 5  # samples that are mixed at once
_JOINED = SAMPLE_RATE // 10  # stamps that wander by fewer samples than this are one continuous sound
_MAX_GAP_S = 60.0  # of silence put in for a hole; beyond, the track starts anew there


class Decoded:
    """An audio stream's packets -> (first sample's position, mono samples), positions from the recording's start."""

    def __init__(self, av: Any, stream: Any, start_s: float) -> None:
        self._av, self._stream, self._start_s = av, stream, start_s
        self._resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
        self._mix = MonoMix()
        self._joined: list[Floats] = []  # (channels, n) each, one behind the other
        self._start = self._end = 0  # positions of what is joined
        self.damaged = 0  # packets that could not be decoded

    def blocks(self, packet: Any | None) -> Iterator[tuple[int, Floats]]:
        """What is whole with this packet; None at the end gives what decoder, resampler and this still hold.

        A packet holds some 20 ms: a fifth of a second of them is mixed at once, which saves half of all the time.
        """
        try:
            frames = self._stream.codec_context.decode(packet)
        except self._av.error.FFmpegError:
            self.damaged += 1
            return
        for frame in [*frames, *([None] if packet is None else [])]:
            for out in self._resampled(frame):
                samples = out.to_ndarray()
                position = round(((out.pts or 0) * float(out.time_base) - self._start_s) * SAMPLE_RATE)
                apart = abs(position - self._end) >= _JOINED
                if self._joined and (apart or len(samples) != len(self._joined[0])):
                    yield self._mixed()
                if not self._joined:
                    self._start = self._end = position
                self._joined.append(samples)
                self._end += samples.shape[1]
        if self._joined and (packet is None or self._end - self._start >= _BLOCK):
            yield self._mixed()

    def _mixed(self) -> tuple[int, Floats]:
        whole = np.concatenate(self._joined, axis=1).astype(np.float32, copy=False)
        self._joined = []
        return self._start, np.nan_to_num(self._mix.mix(whole.T), copy=False)

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
        if abs(hole) < _JOINED:
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
