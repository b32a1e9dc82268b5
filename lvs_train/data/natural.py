"""Whole natural photos with boxes, as test scenes: nothing is cut out, pasted or tiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lvs_runtime.spec import ImageSpec

from .composite import load_photo, squash
from .material import Item, Material
from .pairs import SCENE_NAMES
from .sounds import SplitSounds

if TYPE_CHECKING:
    from ..scenes import Scene

MIN_AREA = 0.01  # a smaller box is less than two cells of the map
SOURCES = ("voc", "coco")  # collections of natural photos


def natural_scenes(
    material: Material,
    sounds: SplitSounds,
    image: ImageSpec,
    alike: Sequence[Sequence[str]] = (),
    split: str = "test",
    seed: int = 0,
    sources: Sequence[str] = SOURCES,
) -> Iterator[Scene]:
    """Photos of `split` with boxes of things that have sounds there; every such thing is asked with one sound.

    Things alike (a car, a bus) in one photo are one source with the boxes of both when their sounds cannot be told
    apart by name: the first name's sound is played.
    """
    from ..scenes import Scene, Source

    photos = [p for p in material.photos if p.split == split and p.boxes and p.source in sources]
    for number, item in enumerate(sorted(photos, key=lambda p: p.path.name)):
        rng = np.random.default_rng((seed, number))
        picture = load_photo(item)
        boxes = _boxes(item, picture.shape[1], picture.shape[0], image.size_px, alike)
        audible = {k: v for k, v in boxes.items() if k in sounds and _area(v) >= MIN_AREA * image.size_px**2}
        if audible:
            known = [c for name in {*boxes, *item.classes} for c in _alike(SCENE_NAMES.get(name, name), alike)]
            found = tuple(Source(k, tuple(v), sounds.draw(rng, k)) for k, v in sorted(audible.items()))
            small = squash(picture, (image.size_px, image.size_px))
            yield Scene(item.path.name, small, found, sounds.draw_other(rng, known))


Box = tuple[float, float, float, float]


def _boxes(item: Item, width: int, height: int, size_px: int, alike: Sequence[Sequence[str]]) -> dict[str, list[Box]]:
    """Boxes by class in pixels of the network's picture; classes alike are joined under the commonest one's name."""
    sx, sy = size_px / width, size_px / height
    found: dict[str, list[Box]] = {}
    for name, x0, y0, x1, y1 in item.boxes:
        found.setdefault(SCENE_NAMES.get(name, name), []).append((x0 * sx, y0 * sy, x1 * sx, y1 * sy))
    for group in alike:
        inside = sorted((c for c in found if c in group), key=lambda c: -_area(found[c]))
        for other in inside[1:]:
            found[inside[0]] += found.pop(other)
    return found


def _area(boxes: Sequence[Box]) -> float:
    return max((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes)


def _alike(label: str, alike: Sequence[Sequence[str]]) -> set[str]:
    return {label, *(c for group in alike if label in group for c in group)}
