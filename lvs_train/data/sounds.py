"""Test sounds by class, drawn by a generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .augment import Waveform
from .decode import SoundBank


class SplitSounds:
    """The sounds of one split, by class; each drawn is `num_samples` from the middle, repeated when short."""

    def __init__(self, bank: SoundBank, split: str, num_samples: int) -> None:
        self.bank, self.num_samples = bank, num_samples
        self.by_class: dict[str, list[int]] = {}
        for index, item in enumerate(bank.items):
            if item.split == split and bank.offsets[index + 1] > bank.offsets[index]:
                self.by_class.setdefault(item.group, []).append(index)

    def __contains__(self, label: str) -> bool:
        return label in self.by_class

    def draw(self, rng: np.random.Generator, label: str) -> Waveform:
        """A sound of the class."""
        pool = self.by_class[label]
        return central(self.bank[pool[int(rng.integers(len(pool)))]], self.num_samples)

    def draw_other(self, rng: np.random.Generator, known: Sequence[str]) -> Waveform:
        """A sound of a class that is none of `known`, nor background noise."""
        names = [c for c in sorted(self.by_class) if c not in known and c[0] != "_"]
        return self.draw(rng, names[int(rng.integers(len(names)))])


def central(waveform: Waveform, num_samples: int) -> Waveform:
    """The middle of a sound, repeated when short."""
    if len(waveform) < num_samples:
        return np.tile(waveform, num_samples // len(waveform) + 1)[:num_samples]
    first = (len(waveform) - num_samples) // 2
    return waveform[first : first + num_samples]
