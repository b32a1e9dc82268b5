"""Training pairs from a generator: what one step sees is a pure function of (seed, step), so resuming is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lvs_runtime import drawn
from lvs_runtime.spec import AudioSpec, ImageSpec

from .augment import (
    Image,
    Waveform,
    add_background,
    appearance,
    band_limit,
    cut_waveform,
    degrade,
    random_crop,
    set_level,
)
from .clip_pairs import ClipPairs, Pair
from .composite import distractors, load_photo, training_paste, training_tiles
from .decode import SoundBank
from .material import Item, Material


class PairSource(Protocol):
    """Anything that draws training pairs."""

    def draw(self, rng: np.random.Generator, num_samples: int) -> Pair:
        """One pair with a sound of `num_samples` samples."""
        ...


__all__ = ["Batch", "ClipPairs", "DrawnPairs", "Mixture", "Pair", "PairSource", "PhotoSoundPairs"]


@dataclass
class DrawnPairs:
    """The drawn world: see lvs_runtime.drawn."""

    image: ImageSpec = field(default_factory=ImageSpec)
    audio: AudioSpec = field(default_factory=AudioSpec)
    names: Mapping[str, str] = field(default_factory=dict)  # drawn class -> class of the photos that it stands for

    def draw(self, rng: np.random.Generator, num_samples: int) -> Pair:
        """A drawn picture, lightly degraded, with its object's sound."""
        image, waveform, label, _ = drawn.training_pair(rng, size_px=self.image.size_px, seconds=self.audio.seconds)
        return Pair(degrade(rng, image, 0.5), cut_waveform(rng, waveform, num_samples), self.names.get(label, label))


SCENE_NAMES = {"person": "speech"}  # what a class of natural photos is called among sounds


class PhotoSoundPairs:
    """Photos and sounds paired by class: weak supervision, as 2x2 tiles, pasted on a background, whole, or natural
    photos of several things (`scene`).
    """

    def __init__(
        self,
        material: Material,
        bank: SoundBank,
        spec: tuple[AudioSpec, ImageSpec],
        layouts: Mapping[str, float],
        alike: Sequence[Sequence[str]] = (),
        same_source: float = 0.65,
        every_source: bool = False,
    ) -> None:
        self.material, self.bank, self.same_source, self.every_source = material, bank, same_source, every_source
        self.audio, self.image = spec
        self.layouts, weights = list(layouts), np.array(list(layouts.values()), float)
        self.weights = weights / weights.sum()
        self.sounds: dict[str, list[int]] = {}
        for index, item in enumerate(bank.items):
            if item.split == "train" and bank.offsets[index + 1] > bank.offsets[index]:
                self.sounds.setdefault(item.group, []).append(index)
        self.classes = [c for c in material.classes() if self.sounds.get(c) and material.photos_of(c, "train")]
        self.scenes: dict[str, list[Item]] = {}
        for scene in material.photos_of("_scene", "train"):
            for name in {SCENE_NAMES.get(c, c) for c in scene.classes}:
                self.scenes.setdefault(name, []).append(scene)
        counts = np.array(
            [min(len(self.sounds[c]), len(material.photos_of(c, "train")), 120) for c in self.classes], float
        )
        self.class_weights = np.sqrt(counts) / np.sqrt(counts).sum()
        self.forbidden = {c: frozenset({c, *(a for group in alike if c in group for a in group)}) for c in self.classes}

    def draw(self, rng: np.random.Generator, num_samples: int) -> Pair:
        """A photo of a class in one of the layouts, with a sound of that class."""
        label = self.classes[int(rng.choice(len(self.classes), p=self.class_weights))]
        layout = str(rng.choice(self.layouts, p=self.weights))
        if layout == "scene" and label in self.scenes:
            scene = self.scenes[label][int(rng.integers(len(self.scenes[label])))]
            size = (self.image.size_px, self.image.size_px)
            picture = degrade(rng, random_crop(rng, load_photo(scene), size, 0.7))
            also = tuple(SCENE_NAMES.get(c, c) for c in scene.classes)
        else:
            picture, also = self.picture(rng, label, layout)
        return Pair(picture, self.sound(rng, label, num_samples), label, also)

    def photo(self, rng: np.random.Generator, label: str) -> Item:
        """A training photo of the class; larger collections of it are drawn less often than their share."""
        items = self.material.photos_of(label, "train")
        sources = sorted({i.source for i in items})
        weights = np.sqrt([sum(i.source == s for i in items) for s in sources])
        source = sources[int(rng.choice(len(sources), p=weights / weights.sum()))]
        chosen = [i for i in items if i.source == source]
        return chosen[int(rng.integers(len(chosen)))]

    def picture(self, rng: np.random.Generator, label: str, layout: str) -> tuple[Image, tuple[str, ...]]:
        """The class in a layout, and (`every_source`) the other classes that it shows; `scene` without one is whole."""
        size = self.image.size_px
        own = self.photo(rng, label)
        if layout in ("whole", "scene"):
            return degrade(rng, random_crop(rng, load_photo(own), (size, size), 0.35)), ()
        number = 3 if layout == "tiles" else int(rng.integers(0, 3))
        same = rng.random() < self.same_source
        others = distractors(rng, self.material, "train", own, number, self.forbidden[label], same)
        also = tuple(sorted({SCENE_NAMES.get(c, c) for o in others for c in (o.group, *o.classes) if c[0] != "_"}))
        also = also if self.every_source else ()
        if layout == "tiles":
            return training_tiles(rng, [own, *others], load_photo, size), also
        silent = self.material.photos_of("_silent", "train")
        return training_paste(rng, [own, *others], silent[int(rng.integers(len(silent)))], load_photo, size), also

    def sound(self, rng: np.random.Generator, label: str, num_samples: int) -> Waveform:
        """A sound of the class: cut, sometimes two chained, band-limited, with background, at a random level."""
        waveform = self._cut(rng, label, num_samples)
        if rng.random() < 0.15:
            cut = int(num_samples * rng.uniform(0.3, 0.7))
            waveform = np.concatenate([waveform[:cut], self._cut(rng, label, num_samples)[cut:]])
        if rng.random() < 0.5:
            waveform = band_limit(rng, waveform, self.audio.sample_rate)
        if rng.random() < 0.5 and self.sounds.get("_background"):
            waveform = add_background(waveform, self._cut(rng, "_background", num_samples), rng.uniform(0, 25))
        return set_level(rng, waveform)

    def _cut(self, rng: np.random.Generator, label: str, num_samples: int) -> Waveform:
        pool = self.sounds[label]
        return cut_waveform(rng, self.bank[pool[int(rng.integers(len(pool)))]], num_samples)


def noise_or_silence(rng: np.random.Generator, num_samples: int) -> Waveform:
    """Audio that no picture shows: digital silence, or white to brown noise over 50 dB of levels."""
    if rng.random() < 0.25:
        return np.zeros(num_samples, np.float32)
    spectrum = np.fft.rfft(rng.normal(0, 1, num_samples))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, num_samples)
    level = 10 ** (rng.uniform(-70, -20) / 20)
    return np.asarray((noise / noise.std() * level).clip(-1, 1), np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs and X extra sounds that no picture shows (silence, noise)."""

    images: npt.NDArray[np.uint8]  # (B, 224, 224, 3)
    waveforms: npt.NDArray[np.float32]  # (B + X, num_samples)
    labels: list[str]  # B
    alike: Sequence[Sequence[str]] = ()  # groups of classes that are no negatives of each other
    also: Sequence[tuple[str, ...]] = ()  # B: further classes that a picture shows; empty: none anywhere

    def same(self) -> npt.NDArray[np.bool_]:
        """(B, B + X): True where a column's sound has a class of the row's picture or one alike, so is no negative."""
        same = same_pairs(self.labels, self.also, self.labels, self.alike)
        return np.pad(same, ((0, 0), (0, len(self.waveforms) - len(self.labels))))


def same_pairs(
    rows: Sequence[str], also: Sequence[tuple[str, ...]], columns: Sequence[str], alike: Sequence[Sequence[str]]
) -> npt.NDArray[np.bool_]:
    """(rows, columns): True where the column's class is shown by the row's picture, or is alike to one that is."""
    shown, heard = np.array(rows), np.array(columns)
    same: npt.NDArray[np.bool_] = shown[:, None] == heard[None]
    for row, names in enumerate(also):
        near = {*names, *(name for group in alike if set(group) & set(names) for name in group)}
        same[row] |= np.isin(heard, list(near))
    for group in alike:
        same |= np.isin(shown, group)[:, None] & np.isin(heard, group)[None]
    return same


class Mixture:
    """Draws whole batches from several sources by weight; `batch(step)` depends on (seed, step, rank) alone.

    A single source of clips is gone through epoch by epoch; several are drawn from by weight. Each of `world` processes
    draws `batch_size` pairs of its own, with sounds of one length.
    """

    def __init__(
        self,
        sources: Sequence[tuple[PairSource, float]],
        batch_size: int,
        seed: int,
        audio: AudioSpec,
        seconds: tuple[float, float],
        extra_negatives: int = 0,
        alike: Sequence[Sequence[str]] = (),
        *,
        looks: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.alike = alike
        self.sources = [s for s, _ in sources]
        weights = np.array([w for _, w in sources], float)
        self.weights = weights / weights.sum()
        self.batch_size, self.seed, self.extra, self.looks = batch_size, seed, extra_negatives, looks
        self.audio, self.seconds = audio, seconds
        self.rank, self.world = rank, world

    def batch(self, step: int) -> Batch:
        """The batch of one step; all its sounds have one length, drawn from `seconds`."""
        rng = np.random.default_rng((self.seed, step))
        num_samples = max(self.audio.n_fft, round(rng.uniform(*self.seconds) * self.audio.sample_rate))
        if self.world > 1:
            rng = np.random.default_rng((self.seed, step, self.rank))
        pairs = self._pairs(step, rng, num_samples)
        extra = [noise_or_silence(rng, num_samples) for _ in range(self.extra)]
        images = [p.image for p in pairs]
        if self.looks:  # a generator of its own: the pairs are those of the run without
            own = np.random.default_rng((self.seed, step, self.rank, 7))
            images = [appearance(own, image) for image in images]
        waveforms = np.stack([p.waveform for p in pairs] + extra)
        return Batch(np.stack(images), waveforms, [p.label for p in pairs], self.alike, [p.also for p in pairs])

    def _pairs(self, step: int, rng: np.random.Generator, num_samples: int) -> list[Pair]:
        first = self.sources[0]
        if len(self.sources) == 1 and isinstance(first, ClipPairs):
            start = (step * self.world + self.rank) * self.batch_size
            return [first.at(start + i, self.seed, rng, num_samples) for i in range(self.batch_size)]
        counts = _quota(rng, self.weights, self.batch_size)
        return [s.draw(rng, num_samples) for s, n in zip(self.sources, counts, strict=True) for _ in range(n)]


def _quota(rng: np.random.Generator, weights: npt.NDArray[np.float64], total: int) -> list[int]:
    """Shares as whole numbers: the floor of each, the rest by lot."""
    exact = weights * total
    counts = np.floor(exact).astype(int)
    for index in rng.choice(len(weights), total - counts.sum(), p=weights):
        counts[index] += 1
    return [int(n) for n in counts]
