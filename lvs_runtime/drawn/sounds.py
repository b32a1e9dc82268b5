"""The sound of every class, and how loud a sound is.

sound(rng, num_samples) -> (num_samples,) float32 at 16 kHz, any scale, no fade; `level` puts it into dBFS
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .synthesis import SAMPLE_RATE, Wave, bell, bird, clock, drum, engine, kettle, siren, voice

SOUNDS: dict[str, Callable[[np.random.Generator, int], Wave]] = {
    "bell": bell,
    "drum": drum,
    "siren": siren,
    "engine": engine,
    "bird": bird,
    "voice": voice,
    "clock": clock,
    "kettle": kettle,
}


def loudest_dbfs(wave: Wave) -> float:
    """RMS of the loudest 50 ms block in dBFS, -120 for digital silence."""
    block = SAMPLE_RATE // 20
    whole = wave[: wave.size // block * block].reshape(-1, block) if wave.size >= block else wave[None, :]
    power = float(np.einsum("ij,ij->i", whole, whole).max()) / whole.shape[1]
    return max(-120.0, 10 * float(np.log10(power))) if power > 0 else -120.0


def level(wave: Wave, dbfs: float) -> Wave:
    """Scale so that the loudest 50 ms block has `dbfs`, or as near as a peak of 0.97 allows."""
    gain = 10 ** ((dbfs - loudest_dbfs(wave)) / 20)
    peak = float(np.abs(wave).max())
    return wave * np.float32(min(gain, 0.97 / max(peak, 1e-9)))


def room_noise(rng: np.random.Generator, num_samples: int, dbfs: float) -> Wave:
    """Noise of a random colour (flat to brown) whose loudest 50 ms block has `dbfs`."""
    freq = np.arange(num_samples // 2 + 1, dtype=np.float32)
    tilt = (freq + np.float32(num_samples / 400)) ** np.float32(-rng.uniform(0.0, 1.0))
    draws = rng.standard_normal((2, freq.size), dtype=np.float32)
    spectrum = (draws[0] + 1j * draws[1]) * tilt
    return level(np.fft.irfft(spectrum, num_samples).astype(np.float32), dbfs)
