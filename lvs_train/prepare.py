"""A recipe's material as the batches of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lvs_runtime import drawn
from lvs_runtime.errors import ConfigError
from lvs_runtime.spec import AudioSpec, ImageSpec

from .config import Data, Recipe, Stage
from .data.augment import degrade, random_crop
from .data.composite import load_photo
from .data.decode import SoundBank
from .data.leaks import check_leaks
from .data.lists import read_list
from .data.material import Material, load_material
from .data.pairs import Batch, ClipPairs, DrawnPairs, Mixture, Pair, PairSource, PhotoSoundPairs
from .data.stores import open_store
from .distributed import World


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
    material = load_material(data.material, data.relabel, data.identity, data.share)
    return material, SoundBank(material.sounds, sample_rate, Path(cache) if cache else None)


def material_of(data: Data, sample_rate: int) -> tuple[Material, SoundBank]:
    """The recipe's photos and decoded sounds (indexed and decoded once a process)."""
    import msgspec

    return _material(msgspec.json.encode(data).decode(), data.cache, sample_rate)


def clip_pairs(recipe: Recipe, audio: AudioSpec, image: ImageSpec) -> list[ClipPairs]:
    """The recipe's clips, folder by folder; one list may name clips of all. Raises DataError for what is not there."""
    data = recipe.data
    entries = read_list(Path(data.clip_list)).entries if data.clip_list else None
    cache = Path(data.cache) if data.cache else None
    return [
        ClipPairs(
            Path(folder), audio, image, cache,
            layout=data.layout, entries=entries, picture=recipe.augment.picture,
            labels=data.labels, one_class=data.one_class,
        )
        for folder in data.clips
    ]  # fmt: skip


def check_recipe_leaks(recipe: Recipe) -> dict[str, Any] | str:
    """Training ids against `[data] tests`; raises DataError on shared clips unless `allow_leak`. For the checkpoint."""
    data = recipe.data
    if not data.clips or data.clips_weight <= 0:
        return "no clips with ids"
    if not data.tests:
        return "not checked: [data] tests names no list"
    entries = read_list(Path(data.clip_list)).entries if data.clip_list else None
    ids = [i for folder in data.clips for i in open_store(Path(folder), data.layout, entries).ids]
    tests = {name: read_list(Path(path)).ids for name, path in data.tests.items()}
    return check_leaks(ids, tests, data.allow_leak).as_dict()


def class_names(recipe: Recipe, audio: AudioSpec, image: ImageSpec) -> list[str]:
    """All labels that a tri-map stage of the recipe can show, sorted."""
    data = recipe.data
    names = {data.drawn_names.get(name, name) for name in drawn.CLASSES} if data.drawn_weight > 0 else set()
    if data.material and data.material_weight > 0:
        names |= set(_photo_pairs(recipe, audio, image).classes)
    if data.clips and data.clips_weight > 0:
        if not (data.labels or data.one_class):
            raise ConfigError("objective coarse2fine needs class names: [data] labels = true and a list `id,label`")
        names |= {label for pairs in clip_pairs(recipe, audio, image) for label in pairs.labels}
    return sorted(names)


def _photo_pairs(recipe: Recipe, audio: AudioSpec, image: ImageSpec) -> PhotoSoundPairs:
    data = recipe.data
    material, bank = material_of(data, audio.sample_rate)
    specs, several = (audio, image), recipe.loss.every_source
    return PhotoSoundPairs(material, bank, specs, data.layouts, data.alike, data.same_source, several)


def stage_data(
    recipe: Recipe, stage: Stage, audio: AudioSpec, image: ImageSpec, number: int, world: World | None = None
) -> StageData:
    """This process's share of a stage's batches.

    Raises ConfigError when the recipe names no material at all, DataError when the material is not there.
    """
    data, seed, world = recipe.data, recipe.seed * 1000 + number, world or World()
    share = world.share(stage.batch_size)
    sources: list[tuple[PairSource, float]] = []
    paired = None
    if data.material and data.material_weight > 0:
        paired = _photo_pairs(recipe, audio, image)
        sources.append((paired, data.material_weight))
    if data.clips and data.clips_weight > 0:
        sources += [(pairs, data.clips_weight / len(data.clips)) for pairs in clip_pairs(recipe, audio, image)]
    if data.drawn_weight > 0:
        sources.append((DrawnPairs(image, audio, data.drawn_names), data.drawn_weight))
    if not sources:
        raise ConfigError("recipe: [data] names no material, no clips, and drawn_weight is 0: nothing to train on")
    labels: tuple[str, ...] = ()
    if stage.kind == "classes":
        sources, labels = _class_sources(stage, paired, data, audio, image)
    extra = 0 if stage.kind == "classes" else stage.extra_negatives
    mixture = Mixture(
        sources, share, seed, audio, stage.seconds, extra, data.alike,
        looks=recipe.augment.appearance, rank=world.rank, world=world.size,
    )  # fmt: skip
    return StageData(mixture, labels)


def _class_sources(
    stage: Stage, paired: PhotoSoundPairs | None, data: Data, audio: AudioSpec, image: ImageSpec
) -> tuple[list[tuple[PairSource, float]], tuple[str, ...]]:
    """Single photos and small drawn pictures; clips have no class to warm up on."""
    labels = {data.drawn_names.get(name, name) for name in drawn.CLASSES} if data.drawn_weight > 0 else set()
    sources: list[tuple[PairSource, float]] = []
    if paired:
        sources.append((_SinglePhotos(paired, stage.image_px), data.material_weight))
        labels |= set(paired.classes)
    if data.drawn_weight > 0:
        sources.append((_SmallDrawn(DrawnPairs(image, audio, data.drawn_names), stage.image_px), data.drawn_weight))
    if not sources:
        raise ConfigError(
            f"stage {stage.name!r}: kind 'classes' needs material or the drawn world; clips have no class"
        )
    return sources, tuple(sorted(labels))


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
