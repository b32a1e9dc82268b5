"""Is anything sounding? A level and a gate with hysteresis: pure functions of samples, no clock, no network."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError

SILENCE_DBFS = -120.0
BLOCK_S = 0.05


def level_dbfs(waveform: npt.NDArray[Any], sample_rate: int) -> float:
    """RMS of the loudest 50 ms block in dBFS: 0 is a full-scale square wave, a full-scale sine -3.01.

    (N,) float in [-1, 1]. Each block's mean is taken off, so that a microphone's constant offset is no sound. The last
    block ends with the last sample. Silence and no samples at all give -120. Raises `ConfigError` on NaN or infinity.
    """
    x = np.asarray(waveform, np.float64)
    if x.ndim != 1 or sample_rate <= 0:
        raise ConfigError(f"level_dbfs: waveform {x.shape}, sample_rate {sample_rate}; want (N,) and a rate in Hz")
    if len(x) == 0:
        return SILENCE_DBFS
    if not np.isfinite(x).all():
        raise ConfigError(f"waveform has {int((~np.isfinite(x)).sum())} samples that are NaN or infinite of {len(x)}")
    size = min(len(x), max(1, round(BLOCK_S * sample_rate)))
    whole = len(x) // size * size
    powers = [x[:whole].reshape(-1, size).var(axis=1).max()]
    if whole < len(x):
        powers.append(x[-size:].var())
    power = float(max(powers))
    return max(SILENCE_DBFS, 10 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


class AudibleGate:
    """Opens at `on_dbfs`, closes below `off_dbfs`; in between it keeps its state: no flicker in a fade."""

    def __init__(self, on_dbfs: float, off_dbfs: float) -> None:
        """Raises `ConfigError` unless `off_dbfs <= on_dbfs`. Starts closed."""
        if not off_dbfs <= on_dbfs:
            raise ConfigError(f"gate: off {off_dbfs} dBFS must not be above on {on_dbfs} dBFS")
        self.on_dbfs = on_dbfs
        self.off_dbfs = off_dbfs
        self.audible = False

    def update(self, level: float) -> bool:
        """Take the newest level in dBFS, return whether something sounds."""
        self.audible = level >= (self.off_dbfs if self.audible else self.on_dbfs)
        return self.audible
