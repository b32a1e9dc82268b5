"""Pictures put together from photos: tiles, and photos pasted on a background. The place is known here and only here:
training never sees it, evaluation uses it as exact ground truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .augment import Image, degrade, random_crop
from .decode import read_image
from .material import Item, Material

PxBox = tuple[int, int, int, int]
Load = Callable[[Item], Image]


def load_photo(item: Item) -> Image:
    """The default loader: decode from disk."""
    return read_image(item.path)


def squash(image: Image, size: tuple[int, int]) -> Image:
    """The whole picture to (width, height), as at test time."""
    import cv2

    shrink = image.shape[1] > size[0]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR), np.uint8)


def distractors(
    rng: np.random.Generator,
    material: Material,
    split: str,
    sounding: Item,
    number: int,
    forbidden: frozenset[str],
    same_source: bool,
) -> list[Item]:
    """`number` photos that show none of the `forbidden` classes, from the sounding photo's source when asked."""
    pool = material_pool(material, split, sounding.source if same_source else None)
    chosen: list[Item] = []
    if number == 0:
        return chosen
    for index in rng.permutation(len(pool)):
        item = pool[index]
        if item.group not in forbidden and not forbidden.intersection(item.classes):
            chosen.append(item)
            if len(chosen) == number:
                return chosen
    everything = material_pool(material, split, None)
    while len(chosen) < number:  # a source without enough other things: fill from all
        item = everything[int(rng.integers(len(everything)))]
        if item.group not in forbidden and not forbidden.intersection(item.classes):
            chosen.append(item)
    return chosen


def material_pool(material: Material, split: str, source: str | None) -> list[Item]:
    """Photos of a split (and of one source) that may serve as distractors: all but scenes."""
    key = ("pool", split, source or "*")
    if key not in material._by:
        photos = [p for p in material.photos if p.split == split and p.group != "_scene"]
        material._by[key] = [p for p in photos if source is None or p.source == source]
    return material._by[key]


def tiles(images: Sequence[Image], place: int, size_px: int) -> tuple[Image, PxBox]:
    """2 x 2 tiles of `size_px / 2`; images[0] goes to tile `place` (row-major), the rest fill up. Box of images[0]."""
    half = size_px // 2
    canvas = np.empty((size_px, size_px, 3), np.uint8)
    order = [i for i in range(4) if i != place]
    for cell, image in zip([place, *order], images, strict=True):
        y, x = divmod(cell, 2)
        canvas[y * half : (y + 1) * half, x * half : (x + 1) * half] = image
    y, x = divmod(place, 2)
    return canvas, (x * half, y * half, (x + 1) * half, (y + 1) * half)


def paste(rng: np.random.Generator, background: Image, images: Sequence[Image], boxes: Sequence[PxBox]) -> Image:
    """Paste each picture into its box with a soft edge of random width (hard borders would be a cue)."""
    import cv2

    canvas = background.astype(np.float32)
    for image, (x0, y0, x1, y1) in zip(images, boxes, strict=True):
        w, h = x1 - x0, y1 - y0
        edge = rng.uniform(0.5, 0.12 * min(w, h))
        ramp = np.minimum(_ramp(w, edge)[None], _ramp(h, edge)[:, None])[..., None]
        piece = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if image.shape[1] > w else cv2.INTER_LINEAR)
        canvas[y0:y1, x0:x1] += ramp * (piece - canvas[y0:y1, x0:x1])
    return np.asarray(canvas.clip(0, 255), np.uint8)


def _ramp(length: int, edge: float) -> npt.NDArray[np.float32]:
    x = np.arange(length, dtype=np.float32) + 0.5
    return np.asarray(np.minimum(np.minimum(x, length - x) / max(edge, 0.5), 1), np.float32)


def free_boxes(rng: np.random.Generator, number: int, size_px: int, low: float, high: float) -> list[PxBox]:
    """`number` boxes of side `low`...`high` of the picture that overlap little, anywhere in it."""
    boxes: list[PxBox] = []
    for _ in range(200):
        if len(boxes) == number:
            break
        shrink = 1.0 if not boxes else 0.85
        w, h = (int(size_px * rng.uniform(low, high) * shrink) for _ in range(2))
        x, y = int(rng.integers(0, size_px - w + 1)), int(rng.integers(0, size_px - h + 1))
        box = (x, y, x + w, y + h)
        if all(_overlap(box, other) < 0.15 for other in boxes):
            boxes.append(box)
    return boxes


def _overlap(a: PxBox, b: PxBox) -> float:
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return w * h / max(1, smaller)


def training_tiles(rng: np.random.Generator, items: Sequence[Item], load: Load, size_px: int) -> Image:
    """Four photos, the sounding one first, cropped and degraded each on its own, in random places."""
    half = size_px // 2
    pictures = [degrade(rng, random_crop(rng, load(item), (half, half), 0.5)) for item in items]
    return tiles(pictures, int(rng.integers(4)), size_px)[0]


def training_paste(
    rng: np.random.Generator, items: Sequence[Item], background: Item, load: Load, size_px: int
) -> Image:
    """The photos (the sounding one first) pasted on a silent background at random sizes and places."""
    boxes = free_boxes(rng, len(items), size_px, 0.18, 0.65)
    canvas = random_crop(rng, load(background), (size_px, size_px), 0.4)
    pictures = [random_crop(rng, load(i), (b[2] - b[0], b[3] - b[1]), 0.6) for i, b in zip(items, boxes, strict=False)]
    return degrade(rng, paste(rng, canvas, pictures, boxes), 0.7)
