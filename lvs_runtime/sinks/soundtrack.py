"""Blocks of sound with stamps become one unbroken track that starts with the first picture. Pure: no clock, no file.

pictures     t0 ─────p─────p─────p────────►
blocks    ▒▒▒▓▓▓▓▓▓▓▓      ▓▓▓▓▓▓            ▒ before t0: cut   (gap): zeros   overlap: cut
track        ▓▓▓▓▓▓▓▓000000▓▓▓▓▓▓
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

_TOLERANCE_NS = 20_000_000  # stamps of joined blocks wobble by a few ms; more than this is a gap or an overlap
_MAX_EARLY_SECONDS = 5.0  # sound kept while the first picture has not come


class Soundtrack:
    """Mono float32 track. `gap_s` counts seconds of zeros put in, `cut_s` seconds of sound left out."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.gap_s = 0.0
        self.cut_s = 0.0
        self._start_ns: int | None = None
        self._early: list[tuple[npt.NDArray[np.float32], int]] = []
        self._zeros = np.zeros(sample_rate, np.float32)  # one second, shared: an hour's gap costs no memory
        self._waiting: deque[npt.NDArray[np.float32]] = deque()
        self._num_waiting = 0
        self._end = 0  # samples in the track so far, taken or waiting

    @property
    def end_ns(self) -> int:
        """Where the track ends, on the clock of the stamps (0 before `start`)."""
        return 0 if self._start_ns is None else self._start_ns + self._to_ns(self._end)

    def start(self, start_ns: int) -> None:
        """The first picture's stamp: the track begins there."""
        self._start_ns = start_ns
        early, self._early = self._early, []
        for samples, stamp_ns in early:
            self.push(samples, stamp_ns)

    def push(self, samples: npt.NDArray[np.float32], start_ns: int) -> None:
        """Add one block, mono (n,), first sample at `start_ns`."""
        if self._start_ns is None:
            self._keep_early(samples, start_ns)
            return
        off_ns = start_ns - self.end_ns
        first = self._end == 0  # at the very start there is nothing to join: place it to the sample
        if off_ns > (0 if first else _TOLERANCE_NS):
            self._silence(self._to_samples(off_ns))
        elif off_ns < -(0 if first else _TOLERANCE_NS):
            cut = min(len(samples), self._to_samples(-off_ns))
            samples = samples[cut:]
            self.cut_s += cut / self.sample_rate
        self._append(samples)

    def fill_to(self, stamp_ns: int) -> None:
        """Zeros up to `stamp_ns`, where sound has stopped coming."""
        if self._start_ns is not None and stamp_ns > self.end_ns:
            self._silence(self._to_samples(stamp_ns - self.end_ns))

    def take(self, num_samples: int) -> npt.NDArray[np.float32] | None:
        """The next `num_samples` of the track, or None while there are fewer."""
        if self._num_waiting < num_samples:
            return None
        parts, missing = [], num_samples
        while missing:
            block = self._waiting.popleft()
            parts.append(block[:missing])
            if len(block) > missing:
                self._waiting.appendleft(block[missing:])
            missing -= len(parts[-1])
        self._num_waiting -= num_samples
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def rest(self) -> npt.NDArray[np.float32]:
        """Everything that is left, (n,), n may be 0."""
        left = self.take(self._num_waiting) if self._num_waiting else None
        return np.zeros(0, np.float32) if left is None else left

    def _keep_early(self, samples: npt.NDArray[np.float32], start_ns: int) -> None:
        self._early.append((samples, start_ns))
        while sum(len(s) for s, _ in self._early) > _MAX_EARLY_SECONDS * self.sample_rate:
            self._early.pop(0)

    def _silence(self, num_samples: int) -> None:
        self.gap_s += num_samples / self.sample_rate
        while num_samples > 0:
            self._append(self._zeros[:num_samples])
            num_samples -= len(self._zeros)

    def _append(self, samples: npt.NDArray[np.float32]) -> None:
        if len(samples):
            self._waiting.append(samples)
            self._num_waiting += len(samples)
            self._end += len(samples)

    def _to_ns(self, num_samples: int) -> int:
        return num_samples * 1_000_000_000 // self.sample_rate

    def _to_samples(self, ns: int) -> int:
        return round(ns * self.sample_rate / 1e9)
