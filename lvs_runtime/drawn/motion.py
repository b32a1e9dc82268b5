"""Smooth paths that keep the objects of a scene inside the picture and off each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

WIDE = 16 / 9  # width over height that the distances are meant for
Floats = npt.NDArray[np.float64]
CANDIDATES = 400  # drawn at once, of which those that keep clear of each other are taken
LONGEST_S = 20.0  # of a longer scene only this much is kept free of collisions


@dataclass(frozen=True, slots=True)
class Path:
    """A slow loop about a home. Places are shares of the picture's width and height; `scale` is half the height."""

    home: tuple[float, float]
    reach: tuple[float, float]
    rate_hz: tuple[float, float]
    start: tuple[float, float]
    scale: float

    def at(self, t_s: float) -> tuple[float, float, float]:
        """x, y (shares of the picture) and lean (rad) at `t_s` seconds."""
        x = self.home[0] + self.reach[0] * sin(2 * pi * (self.rate_hz[0] * t_s + self.start[0]))
        y = self.home[1] + self.reach[1] * sin(2 * pi * (self.rate_hz[1] * t_s + self.start[1]))
        return x, y, 0.10 * sin(2 * pi * (0.31 * t_s + self.start[0]))


def wander(rng: np.random.Generator, count: int, seconds: float) -> list[Path]:
    """`count` (up to 5) paths, as lively as `seconds` without a collision allow."""
    times = np.linspace(0, min(seconds, LONGEST_S), max(2, round(4 * min(seconds, LONGEST_S))))
    for attempt in range(200):
        draws = _draw(rng, CANDIDATES, 0.985**attempt)
        tracks = draws.home[..., None] + draws.reach[..., None] * np.sin(
            2 * pi * (draws.rate_hz[..., None] * times + draws.start[..., None])
        )
        tracks[:, 0] *= WIDE
        chosen: list[int] = []
        free = np.ones(CANDIDATES, bool)
        while free.any():
            pick = int(np.flatnonzero(free)[0])
            chosen.append(pick)
            if len(chosen) == count:
                return [draws.path(k) for k in chosen]
            gap = 1.02 * (draws.scale + draws.scale[pick])
            near = (np.abs(tracks - tracks[pick]) < gap[:, None, None]).all(axis=1).any(axis=1)
            free &= ~near
    raise AssertionError(f"no room for {count} objects")


class _Draws(NamedTuple):
    """Candidates: (n, 2) arrays of x and y values, and (n,) half heights; in shares of the picture, as in `Path`."""

    home: Floats
    reach: Floats
    rate_hz: Floats
    start: Floats
    scale: Floats

    def path(self, k: int) -> Path:
        home, reach, rate_hz, start = ((float(v[k, 0]), float(v[k, 1])) for v in self[:4])
        return Path(home, reach, rate_hz, start, float(self.scale[k]))


def _draw(rng: np.random.Generator, n: int, liveliness: float) -> _Draws:
    scale = rng.uniform(0.155, 0.19, n)
    room = np.stack([0.5 - 1.08 * scale / WIDE, 0.5 - 1.08 * scale], axis=1)
    reach = np.minimum(rng.uniform((0.1, 0.08), 0.2, (n, 2)) * liveliness, 0.9 * room)
    home = 0.5 + rng.uniform(-1, 1, (n, 2)) * (room - reach)
    return _Draws(home, reach, rng.uniform(0.08, 0.18, (n, 2)), rng.random((n, 2)), scale)
