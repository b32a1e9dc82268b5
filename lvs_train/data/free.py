"""Free composites: things pasted anywhere, at many sizes, on a silent background; places known to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lvs_runtime.errors import DataError
from lvs_runtime.spec import ImageSpec

from .augment import random_crop
from .composite import free_boxes, load_photo, paste
from .material import Item, Material
from .sounds import SplitSounds

if TYPE_CHECKING:
    from ..scenes import Scene

LOW, HIGH = 0.15, 0.6  # side of a pasted thing, share of the picture's
MIN_SIDE_PX = 72  # smaller photos show too little of a thing to be judged


class FreeScenes:
    """Item i depends on (seed, i) alone: 1 to 3 sounding things (each with its own sound) and up to 2 silent ones.

    `several` makes every picture hold at least two sounding things. Silent things are photos of no sounding class;
    photos, sounds and backgrounds are all of `split`.
    """

    def __init__(
        self,
        material: Material,
        sounds: SplitSounds,
        image: ImageSpec,
        *,
        several: bool,
        alike: Sequence[Sequence[str]] = (),
        split: str = "test",
        seed: int = 0,
    ) -> None:
        self.sounds, self.image, self.several, self.alike, self.seed = sounds, image, several, alike, seed
        self.photos = {
            c: kept
            for c in material.classes(40, 20)
            if c in sounds and (kept := [p for p in material.photos_of(c, split) if _large(p)])
        }
        self.classes = sorted(self.photos)
        self.silent = material.photos_of("_silent", split)
        if len(self.classes) < 3 or len(self.silent) < 3:
            raise DataError(
                f"free composites need three classes and three silent photos in {split}; found {len(self.classes)} "
                f"classes, {len(self.silent)} silent photos"
            )

    def __getitem__(self, index: int) -> Scene:
        from ..scenes import Scene, Source

        rng, size = np.random.default_rng((self.seed, 17, index)), self.image.size_px
        labels = self._labels(rng, 1 if not self.several else int(rng.integers(2, 4)))
        items = [self._pick(rng, self.photos[c]) for c in labels]
        items += [self._pick(rng, self.silent) for _ in range(int(rng.integers(1 if not self.several else 0, 3)))]
        boxes = free_boxes(rng, len(items), size, LOW, HIGH)
        background = random_crop(rng, load_photo(self._pick(rng, self.silent)), (size, size), 0.6)
        pictures = [load_photo(item) for item, _ in zip(items, boxes, strict=False)]
        image = paste(rng, background, pictures, boxes)
        sources = tuple(
            Source(label, (tuple(float(v) for v in box),), self.sounds.draw(rng, label))  # type: ignore[arg-type]
            for label, box in zip(labels, boxes, strict=False)
        )
        known = [c for label in labels for c in self._alike(label)]
        return Scene(f"free-{index}", image, sources, self.sounds.draw_other(rng, known))

    def _labels(self, rng: np.random.Generator, number: int) -> list[str]:
        labels: list[str] = []
        for index in rng.permutation(len(self.classes)):
            name = self.classes[int(index)]
            if not any(name in self._alike(label) for label in labels):
                labels.append(name)
            if len(labels) == number:
                break
        return labels

    def _alike(self, label: str) -> set[str]:
        return {label, *(c for group in self.alike if label in group for c in group)}

    @staticmethod
    def _pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
        return items[int(rng.integers(len(items)))]


def _large(item: Item) -> bool:
    return int(min(load_photo(item).shape[:2])) >= MIN_SIDE_PX
