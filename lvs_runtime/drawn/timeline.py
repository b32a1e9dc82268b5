"""Who sounds when in a scene, and the soundtrack that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sounds import SOUNDS, level, room_noise
from .synthesis import SAMPLE_RATE, Wave

ROOM_DBFS = -65.0
PAUSE_S = 1.5  # length of the silence and of the off-screen sound
TURN_S = 1.75  # length that an object's turn aims at
FADE_S = 0.03


@dataclass(frozen=True, slots=True)
class Turn:
    """What is heard from `start_s` to `end_s`: `name` None is silence; `actor` None is nothing in the picture."""

    start_s: float
    end_s: float
    name: str | None
    actor: int | None


def make_timeline(rng: np.random.Generator, names: list[str], absent: str, seconds: float) -> tuple[Turn, ...]:
    """Turns of the four objects in a random order, again and again, with silence and off-screen sound among them."""
    pause_s = min(PAUSE_S, 0.15 * seconds)
    count = max(2, round((seconds - 2 * pause_s) / TURN_S))
    lengths = rng.uniform(0.92, 1.08, count)
    lengths *= (seconds - 2 * pause_s) / lengths.sum()
    order = [int(k) for k in rng.permutation(len(names))]
    parts: list[tuple[str | None, int | None, float]] = [
        (names[order[k % 4]], order[k % 4], float(lengths[k])) for k in range(count)
    ]
    parts.insert(count // 2, (None, None, pause_s))
    parts.insert(count // 2 + 2, (absent, None, pause_s))
    ends = np.cumsum([length for *_, length in parts])
    ends[-1] = seconds
    starts = [0.0, *(float(end) for end in ends[:-1])]
    return tuple(Turn(a, float(b), part[0], part[1]) for a, b, part in zip(starts, ends, parts, strict=True))


def soundtrack(seed: int, timeline: tuple[Turn, ...], sample_rate: int) -> Wave:
    """The sound of the whole timeline over room noise, mono float32 in [-1, 1]. Made at 16 kHz, then resampled."""
    num_samples = round(timeline[-1].end_s * SAMPLE_RATE)
    out = room_noise(np.random.default_rng([seed, 1]), num_samples, ROOM_DBFS)
    for k, turn in enumerate(timeline):
        if turn.name is not None:
            first, last = round(turn.start_s * SAMPLE_RATE), min(round(turn.end_s * SAMPLE_RATE), num_samples)
            out[first:last] += _performance(np.random.default_rng([seed, 2, k]), turn.name, last - first)
    return _resample(out, round(timeline[-1].end_s * sample_rate))


def _performance(rng: np.random.Generator, name: str, num_samples: int) -> Wave:
    """The sound of one turn at -20 to -13 dBFS, faded in and out."""
    wave = level(SOUNDS[name](rng, num_samples), float(rng.uniform(-20, -13)))
    ramp = np.linspace(0, 1, round(FADE_S * SAMPLE_RATE), dtype=np.float32)
    wave[: ramp.size] *= ramp
    wave[-ramp.size :] *= ramp[::-1]
    return wave


def _resample(wave: Wave, num_samples: int) -> Wave:
    """Band-limited resampling of a whole clip to `num_samples` (the spectrum is cut, or filled up with zeros)."""
    if num_samples == wave.size:
        return np.clip(wave, -1.0, 1.0)
    spectrum = np.fft.rfft(wave)[: num_samples // 2 + 1]
    longer = np.fft.irfft(spectrum, num_samples) * (num_samples / wave.size)
    return np.clip(longer, -1.0, 1.0).astype(np.float32)
