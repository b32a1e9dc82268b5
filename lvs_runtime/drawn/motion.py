"""Smooth paths that keep the objects of a scene inside the picture and off each other."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin

import numpy as np
import numpy.typing as npt

WIDE = 16 / 9  # width over height that the distances are meant for
Floats = npt.NDArray[np.float64]
Track = tuple[Floats, Floats, float]  # x, y (both in picture heights) at every time, and the half height


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
    """`count` (up to 6) paths, as lively as `seconds` without a collision allow."""
    times = np.linspace(0, seconds, max(2, round(6 * seconds)))
    for attempt in range(200):
        liveliness = 1.0 - 0.95 * attempt / 200
        paths: list[Path] = []
        tracks: list[Track] = []
        for _ in range(40 * count):
            path = _path(rng, liveliness)
            track = _track(path, times)
            if all(_apart(track, other) for other in tracks):
                paths.append(path)
                tracks.append(track)
                if len(paths) == count:
                    return paths
    raise AssertionError(f"no room for {count} objects")


def _path(rng: np.random.Generator, liveliness: float) -> Path:
    scale = float(rng.uniform(0.165, 0.2))
    room_x, room_y = 0.5 - 1.08 * scale / WIDE, 0.5 - 1.08 * scale
    reach = float(rng.uniform(0.1, 0.2)) * liveliness, float(rng.uniform(0.08, 0.2)) * liveliness
    reach = min(reach[0], 0.9 * room_x), min(reach[1], 0.9 * room_y)
    slack = room_x - reach[0], room_y - reach[1]
    return Path(
        home=(0.5 + float(rng.uniform(-1, 1)) * slack[0], 0.5 + float(rng.uniform(-1, 1)) * slack[1]),
        reach=reach,
        rate_hz=(float(rng.uniform(0.05, 0.13)), float(rng.uniform(0.05, 0.13))),
        start=(float(rng.random()), float(rng.random())),
        scale=scale,
    )


def _track(path: Path, times: Floats) -> Track:
    x, y = (
        path.home[axis] + path.reach[axis] * np.sin(2 * pi * (path.rate_hz[axis] * times + path.start[axis]))
        for axis in (0, 1)
    )
    return x * WIDE, y, path.scale


def _apart(track: Track, other: Track) -> bool:
    """Whether two objects' squares never touch."""
    gap = 1.02 * (track[2] + other[2])
    near = (np.abs(track[0] - other[0]) < gap) & (np.abs(track[1] - other[1]) < gap)
    return not bool(near.any())
