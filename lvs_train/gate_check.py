"""Does the audible gate tell sound from silence? Half-second windows, as live use sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from lvs_runtime import drawn
from lvs_runtime.gate import level_dbfs

from .data.augment import Waveform, set_level
from .data.decode import SoundBank

WINDOW_S = 0.5
QUIETEST_DBFS, LOUDEST_DBFS = -34.0, -10.0


def loudest_window(waveform: Waveform, num_samples: int) -> Waveform:
    """The stretch of `num_samples` with the most energy: where the thing really sounds."""
    if len(waveform) <= num_samples:
        return waveform
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    first = int((energy[num_samples:] - energy[:-num_samples]).argmax())
    return waveform[first : first + num_samples]


def sounding_windows(sounds: Iterable[Waveform], sample_rate: int, seed: int = 0) -> Iterator[Waveform]:
    """The loudest half second of each sound, the sound set to a random RMS level of -34...-10 dBFS."""
    rng = np.random.default_rng((seed, 1))
    for sound in sounds:
        yield loudest_window(set_level(rng, sound, QUIETEST_DBFS, LOUDEST_DBFS), round(WINDOW_S * sample_rate))


def silent_windows(number: int, sample_rate: int, seed: int = 0) -> Iterator[Waveform]:
    """Digital silence and room noise of -70...-55 dBFS, as the drawn world makes them."""
    for index in range(number):
        waveform = drawn.silent_pair(np.random.default_rng((seed, 2, index))).waveform
        yield waveform[: round(WINDOW_S * sample_rate)]


def drawn_sound(index: int, seconds: float, seed: int = 9_500_000) -> Waveform:
    """The sound of one drawn thing that training never saw."""
    return drawn.training_pair(np.random.default_rng((seed, index)), seconds=seconds).waveform


def unseen_sounds(bank: SoundBank, number: int) -> Iterator[Waveform]:
    """Up to `number` test sounds of things, evenly over the list; not background recordings."""
    usable = [i for i, item in enumerate(bank.items) if item.split == "test" and item.group[0] != "_"]
    for index in usable[:: max(1, len(usable) // number)][:number]:
        yield bank[index]


def gate_shares(
    thresholds: Mapping[str, float], sounding: Iterable[Waveform], silent: Iterable[Waveform], sample_rate: int
) -> dict[str, float]:
    """Share of sounding windows that open a closed gate, and of silent ones that let an open gate close."""
    loud = [level_dbfs(w, sample_rate) >= thresholds["audible_on_dbfs"] for w in sounding]
    quiet = [level_dbfs(w, sample_rate) < thresholds["audible_off_dbfs"] for w in silent]
    return {
        "sounding_n": len(loud),
        "sounding_audible": float(np.mean(loud)),
        "silent_n": len(quiet),
        "silent_not_audible": float(np.mean(quiet)),
    }
