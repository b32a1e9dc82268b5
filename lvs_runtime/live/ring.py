"""The newest stretch of sound, addressed by stamp. Thread-safe, pure: no clock, no waiting."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from ..results import AudioWindow
from .clock import TimeLine


class AudioRing:
    """Keeps at least the last `keep_s` seconds of one mono stream and cuts windows out of it by time.

    Samples are counted from 0; `timeline` says when sample n began. Lost sound is kept as zeros whose places are
    known, so that every window can say how much of it is not real.
    """

    def __init__(self, sample_rate: int = 16_000, keep_s: float = 30.0) -> None:
        self.sample_rate = sample_rate
        self._keep = round(keep_s * sample_rate)
        self._data = np.zeros(2 * self._keep, np.float32)
        self._first = 0  # count of _data[0]
        self._used = 0
        self._gaps: list[tuple[int, int]] = []  # counts, half open
        self._timeline: TimeLine | None = None
        self._lock = threading.Lock()

    @property
    def end_count(self) -> int:
        """Samples so far, zeros for lost sound included."""
        return self._first + self._used

    @property
    def newest_ns(self) -> int | None:
        """Stamp at the end of the newest sample, None before the first."""
        with self._lock:
            return self._timeline.ns_at(self._first + self._used) if self._timeline and self._used else None

    def append(self, samples: npt.NDArray[np.float32], timeline: TimeLine) -> int:
        """Add (n,) float32 sound; `timeline` holds from now on for all samples. Returns the stamp of the first one."""
        with self._lock:
            self._timeline = timeline
            start_ns = timeline.ns_at(self._first + self._used)
            self._put(samples)
            return start_ns

    def append_gap(self, num_samples: int) -> None:
        """Sound of this length was lost after the newest sample."""
        with self._lock:
            start = self._first + self._used
            # More than the ring holds pushes everything out; the count still goes on.
            for left in range(num_samples, 0, -self._keep):
                self._put(np.zeros(min(left, self._keep), np.float32))
            self._gaps.append((start, start + num_samples))

    def insert_gap(self, count: int, num_samples: int, timeline: TimeLine) -> None:
        """Sound was lost before sample `count`, as is known only now: later samples move back by `num_samples`."""
        with self._lock:
            self._timeline = timeline
            position = min(max(count - self._first, 0), self._used)
            later = self._data[position : self._used].copy()
            self._used = position
            at = self._first + position
            self._gaps = [part for gap in self._gaps for part in _moved(gap, at, num_samples)]
            for left in range(num_samples, 0, -self._keep):
                self._put(np.zeros(min(left, self._keep), np.float32))
            self._put(later)
            self._gaps.append((at, at + num_samples))

    def window(self, end_ns: int, num_samples: int) -> AudioWindow | None:
        """At most `num_samples` ending at `end_ns` or at the newest sample before it; None when none is there.

        Shorter than asked only at the start of the stream. `start_ns` and `end_ns` of the window are those of its
        samples, so a window that had to end early shows it.
        """
        with self._lock:
            if self._timeline is None:
                return None
            end = min(round(self._timeline.count_at(end_ns)), self._first + self._used)
            start = max(end - num_samples, self._first)
            if start >= end:
                return None
            return AudioWindow(
                waveform=self._data[start - self._first : end - self._first].copy(),
                sample_rate=self.sample_rate,
                start_ns=self._timeline.ns_at(start),
                end_ns=self._timeline.ns_at(end),
                gap_samples=sum(max(0, min(b, end) - max(a, start)) for a, b in self._gaps),
            )

    def _put(self, samples: npt.NDArray[np.float32]) -> None:
        while len(samples):
            room = len(self._data) - self._used
            if room == 0:
                moved = self._used - self._keep
                self._data[: self._keep] = self._data[moved : self._used].copy()
                self._first, self._used = self._first + moved, self._keep
                self._gaps = [(a, b) for a, b in self._gaps if b > self._first]
                room = len(self._data) - self._used
            piece = samples[:room]
            self._data[self._used : self._used + len(piece)] = piece
            self._used += len(piece)
            samples = samples[len(piece) :]


def _moved(gap: tuple[int, int], at: int, by: int) -> list[tuple[int, int]]:
    """What becomes of a gap when `by` samples are put in at `at`: stays, moves, or is split around them."""
    start, end = gap
    if end <= at:
        return [gap]
    if start >= at:
        return [(start + by, end + by)]
    return [(start, at), (at + by, end + by)]
