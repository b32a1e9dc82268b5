"""Streaming resampling to 16 kHz: an own polyphase FIR where the rate divides, soxr elsewhere.

The FIR delivers its newest sample 2 ms late (193 taps at 48 kHz); soxr's best stream mode withholds 21 ms, which is
all the skew that a live pair may have. Both keep sample positions exact: `shift_in` says by how much.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError, ConfigError

_CUT_HZ = 7_600.0
_TAPS_PER_PHASE = 64
_KAISER_BETA = 8.0


class StreamResampler(Protocol):
    """Turns blocks at one rate into blocks at another, keeping state between calls."""

    shift_in: float  # output sample k lies at input sample k * ratio - shift_in
    ratio: float  # input samples per output sample

    def process(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n,) in, (m,) out; m may be 0."""


class Passthrough:
    """The rates are equal."""

    shift_in = 0.0
    ratio = 1.0

    def process(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The same samples."""
        return samples


class FirDecimator:
    """Low pass at 7.6 kHz (at 16 kHz output) and every `factor`-th sample: linear phase, any block length."""

    def __init__(self, factor: int, rate_in: int) -> None:
        num_taps = _TAPS_PER_PHASE * factor + 1
        position = np.arange(num_taps) - (num_taps - 1) / 2
        cut = _CUT_HZ * (rate_in / factor / 16_000) / rate_in
        taps = 2 * cut * np.sinc(2 * cut * position) * np.kaiser(num_taps, _KAISER_BETA)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._factor = factor
        self._held = np.zeros(num_taps - 1, np.float32)
        self.shift_in = (num_taps - 1) / 2
        self.ratio = float(factor)

    def process(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n,) in, about (n / factor,) out."""
        held = np.concatenate([self._held, samples])
        num_taps = len(self._taps)
        if len(held) < num_taps:
            self._held = held
            return np.empty(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(held, num_taps)[:: self._factor]
        self._held = held[len(windows) * self._factor :]
        return np.asarray(windows @ self._taps, np.float32)


class SoxrResampler:
    """soxr's stream at LQ: 6 ms late, positions exact."""

    shift_in = 0.0

    def __init__(self, rate_in: int, rate_out: int) -> None:
        try:
            import soxr
        except ImportError as error:
            raise CaptureError(
                f"sound at {rate_in} Hz: only whole multiples of {rate_out} Hz are resampled without soxr, which is "
                f"not installed. Install it: pip install 'lvs[live]', or choose a microphone rate of 48000"
            ) from error
        self._stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="LQ")
        self.ratio = rate_in / rate_out

    def process(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n,) in, (m,) out in bursts."""
        return np.asarray(self._stream.resample_chunk(samples), np.float32)


def stream_resampler(rate_in: int, rate_out: int = 16_000) -> StreamResampler:
    """The resampler for these rates. `ConfigError` outside 1...768 kHz; `CaptureError` where soxr is missing."""
    if not 1_000 <= rate_in <= 768_000:
        raise ConfigError(f"sound at {rate_in} Hz: want 1000 to 768000 Hz")
    if rate_in == rate_out:
        return Passthrough()
    if rate_in % rate_out == 0 and rate_in // rate_out <= 12:
        return FirDecimator(rate_in // rate_out, rate_in)
    return SoxrResampler(rate_in, rate_out)
