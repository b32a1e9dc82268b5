"""Training pairs of the drawn world: one picture with several objects, one sound that belongs to one of them.

Nothing but the class ties sound to picture. All objects are drawn first and the sounding one is chosen among them
afterwards by lot; poses, places, sizes and colours know nothing of the choice, the sound nothing of the place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .background import background
from .canvas import Canvas, Field
from .decoys import decoy
from .figures import FIGURES
from .looks import Look, new_look, shade
from .sounds import SAMPLE_RATE, SOUNDS, Wave, level, room_noise

Box = tuple[int, int, int, int]

CLASSES: tuple[str, ...] = tuple(FIGURES)
SILENCE = "silence"
NOWHERE: Box = (0, 0, 0, 0)
ASPECTS = (1.0, 4 / 3, 16 / 9)  # a camera frame is squashed to a square: its objects become this much narrower
assert CLASSES == tuple(SOUNDS)


class Pair(NamedTuple):
    """A picture and its sound. `box_px` is `NOWHERE` when nothing in the picture sounds."""

    image_rgb: npt.NDArray[np.uint8]  # (size_px, size_px, 3)
    waveform: Wave  # (seconds * 16000,) float32 in [-1, 1]
    label: str  # class of the sound, or "silence"
    box_px: Box  # x0, y0, x1, y1 (x1, y1 exclusive) of the sounding object


def training_pair(
    rng: np.random.Generator,
    size_px: int = 224,
    seconds: float = 3.0,
    num_objects: int | None = None,
    *,
    absent: bool = False,
    silent: bool = False,
) -> Pair:
    """One pair: `num_objects` (2 to 5, default by lot 2 to 4) in the picture, one of which is heard.

    `absent`: the sound is of a class that is not in the picture. `silent`: no sound at all (digital silence, or room
    noise of -70 to -55 dBFS). Raises `ConfigError` for sizes out of range.
    """
    if num_objects is not None and not 2 <= num_objects <= 5:
        raise ConfigError(f"training_pair: num_objects={num_objects}; 2 to 5 fit into one picture")
    if size_px < 32 or seconds < 0.1 or (absent and silent):
        raise ConfigError(
            f"training_pair: size_px={size_px} (>= 32), seconds={seconds} (>= 0.1), absent={absent}, silent={silent} "
            "(not both)"
        )
    image, present = draw_picture(rng, size_px, num_objects or int(rng.integers(2, 5)))
    num_samples = round(seconds * SAMPLE_RATE)
    if silent:
        return Pair(image, quiet(rng, num_samples), SILENCE, NOWHERE)
    if absent:
        others = [name for name in CLASSES if name not in {p[0] for p in present}]
        name = others[int(rng.integers(len(others)))]
        return Pair(image, heard(rng, name, num_samples), name, NOWHERE)
    name, box = present[int(rng.integers(len(present)))]
    return Pair(image, heard(rng, name, num_samples), name, box)


def silent_pair(rng: np.random.Generator, size_px: int = 224, seconds: float = 3.0) -> Pair:
    """A picture as in `training_pair` with no sound but, at most, faint room noise."""
    return training_pair(rng, size_px, seconds, silent=True)


def heard(rng: np.random.Generator, name: str, num_samples: int) -> Wave:
    """The sound of class `name` at -30 to -6 dBFS with room noise 12 to 45 dB under it: (num_samples,) float32."""
    dbfs = float(rng.uniform(-30, -6))
    wave = level(SOUNDS[name](rng, num_samples), dbfs)
    wave += room_noise(rng, num_samples, dbfs - float(rng.uniform(12, 45)))
    return np.clip(wave, -1.0, 1.0, out=wave)


def quiet(rng: np.random.Generator, num_samples: int) -> Wave:
    """Silence: one time in five all zeros, else room noise at -70 to -55 dBFS."""
    if rng.random() < 0.2:
        return np.zeros(num_samples, np.float32)
    return room_noise(rng, num_samples, float(rng.uniform(-70, -55)))


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
        canvas = Canvas(scale, aspect=aspect, angle=float(rng.normal(0, 0.14)), mirror=bool(rng.random() < 0.5))
        if k < num_real:
            FIGURES[names[k]](canvas, looks[k], float(rng.random()))
        else:
            decoy(canvas, _alike(rng, looks), int(rng.integers(16)))
        canvas.finish(*style)
        box = canvas.paste(picture, (x, y))
        if k < num_real:
            present.append((names[k], box))
    return _to_bytes(picture), present


def _alike(rng: np.random.Generator, looks: list[Look]) -> Look:
    """The colours of any of the objects in the picture (not of the sounding one: that would give it away)."""
    like = looks[int(rng.integers(len(looks)))]
    return Look(like.main, like.second, like.accent, like.dark, tuple(float(v) for v in rng.random(8)))


def _style(rng: np.random.Generator) -> tuple[float, tuple[float, float, float], float]:
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


def _to_bytes(picture: Field) -> npt.NDArray[np.uint8]:
    """(3, H, W) float32 in [0, 1] -> (H, W, 3) uint8."""
    np.clip(picture, 0.0, 1.0, out=picture)
    picture *= np.float32(255.0)
    picture += np.float32(0.5)
    return np.ascontiguousarray(picture.astype(np.uint8).transpose(1, 2, 0))
