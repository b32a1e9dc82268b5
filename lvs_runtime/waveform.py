"""From what a caller has (any rate, any channels) to one channel at the network's rate, or a clear error."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError, DataError

MAX_CHANNELS = 8
_INT16_SCALE = 16.0  # no float waveform is this loud: these are integers in a float array


def mono(waveform: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """(N,), (N, channels) or (channels, N) float in [-1, 1] -> (N,) float32, channels averaged.

    Raises `DataError` when empty; `ConfigError` on integers, NaN, infinity, integers disguised as floats, or more
    than `MAX_CHANNELS` channels.
    """
    x = np.asarray(waveform)
    if x.size == 0:
        raise DataError(f"waveform has shape {x.shape}: it is empty; is there sound at this place of the clip?")
    if x.dtype.kind != "f":
        raise ConfigError(f"waveform is {x.dtype}; want float in [-1, 1]: for int16, x.astype('float32') / 32768")
    if x.ndim not in (1, 2) or (x.ndim == 2 and min(x.shape) > MAX_CHANNELS):
        raise ConfigError(f"waveform has shape {x.shape}; want (N,) or (N, channels), at most {MAX_CHANNELS} channels")
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).sum())
        raise ConfigError(f"waveform has {bad} of {x.size} samples NaN or infinite; np.nan_to_num makes them 0")
    peak = float(np.abs(x).max())
    if peak > _INT16_SCALE:
        raise ConfigError(f"waveform reaches {peak:g}; want [-1, 1]: for int16 values, divide by 32768")
    if x.ndim == 2:
        x = x.mean(axis=int(x.shape[1] <= x.shape[0]), dtype=np.float64)
    return np.ascontiguousarray(x, np.float32)


def checked_rate(rate_hz: object) -> int:
    """`rate_hz` as an int when it is a whole number of Hz that sound can have, else `ConfigError`."""
    whole = isinstance(rate_hz, (int, np.integer)) or (isinstance(rate_hz, float) and rate_hz.is_integer())
    rate = int(rate_hz) if whole else 0  # type: ignore[call-overload]
    if not 1000 <= rate <= 768_000:
        raise ConfigError(f"sample_rate {rate_hz!r}: want a whole number of Hz from 1000 to 768000, e.g. 16000")
    return rate


def resample(waveform: npt.NDArray[np.float32], rate_hz: int, wanted_hz: int) -> npt.NDArray[np.float32]:
    """(N,) at `rate_hz` -> (about N * wanted / rate,) at `wanted_hz`; untouched when they are equal."""
    rate = checked_rate(rate_hz)
    if rate == wanted_hz:
        return waveform
    try:
        import soxr
    except ImportError as error:
        raise ConfigError(
            f"sample_rate {rate_hz}: the network hears {wanted_hz} Hz and soxr, which converts, is not installed: "
            f"pip install 'lvs[live]', or hand over {wanted_hz} Hz"
        ) from error
    converted: npt.NDArray[np.float32] = soxr.resample(waveform, rate, wanted_hz)
    if len(converted) == 0:
        raise DataError(f"waveform has {len(waveform)} samples at {rate_hz} Hz: too few to have any at {wanted_hz} Hz")
    return converted
