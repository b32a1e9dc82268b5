"""Training pictures: a background with objects and look-alikes on it, and the box of every object."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .background import background
from .canvas import Box, Canvas, Colour, Field
from .decoys import decoy
from .figures import FIGURES
from .looks import NUM_PROPORTIONS, Look, new_look, shade

CLASSES: tuple[str, ...] = tuple(FIGURES)
ASPECTS = (1.0, 4 / 3, 16 / 9)  # a camera frame is squashed to a square: its objects become this much narrower


def draw_picture(
    rng: np.random.Generator, size_px: int, num_objects: int
) -> tuple[npt.NDArray[np.uint8], list[tuple[str, Box]]]:
    """A square picture (size_px, size_px, 3) RGB and the classes in it with their boxes; look-alikes are not listed."""
    picture = background(rng, size_px, size_px)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    num_real = max(2, num_objects - int(rng.integers(0, 2))) if num_objects > 2 else 1 + int(rng.integers(0, 2))
    names = [CLASSES[int(k)] for k in rng.permutation(len(CLASSES))[:num_real]]
    looks = [new_look(name, rng) for name in names]
    places = _places(rng, size_px, num_objects, aspect)
    style = _style(rng)
    present: list[tuple[str, Box]] = []
    for k, (x, y, scale) in enumerate(places):
        angle, mirror = float(rng.normal(0, 0.14)), bool(rng.random() < 0.5)
        canvas = Canvas((x, y), scale, aspect=aspect, angle=angle, mirror=mirror)
        if k < num_real:
            FIGURES[names[k]](canvas, looks[k], float(rng.random()))
        else:
            decoy(canvas, _alike(rng, looks), int(rng.integers(16)))
        canvas.finish(*style)
        canvas.paste(picture)
        if k < num_real:
            present.append((names[k], canvas.box(size_px, size_px)))
    return to_bytes(picture), present


def _alike(rng: np.random.Generator, looks: list[Look]) -> Look:
    """The colours of any of the objects in the picture (not of the sounding one: that would give it away)."""
    like = looks[int(rng.integers(len(looks)))]
    return Look(like.main, like.second, like.accent, like.dark, tuple(float(v) for v in rng.random(NUM_PROPORTIONS)))


def _style(rng: np.random.Generator) -> tuple[float, Colour, float]:
    """Outline width, outline colour and shadow, the same for all objects of a picture."""
    tone = (1.0, 1.0, 1.0) if rng.random() < 0.5 else shade((0.2, 0.18, 0.24), float(rng.uniform(0.3, 1.2)))
    return (float(rng.uniform(0.03, 0.07)) if rng.random() < 0.7 else 0.0), tone, float(rng.uniform(0.0, 0.45))


def _places(rng: np.random.Generator, size_px: int, count: int, aspect: float) -> list[tuple[float, float, float]]:
    """Centre x, y and half height (px) of `count` objects that do not overlap; 12 to 45 % of the side in height."""
    largest = 0.45 if count < 4 else 0.38
    for attempt in range(60):
        found: list[tuple[float, float, float]] = []
        for scale in np.sort(rng.uniform(0.12, largest, count))[::-1] * size_px / 2:
            scale = float(scale) * 0.98**attempt
            for _ in range(12):
                x = float(rng.uniform(1.1 * scale / aspect, size_px - 1.1 * scale / aspect))
                y = float(rng.uniform(1.1 * scale, size_px - 1.1 * scale))
                if all(
                    abs(x - u) * aspect > 1.08 * (scale + s) or abs(y - v) > 1.08 * (scale + s) for u, v, s in found
                ):
                    found.append((x, y, scale))
                    break
        if len(found) == count:
            order = rng.permutation(count)  # or the look-alikes, drawn last, would always be the small ones
            return [found[int(k)] for k in order]
    raise AssertionError("objects that shrink with every attempt found no place")


def to_bytes(picture: Field) -> npt.NDArray[np.uint8]:
    """(3, H, W) float32 in [0, 1] -> (H, W, 3) uint8."""
    np.clip(picture, 0.0, 1.0, out=picture)
    picture *= np.float32(255.0)
    picture += np.float32(0.5)
    return np.ascontiguousarray(picture.astype(np.uint8).transpose(1, 2, 0))
