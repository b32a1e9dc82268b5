"""Backgrounds: value noise, gradients, stripes, checks, blotches, dots, planks and hills, in colours of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .canvas import Colour, Field, length
from .looks import Hsv, pick_colour

KINDS = ("gradient", "noise", "blotches", "stripes", "checks", "dots", "planks", "hills")
MOODS: tuple[Hsv, ...] = (
    ((0.0, 1.0), (0.05, 0.35), (0.75, 0.98)),  # pale
    ((0.0, 1.0), (0.15, 0.55), (0.3, 0.65)),  # middling
    ((0.0, 1.0), (0.2, 0.7), (0.1, 0.35)),  # dark
    ((0.0, 1.0), (0.4, 0.9), (0.5, 0.95)),  # vivid
)


@lru_cache(maxsize=64)
def _spread(length: int, knots: int) -> npt.NDArray[np.float32]:
    """(length, knots) weights of a smooth interpolation from `knots` values to `length`."""
    place = np.linspace(0, knots - 1.001, length)
    cell = place.astype(int)
    part = place - cell
    part = part * part * (3 - 2 * part)
    weights = np.zeros((length, knots), np.float32)
    weights[np.arange(length), cell] = 1 - part
    weights[np.arange(length), cell + 1] += part
    return weights


def value_noise(
    rng: np.random.Generator, height: int, width: int, cells_y: int, cells_x: int, octaves: int = 1
) -> Field:
    """Smooth noise (height, width) in [0, 1] with `cells_y` x `cells_x` cells in its coarsest octave."""
    total = np.zeros((height, width), np.float32)
    weight, sum_weights = 1.0, 0.0
    for _ in range(octaves):
        knots = rng.random((cells_y + 1, cells_x + 1), dtype=np.float32) * np.float32(weight)
        total += _spread(height, cells_y + 1) @ knots @ _spread(width, cells_x + 1).T
        sum_weights += weight
        weight, cells_y, cells_x = weight * 0.5, cells_y * 2, cells_x * 2
    return total * np.float32(1.0 / sum_weights)


def _ramp(field: Field, colours: Sequence[Colour]) -> Field:
    """Map `field` in [0, 1] through evenly spaced colours: (3, H, W)."""
    stops = np.linspace(0.0, 1.0, len(colours))
    table = np.stack([np.interp(np.linspace(0, 1, 256), stops, [c[k] for c in colours]) for k in range(3)])
    index = np.clip(field * 255.0, 0.0, 255.0).astype(np.uint8)
    return table.astype(np.float32)[:, index]


def _soft_step(field: Field, width: float) -> Field:
    return np.asarray(np.clip(field / width + 0.5, 0.0, 1.0), np.float32)


def background(
    rng: np.random.Generator, width: int, height: int, kind: str | None = None, colours: Sequence[Colour] | None = None
) -> Field:
    """A background (3, height, width) float32 in [0, 1]; `kind` is one of `KINDS`; both default to any."""
    kind = kind or KINDS[int(rng.integers(len(KINDS)))]
    colours = colours or _any_colours(rng)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :] * np.float32(width / height)
    field = _pattern(rng, kind, across, down, height, width)
    picture = _ramp(field, colours)
    lights = value_noise(rng, height, width, 2, 2) * np.float32(0.3) + np.float32(0.85)
    grain = rng.random((height, width), dtype=np.float32) * np.float32(rng.uniform(0.0, 0.07))
    picture *= lights
    picture += grain
    return np.clip(picture, 0.0, 1.0, out=picture)


def _any_colours(rng: np.random.Generator) -> list[Colour]:
    """Three colours of one mood; more often than not one hue in near values, so that the objects stand out."""
    mood = MOODS[int(rng.integers(len(MOODS)))]
    if rng.random() < 0.4:
        return [pick_colour(rng, mood) for _ in range(3)]
    red, green, blue = pick_colour(rng, mood)
    steps = [0.0, *(float(d) for d in rng.uniform(-0.12, 0.12, 2))]
    return [(min(max(red + d, 0.0), 1.0), min(max(green + d, 0.0), 1.0), min(max(blue + d, 0.0), 1.0)) for d in steps]


def _pattern(rng: np.random.Generator, kind: str, across: Field, down: Field, height: int, width: int) -> Field:
    """The field (height, width) in [0, 1] of one kind of pattern."""
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(0.06, 0.25)
    along = (across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle))) / np.float32(pitch)
    if kind == "gradient":
        along = along * np.float32(pitch)
        return np.asarray((along - along.min()) / max(float(np.ptp(along)), 1e-6), np.float32)
    if kind == "noise":
        cells = int(rng.integers(2, 9))
        return value_noise(rng, height, width, cells, cells, 3)
    if kind == "blotches":
        cells = int(rng.integers(4, 12))
        noise = value_noise(rng, height, width, cells, cells, 2)
        return 0.5 * _soft_step(noise - np.float32(0.45), 0.05) + 0.5 * _soft_step(noise - np.float32(0.6), 0.05)
    if kind == "stripes":
        return _soft_step(np.abs(np.mod(along, 1.0) - 0.5) - np.float32(rng.uniform(0.15, 0.35)), 0.05)
    if kind == "checks":
        other = (down * np.float32(np.cos(angle)) - across * np.float32(np.sin(angle))) / np.float32(pitch)
        signs = np.clip(np.sin(np.pi * along) * 12, -1, 1) * np.clip(np.sin(np.pi * other) * 12, -1, 1)
        return np.asarray(signs * 0.5 + 0.5, np.float32)
    if kind == "dots":
        other = (down * np.float32(np.cos(angle)) - across * np.float32(np.sin(angle))) / np.float32(pitch)
        near = length(*(np.asarray(np.mod(v, 1.0) - 0.5, np.float32) for v in (along, other)))
        return _soft_step(np.float32(rng.uniform(0.15, 0.35)) - near, 0.08)
    if kind == "planks":
        grain = value_noise(rng, height, width, int(rng.integers(20, 50)), 3, 2)
        row = np.mod(down / np.float32(pitch), 1.0)
        return np.asarray(0.25 + 0.6 * grain - 0.25 * (row < 0.06), np.float32)
    field = np.broadcast_to(0.25 * down, (height, width)).copy()  # hills under a sky
    for k in range(3):
        crest = 0.45 + 0.17 * k + 0.22 * (value_noise(rng, 1, width, 1, int(rng.integers(3, 7))) - 0.5)
        field += (0.25 + 0.02 * k) * _soft_step(down - crest, 2.5 / height)
    return np.asarray(field, np.float32)
