"""Training pairs of the drawn world: one picture with several objects, one sound that belongs to one of them.

Nothing but the class ties sound to picture. All objects are drawn first and the sounding one is chosen among them
afterwards by lot; poses, places, sizes and colours know nothing of the choice, the sound nothing of the place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .canvas import Box
from .picture import CLASSES, draw_picture
from .sounds import SOUNDS, level, room_noise
from .synthesis import SAMPLE_RATE, Wave

SILENCE = "silence"
NOWHERE: Box = (0, 0, 0, 0)
assert tuple(SOUNDS) == CLASSES


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
