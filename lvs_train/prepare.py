"""A recipe's material as the batches of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from lvs_runtime import drawn
from lvs_runtime.errors import ConfigError
from lvs_runtime.spec import AudioSpec, ImageSpec

from .config import Data, Recipe, Stage
from .data.augment import degrade, random_crop
from .data.composite import load_photo
from .data.decode import SoundBank
from .data.material import Material, load_material
from .data.pairs import Batch, ClipPairs, DrawnPairs, Mixture, Pair, PairSource, PhotoSoundPairs


class BatchSource(Protocol):
    """Batches as a pure function of the step."""

    def batch(self, step: int) -> Batch:
        """The batch of one step."""
        ...


@dataclass(frozen=True)
class StageData:
    """The batches of one stage and, for the warm-up, the names of all its classes."""

    source: BatchSource
    labels: tuple[str, ...] = ()

    def batch(self, step: int) -> Batch:
        """See BatchSource."""
        return self.source.batch(step)


@lru_cache(maxsize=2)
def _material(key: str, cache: str, sample_rate: int) -> tuple[Material, SoundBank]:
    import msgspec

    data = msgspec.json.decode(key, type=Data)
    material = load_material(data.material, data.relabel, data.identity)
    return material, SoundBank(material.sounds, sample_rate, Path(cache) if cache else None)


def material_of(data: Data, sample_rate: int) -> tuple[Material, SoundBank]:
    """The recipe's photos and decoded sounds (indexed and decoded once a process)."""
    import msgspec

    return _material(msgspec.json.encode(data).decode(), data.cache, sample_rate)


def stage_data(recipe: Recipe, stage: Stage, audio: AudioSpec, image: ImageSpec, number: int) -> StageData:
    """Raises ConfigError when the recipe names no material at all, DataError when the material is not there."""
    data, seed = recipe.data, recipe.seed * 1000 + number
    sources: list[tuple[PairSource, float]] = []
    paired = None
    if data.material and data.material_weight > 0:
        material, bank = material_of(data, audio.sample_rate)
        paired = PhotoSoundPairs(material, bank, (audio, image), data.layouts, data.alike, data.same_source)
        sources.append((paired, data.material_weight))
    for folder in data.clips if data.clips_weight > 0 else ():
        clips = ClipPairs(Path(folder), audio, image, Path(data.cache) if data.cache else None)
        sources.append((clips, data.clips_weight / len(data.clips)))
    if data.drawn_weight > 0:
        sources.append((DrawnPairs(image, audio, data.drawn_names), data.drawn_weight))
    if not sources:
        raise ConfigError("recipe: [data] names no material, no clips, and drawn_weight is 0: nothing to train on")
    if stage.kind == "classes":
        return _class_data(stage, paired, data, audio, image, seed)
    mixture = Mixture(sources, stage.batch_size, seed, audio, stage.seconds, stage.extra_negatives, data.alike)
    return StageData(mixture)


def _class_data(
    stage: Stage, paired: PhotoSoundPairs | None, data: Data, audio: AudioSpec, image: ImageSpec, seed: int
) -> StageData:
    labels = {data.drawn_names.get(name, name) for name in drawn.CLASSES} if data.drawn_weight > 0 else set()
    sources: list[tuple[PairSource, float]] = []
    if paired:
        sources.append((_SinglePhotos(paired, stage.image_px), data.material_weight))
        labels |= set(paired.classes)
    if data.drawn_weight > 0:
        sources.append((_SmallDrawn(DrawnPairs(image, audio, data.drawn_names), stage.image_px), data.drawn_weight))
    return StageData(Mixture(sources, stage.batch_size, seed, audio, stage.seconds), tuple(sorted(labels)))


@dataclass(frozen=True)
class _SinglePhotos:
    """One photo a picture, small: four times cheaper than a composite."""

    pairs: PhotoSoundPairs
    size_px: int

    def draw(self, rng: np.random.Generator, num_samples: int) -> Pair:
        label = self.pairs.classes[int(rng.choice(len(self.pairs.classes), p=self.pairs.class_weights))]
        photo = load_photo(self.pairs.photo(rng, label))
        picture = degrade(rng, random_crop(rng, photo, (self.size_px, self.size_px), 0.4))
        return Pair(picture, self.pairs.sound(rng, label, num_samples), label)


@dataclass(frozen=True)
class _SmallDrawn:
    """The drawn world at the warm-up's size."""

    pairs: DrawnPairs
    size_px: int

    def draw(self, rng: np.random.Generator, num_samples: int) -> Pair:
        import cv2

        pair = self.pairs.draw(rng, num_samples)
        small = cv2.resize(pair.image, (self.size_px, self.size_px), interpolation=cv2.INTER_AREA)
        return Pair(np.asarray(small, np.uint8), pair.waveform, pair.label)
