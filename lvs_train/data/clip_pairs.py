"""Clips with their own sound, from files or shards: the paper's self-supervised pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DataError
from lvs_runtime.spec import AudioSpec, ImageSpec

from .augment import Image, Waveform, cut_waveform, degrade, random_crop, squash_crop
from .composite import squash
from .lists import Entry
from .stores import open_store, unreadable


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture with one sound. `label` names the clip's class, or the clip itself when it has none."""

    image: Image  # (224, 224, 3) RGB uint8
    waveform: Waveform  # (num_samples,) float32
    label: str
    also: tuple[str, ...] = ()  # further classes that the picture shows: their sounds are no negatives of it


class ClipPairs:
    """Clips of a folder (any published layout) or of tar shards; each its own label unless labels are given.

    What cannot be read is found before training, named and left out; more than 1 % stops it.
    """

    def __init__(
        self,
        root: Path,
        audio: AudioSpec,
        image: ImageSpec,
        cache: Path | None = None,
        *,
        layout: str = "auto",
        entries: Sequence[Entry] | None = None,
        picture: str = "own",
        labels: bool = False,
        one_class: str = "",
    ) -> None:
        self.image, self.audio, self.style = image, audio, picture
        self.store = open_store(root, layout, entries)
        self.unreadable = {
            self.store.ids[i]: why for i, why in unreadable(self.store, audio.sample_rate, cache).items()
        }
        self.usable = [i for i, name in enumerate(self.store.ids) if name not in self.unreadable]
        self.labels = [self._label(i, labels, one_class) for i in range(len(self.store.ids))]

    def _label(self, index: int, labels: bool, one_class: str) -> str:
        if one_class:
            return one_class
        label = self.store.labels[index] if labels else self.store.ids[index]
        if label is None:
            raise DataError(f"clip {self.store.ids[index]} has no label; want a list with lines `id,label`")
        return label

    @property
    def ids(self) -> list[str]:
        """Ids of the readable clips."""
        return [self.store.ids[i] for i in self.usable]

    def draw(self, rng: np.random.Generator, num_samples: int) -> Pair:
        """Any clip's frame, cropped and mirrored, with its own sound."""
        return self._pair(self.usable[int(rng.integers(len(self.usable)))], rng, num_samples)

    def at(self, position: int, seed: int, rng: np.random.Generator, num_samples: int) -> Pair:
        """The clip at a position of the endless order: every clip once an epoch, each epoch in its own order."""
        epoch, place = divmod(position, len(self.usable))
        return self._pair(self.usable[_order(len(self.usable), seed, epoch)[place]], rng, num_samples)

    def _pair(self, index: int, rng: np.random.Generator, num_samples: int) -> Pair:
        size, photo = self.image.size_px, self.store.image(index)
        if self.style == "paper":
            picture = squash_crop(rng, photo, size)
        elif self.style == "none":
            picture = squash(photo, (size, size))
        else:
            picture = degrade(rng, random_crop(rng, photo, (size, size), 0.6), 0.6)
        waveform = self.store.sound(index, self.audio.sample_rate)
        return Pair(picture, cut_waveform(rng, waveform, num_samples), self.labels[index])


@lru_cache(maxsize=4)
def _order(number: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng((seed, 2, epoch)).permutation(number)
