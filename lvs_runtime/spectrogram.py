"""The log spectrogram in numpy: the oracle that the torch and ONNX front ends are held to.

    frame t   x[t * hop : t * hop + n_fft], its own mean taken off, times a periodic Tukey(0.25) window
    P[k, t] = c_k |rfft(frame t)[k]|^2 / (sample_rate * sum(window^2)),  c = 2, but 1 for the first and the last bin
    out     = log(P + floor) / scale

This is `log(scipy.signal.spectrogram(x, 16000, nperseg=512, noverlap=274) + 1e-7) / 12`: no padding, no centring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError
from .spec import AudioSpec

_FRAMES_AT_ONCE = 1024  # bounds the working memory to about 10 MB, however long the sound


def tukey(num_samples: int, alpha: float = 0.25) -> npt.NDArray[np.float64]:
    """Periodic Tukey window (num_samples,), scipy's `('tukey', alpha)` with `fftbins=True`."""
    n = np.arange(num_samples, dtype=np.float64)
    edge = alpha * num_samples / 2
    rise = 0.5 * (1 + np.cos(np.pi * (n / edge - 1)))
    fall = 0.5 * (1 + np.cos(np.pi * (n / edge - 2 / alpha + 1)))
    return np.where(n < edge, rise, np.where(n <= num_samples - edge, 1.0, fall))


def log_spectrogram(waveform: npt.NDArray[Any], spec: AudioSpec | None = None) -> npt.NDArray[np.float32]:
    """Waveform (N,) float at `spec.sample_rate`, clipped to [-1, 1] -> (num_bins, frames) float32, float64 inside.

    Silence is log(1e-7) / 12 = -1.3432 everywhere. Raises `DataError` when it is not one channel, holds NaN or
    infinity, or is shorter than one frame (`fit_length` tiles a short sound).
    """
    spec = spec or AudioSpec()
    x = _checked(waveform, at_least=spec.n_fft, repair="repeat it first: fit_length(waveform, spec.num_samples)")
    x = np.clip(x.astype(np.float64), -1.0, 1.0)
    window = tukey(spec.n_fft)
    gain = np.full(spec.num_bins, 2.0 / (spec.sample_rate * np.square(window).sum()))
    gain[[0, -1]] /= 2
    frames = np.lib.stride_tricks.sliding_window_view(x, spec.n_fft)[:: spec.hop_length]
    out = np.empty((spec.num_bins, len(frames)), np.float32)
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        part = frames[start : start + _FRAMES_AT_ONCE]
        spectrum = np.fft.rfft((part - part.mean(1, keepdims=True)) * window, axis=1)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)) * gain
        out[:, start : start + len(part)] = (np.log(power + spec.floor) / spec.scale).T
    return out


def fit_length(waveform: npt.NDArray[Any], num_samples: int) -> npt.NDArray[Any]:
    """Exactly `num_samples` samples: a short sound is repeated, a long one cut at its end (the official rule).

    (N,) -> (num_samples,), same dtype. Raises `DataError` when there is no sample to repeat.
    """
    x = np.asarray(waveform)
    if x.ndim != 1 or len(x) == 0:
        raise DataError(f"waveform has shape {x.shape}; at least one sample of one channel, shape (N,), is needed")
    return x[:num_samples] if len(x) >= num_samples else np.resize(x, num_samples)


def _checked(waveform: npt.NDArray[Any], *, at_least: int, repair: str) -> npt.NDArray[Any]:
    x = np.asarray(waveform)
    if x.ndim != 1:
        raise DataError(f"waveform has shape {x.shape}; want one channel, shape (N,): average the channels first")
    if len(x) < at_least:
        raise DataError(f"waveform has {len(x)} samples; one spectrogram frame needs {at_least}: {repair}")
    if x.dtype.kind != "f":
        raise DataError(f"waveform is {x.dtype}; want float in [-1, 1]: for int16, x.astype('float32') / 32768")
    if not np.isfinite(x).all():
        raise DataError(f"waveform has {int((~np.isfinite(x)).sum())} samples that are NaN or infinite of {len(x)}")
    return x
