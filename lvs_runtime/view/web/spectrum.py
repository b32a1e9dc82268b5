"""The page's strip of sound: a few loudness bands, many times a second, from blocks of any length. Pure."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

NUM_BANDS = 64
COLUMNS_PER_SECOND = 32
_LOW_HZ, _HIGH_HZ = 60.0, 8000.0
_FLOOR_DB, _TOP_DB = -90.0, -15.0  # of one band, re full scale


@lru_cache(maxsize=4)
def _bands(sample_rate: int, num_samples: int) -> npt.NDArray[np.float32]:
    """(NUM_BANDS, bins) triangular weights, evenly spaced in the logarithm of frequency, at least one bin wide."""
    edges = np.geomspace(_LOW_HZ, min(_HIGH_HZ, sample_rate / 2), NUM_BANDS + 2)
    bins = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    step = bins[1]
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    low, high = np.minimum(low, mid - step), np.maximum(high, mid + step)
    rise, fall = (bins - low) / (mid - low), (high - bins) / (high - mid)
    weights: npt.NDArray[np.float32] = np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)
    return weights


class Strip:
    """Cuts continuous sound into columns of `NUM_BANDS` bytes (0 quiet, 255 loud)."""

    def __init__(self) -> None:
        self._rate = 0
        self._rest = np.zeros(0, np.float32)
        self._rest_start_ns = 0

    def push(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> list[tuple[int, bytes]]:
        """Columns that are complete now, as (end of column in ns, bytes). A gap or a new rate starts afresh."""
        expected_ns = self._rest_start_ns + len(self._rest) * 1_000_000_000 // sample_rate
        if sample_rate != self._rate or abs(start_ns - expected_ns) > 20_000_000:
            self._rate, self._rest, self._rest_start_ns = sample_rate, np.zeros(0, np.float32), start_ns
        self._rest = np.concatenate([self._rest, samples])
        hop, columns = max(1, sample_rate // COLUMNS_PER_SECOND), []
        while len(self._rest) >= 2 * hop:
            self._rest_start_ns += hop * 1_000_000_000 // sample_rate
            columns.append(
                (self._rest_start_ns + hop * 1_000_000_000 // sample_rate, _column(self._rest[: 2 * hop], sample_rate))
            )
            self._rest = self._rest[hop:]
        return columns


def _column(samples: npt.NDArray[np.float32], sample_rate: int) -> bytes:
    window = np.hanning(len(samples)).astype(np.float32)
    power = np.abs(np.fft.rfft(samples * window) * (2 / window.sum())) ** 2
    db = 10 * np.log10(_bands(sample_rate, len(samples)) @ power + 1e-12)
    return bytes(np.clip((db - _FLOOR_DB) * (255 / (_TOP_DB - _FLOOR_DB)), 0, 255).astype(np.uint8))
