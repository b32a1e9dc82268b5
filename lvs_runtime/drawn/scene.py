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
from .looks import Look, new_look
from .motion import Path, wander
from .picture import CLASSES, to_bytes
from .sounds import SAMPLE_RATE, SOUNDS, Wave, level, room_noise

ROOM_DBFS = -65.0
PAUSE_S = 1.5  # length of the silence and of the off-screen sound
TURN_S = 1.75  # length that an object's turn aims at
FADE_S = 0.03
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
class Turn:
    """What is heard from `start_s` to `end_s`: `name` None is silence; `actor` None is nothing in the picture."""

    start_s: float
    end_s: float
    name: str | None
    actor: int | None


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
        num_samples = round(self.seconds * SAMPLE_RATE)
        out = room_noise(np.random.default_rng([self.seed, 1]), num_samples, ROOM_DBFS)
        for k, turn in enumerate(self.timeline):
            if turn.name is not None:
                first, last = round(turn.start_s * SAMPLE_RATE), min(round(turn.end_s * SAMPLE_RATE), num_samples)
                out[first:last] += _performance(np.random.default_rng([self.seed, 2, k]), turn.name, last - first)
        return _resample(out, round(self.seconds * sample_rate))

    def _pose(self, index: int, t_s: float) -> float:
        """Everything stirs a little all the time and moves at full speed while it sounds."""
        active_s = sum(
            max(0.0, min(t_s, turn.end_s) - turn.start_s) for turn in self.timeline if turn.actor == index
        )
        return (0.37 * index + 0.22 * t_s + 1.5 * active_s) % 1.0

    def _background(self, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        if size not in self._backgrounds:
            rng = np.random.default_rng([self.seed, 3])
            kind, colours = THEMES[self.seed % len(THEMES)]
            picture = background(rng, size[0], size[1], kind, colours)
            self._backgrounds[size] = np.ascontiguousarray(to_bytes(picture)[:, :, ::-1])
        return self._backgrounds[size]


def scene(seed: int, seconds: float = 10.0) -> Scene:
    """A scene of four classes, often with a look-alike; each sounds about 1.75 s at a time.

    A stretch of silence and an off-screen sound (1.5 s each in 10 s) lie between the turns. Raises `ConfigError` for
    a negative seed or less than 2 s.
    """
    if seed < 0 or seconds < 2.0:
        raise ConfigError(f"scene: seed={seed} (>= 0), seconds={seconds} (>= 2)")
    rng = np.random.default_rng([seed, 0])
    order = [CLASSES[int(k)] for k in rng.permutation(len(CLASSES))]
    names, absent = order[:4], order[4:]
    looks = [new_look(name, rng, usual=1.0) for name in names]
    cast: list[str | None] = list(names)
    if rng.random() < 0.75:
        like = looks[int(rng.integers(len(looks)))]
        cast.append(None)
        looks.append(Look(like.main, like.second, like.accent, like.dark, tuple(float(v) for v in rng.random(8))))
    paths = wander(rng, len(cast), seconds)
    actors = tuple(
        Actor(name, look, path, bool(rng.random() < 0.5), int(rng.integers(16)))
        for name, look, path in zip(cast, looks, paths, strict=True)
    )
    return Scene(seed, seconds, actors, _timeline(rng, names, absent[int(rng.integers(len(absent)))], seconds))


def _timeline(rng: np.random.Generator, names: list[str], absent: str, seconds: float) -> tuple[Turn, ...]:
    """Turns of the four objects in a random order, over and over, with the silence and the off-screen sound among them."""
    pause_s = min(PAUSE_S, 0.15 * seconds)
    count = max(2, round((seconds - 2 * pause_s) / TURN_S))
    lengths = rng.uniform(0.92, 1.08, count)
    lengths *= (seconds - 2 * pause_s) / lengths.sum()
    order = [int(k) for k in rng.permutation(len(names))]
    parts: list[tuple[str | None, int | None, float]] = [
        (names[order[k % 4]], order[k % 4], float(lengths[k])) for k in range(count)
    ]
    parts.insert(count // 2, (None, None, pause_s))
    parts.insert(count // 2 + 2, (absent, None, pause_s))
    ends = np.cumsum([length for *_, length in parts])
    ends[-1] = seconds
    starts = [0.0, *(float(end) for end in ends[:-1])]
    return tuple(Turn(a, float(b), part[0], part[1]) for a, b, part in zip(starts, ends, parts, strict=True))


def _performance(rng: np.random.Generator, name: str, num_samples: int) -> Wave:
    """The sound of one turn at -20 to -13 dBFS, faded in and out."""
    wave = level(SOUNDS[name](rng, num_samples), float(rng.uniform(-20, -13)))
    ramp = np.linspace(0, 1, round(FADE_S * SAMPLE_RATE), dtype=np.float32)
    wave[: ramp.size] *= ramp
    wave[-ramp.size :] *= ramp[::-1]
    return wave


def _resample(wave: Wave, num_samples: int) -> Wave:
    """Band-limited resampling of a whole clip to `num_samples` (the spectrum is cut, or filled up with zeros)."""
    if num_samples == wave.size:
        return np.clip(wave, -1.0, 1.0)
    spectrum = np.fft.rfft(wave)[: num_samples // 2 + 1]
    longer = np.fft.irfft(spectrum, num_samples) * (num_samples / wave.size)
    return np.clip(longer, -1.0, 1.0).astype(np.float32)
