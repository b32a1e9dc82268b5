"""A moving scene for the demo and for live tests: objects wander about and take turns sounding.

    0 s        turn     turn    silence    turn    off-screen    turn       10 s
    |--- bell ---|--- bird ---|         |- drum -|~~ engine ~~|-- clock --|        room noise throughout

Everything follows from the seed; frames and sound can be asked for in any order, size and rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .background import background
from .canvas import Box, Canvas, Colour
from .decoys import decoy
from .figures import FIGURES
from .looks import NUM_PROPORTIONS, Look, new_look
from .motion import Path, wander
from .picture import CLASSES, to_bytes
from .synthesis import SAMPLE_RATE, Wave
from .timeline import Turn, make_timeline, soundtrack

STYLE: tuple[float, Colour, float] = (0.045, (1.0, 1.0, 1.0), 0.38)
THEMES: tuple[tuple[str, tuple[Colour, ...]], ...] = (
    ("hills", ((0.84, 0.93, 0.97), (0.66, 0.82, 0.80), (0.38, 0.60, 0.58))),
    ("checks", ((0.80, 0.87, 0.84), (0.74, 0.83, 0.80))),
    ("planks", ((0.42, 0.30, 0.22), (0.66, 0.50, 0.37), (0.78, 0.63, 0.48))),
    ("dots", ((0.95, 0.86, 0.78), (0.98, 0.92, 0.86))),
    ("stripes", ((0.80, 0.80, 0.90), (0.86, 0.86, 0.94))),
    ("hills", ((0.99, 0.87, 0.76), (0.86, 0.62, 0.60), (0.42, 0.33, 0.47))),
)


class ObjectTruth(NamedTuple):
    """One object at one moment."""

    name: str
    box_px: Box
    sounding: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """An object of the scene; `name` None is a silent look-alike."""

    name: str | None
    look: Look
    path: Path
    mirror: bool
    decoy_kind: int


class Scene:
    """Objects on a background, and a timeline of who sounds when. Made by `scene`."""

    def __init__(self, seed: int, seconds: float, actors: tuple[Actor, ...], timeline: tuple[Turn, ...]) -> None:
        self.seed = seed
        self.seconds = seconds
        self.actors = actors
        self.timeline = timeline
        self._backgrounds: dict[tuple[int, int], npt.NDArray[np.uint8]] = {}

    def turn(self, t_s: float) -> Turn:
        """The turn at `t_s`; times before the start or after the end belong to the first and the last turn."""
        return next((turn for turn in self.timeline if t_s < turn.end_s), self.timeline[-1])

    def frame(self, t_s: float, size: tuple[int, int] = (640, 360)) -> npt.NDArray[np.uint8]:
        """The picture at `t_s` seconds: (height, width, 3) uint8 BGR; `size` is (width, height)."""
        return self.draw(t_s, size)[0]

    def truth(self, t_s: float, size: tuple[int, int] = (640, 360)) -> list[ObjectTruth]:
        """Every object at `t_s` seconds (look-alikes left out) with its box in a picture of `size`."""
        return self.draw(t_s, size)[1]

    def draw(self, t_s: float, size: tuple[int, int] = (640, 360)) -> tuple[npt.NDArray[np.uint8], list[ObjectTruth]]:
        """`frame` and `truth` at the cost of one. Raises `ConfigError` for a side under 32 px."""
        width, height = size
        if min(size) < 32:
            raise ConfigError(f"Scene.draw: size={size}; both sides must be 32 px or more")
        image, truth = self._background(size).copy(), []
        turn = self.turn(t_s)
        for index, actor in enumerate(self.actors):
            x, y, angle = actor.path.at(t_s)
            unit_px = min(height, width / 1.6)
            canvas = Canvas((x * width, y * height), actor.path.scale * unit_px, angle=angle, mirror=actor.mirror)
            if actor.name is None:
                decoy(canvas, actor.look, actor.decoy_kind)
            else:
                FIGURES[actor.name](canvas, actor.look, self._pose(index, t_s))
                truth.append(ObjectTruth(actor.name, canvas.box(width, height), turn.actor == index))
            canvas.finish(*STYLE)
            canvas.paste_bgr(image)
        return image, truth

    def sound(self, sample_rate: int = SAMPLE_RATE) -> Wave:
        """The whole sound, mono: (seconds * sample_rate,) float32 in [-1, 1]. Made at 16 kHz, resampled exactly."""
        if not 1_000 <= sample_rate <= 384_000:
            raise ConfigError(f"Scene.sound: sample_rate={sample_rate}; 1000 to 384000 Hz are possible")
        return soundtrack(self.seed, self.timeline, sample_rate)

    def _pose(self, index: int, t_s: float) -> float:
        """Everything stirs a little all the time and moves at full speed while it sounds."""
        active_s = sum(max(0.0, min(t_s, turn.end_s) - turn.start_s) for turn in self.timeline if turn.actor == index)
        return (0.37 * index + 0.22 * t_s + 1.5 * active_s) % 1.0

    def _background(self, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        if size not in self._backgrounds:
            rng = np.random.default_rng([self.seed, 3])
            kind, colours = THEMES[self.seed % len(THEMES)]
            picture = background(rng, size[0], size[1], kind, colours)
            self._backgrounds[size] = np.ascontiguousarray(to_bytes(picture)[:, :, ::-1])
        return self._backgrounds[size]


def scene(seed: int, seconds: float = 10.0) -> Scene:
    """A scene of four objects of different classes and a look-alike; each object sounds about 1.75 s at a time.

    A stretch of silence and an off-screen sound (1.5 s each in 10 s) lie between the turns. Raises `ConfigError` for
    a negative seed or less than 2 s.
    """
    if seed < 0 or seconds < 2.0:
        raise ConfigError(f"scene: seed={seed} (>= 0), seconds={seconds} (>= 2)")
    rng = np.random.default_rng([seed, 0])
    order = [CLASSES[int(k)] for k in rng.permutation(len(CLASSES))]
    names, absent = order[:4], order[4:]
    looks = [new_look(name, rng, usual=1.0) for name in names]
    like = looks[int(rng.integers(len(looks)))]
    shape = tuple(float(v) for v in rng.random(NUM_PROPORTIONS))
    looks.append(Look(like.main, like.second, like.accent, like.dark, shape))
    cast: list[str | None] = [*names, None]
    paths = wander(rng, len(cast), seconds)
    actors = tuple(
        Actor(name, look, path, bool(rng.random() < 0.5), int(rng.integers(16)))
        for name, look, path in zip(cast, looks, paths, strict=True)
    )
    return Scene(seed, seconds, actors, make_timeline(rng, names, absent[int(rng.integers(len(absent)))], seconds))
