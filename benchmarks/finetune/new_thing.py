"""A thing that no model of this project has ever seen or heard, in short videos beside things that it knows.

The thing is a box with an aerial, a screen and lamps; its sound is data: two tones that alternate at random, many times
a second. Each video shows another individual (colours, proportions, pitches, speed) that wanders about, beside two
objects and a look-alike of the drawn world, all silent. Everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from lvs_runtime import drawn
from lvs_runtime.drawn.background import background
from lvs_runtime.drawn.canvas import Box, Canvas
from lvs_runtime.drawn.decoys import decoy
from lvs_runtime.drawn.figures import FIGURES
from lvs_runtime.drawn.looks import ANY, BRIGHT, DARK, NUM_PROPORTIONS, Look, new_look, pick_colour, shade
from lvs_runtime.drawn.motion import Path as Way
from lvs_runtime.drawn.motion import wander
from lvs_runtime.drawn.picture import to_bytes
from lvs_runtime.drawn.pose import WHITE, wave
from lvs_runtime.drawn.sounds import level, room_noise

NAME = "modem"
RATE = 16_000
SIZE, FPS, SECONDS = (320, 180), 10, 6.0
Wave = npt.NDArray[np.float32]


def draw_thing(canvas: Canvas, look: Look, pose: float) -> None:
    """The box: aerial and feet behind it, a screen with a zigzag, a row of lamps that run."""
    lean, tall = look.mix(0, -0.35, 0.35), look.mix(1, 0.34, 0.5)
    canvas.fill(canvas.stroke((0.1, -0.2), (0.1 + lean, -0.9), 0.035), look.dark)
    canvas.fill(canvas.disc(0.1 + lean, -0.9, 0.09), look.accent)
    for side in (-0.6, 0.6):
        canvas.fill(canvas.slab(side, 0.86, 0.16, 0.1, 0.03), look.dark)
    canvas.fill(canvas.slab(0.0, 0.3, 0.92, tall, 0.08), look.main)
    canvas.mark(canvas.slab(-0.28, 0.3 - 0.2 * tall, 0.5, 0.56 * tall, 0.05), shade(look.dark, 0.7), lit=False)
    for k in range(4):
        up = 0.24 * tall * (1 if k % 2 else -1) * (0.5 + 0.5 * wave(pose + k / 4))
        start, end = (-0.66 + 0.19 * k, 0.3 - 0.2 * tall - up), (-0.47 + 0.19 * k, 0.3 - 0.2 * tall + up)
        canvas.mark(canvas.stroke(start, end, 0.03), look.second, lit=False)
    for k in range(3):
        lit = int(3 * pose) % 3 == k
        canvas.mark(canvas.disc(0.5, 0.3 + tall * (0.55 * k - 0.55), 0.09), WHITE if lit else look.accent, lit=not lit)
    canvas.mark(canvas.slab(-0.28, 0.3 + 0.66 * tall, 0.5, 0.05, 0.04), shade(look.main, 0.6))


def sound_of_thing(rng: np.random.Generator, num_samples: int) -> Wave:
    """Data as tones: (num_samples,) at 16 kHz, any scale."""
    low, speed = float(np.exp(rng.uniform(np.log(700), np.log(1500)))), rng.uniform(18, 60)
    high = low * rng.uniform(1.35, 1.9)
    bits = rng.random(int(num_samples / RATE * speed) + 2) < 0.5
    hz = np.where(bits, high, low)[(np.arange(num_samples) / RATE * speed).astype(int)]
    turns = np.cumsum(hz) / RATE
    tone = np.sin(2 * np.pi * (turns - np.floor(turns))) + rng.uniform(0.0, 0.3) * np.sin(6 * np.pi * turns)
    return np.asarray(tone, np.float32)


def new_thing(rng: np.random.Generator) -> Look:
    """Another individual: any colours, any proportions."""
    main = pick_colour(rng, BRIGHT[int(rng.integers(len(BRIGHT)))] if rng.random() < 0.5 else ANY)
    second, accent, dark = (pick_colour(rng, family) for family in (ANY, ANY, DARK))
    return Look(main, second, accent, dark, tuple(float(v) for v in rng.random(NUM_PROPORTIONS)))


@dataclass(frozen=True)
class Clip:
    """One video: what is in it, and where at any time."""

    seed: int
    names: tuple[str | None, ...]  # NAME first, then what the model knows, then None: a look-alike
    looks: tuple[Look, ...]
    ways: tuple[Way, ...]
    backdrop: npt.NDArray[np.uint8]
    sound: Wave

    def draw(self, t_s: float) -> tuple[npt.NDArray[np.uint8], dict[str, Box]]:
        """The picture at a time, BGR, and the box of everything with a name."""
        image, boxes = self.backdrop.copy(), {}
        for k, (name, look, way) in enumerate(zip(self.names, self.looks, self.ways, strict=True)):
            x, y, angle = way.at(t_s)
            canvas = Canvas(
                (x * SIZE[0], y * SIZE[1]), way.scale * SIZE[1], angle=angle, mirror=(self.seed + k) % 2 == 0
            )
            pose = (0.37 * k + 0.9 * t_s) % 1.0
            if name is None:
                decoy(canvas, look, self.seed % 16)
            else:
                (draw_thing if name == NAME else FIGURES[name])(canvas, look, pose)
                boxes[name] = canvas.box(*SIZE)
            canvas.finish(0.045, (1.0, 1.0, 1.0), 0.35)
            canvas.paste_bgr(image)
        return image, boxes

    def write(self, path: Path) -> None:
        """As mp4 (H.264, AAC), as a camera would leave it."""
        with av.open(str(path), "w") as container:
            video = container.add_stream("libx264", rate=FPS, options={"crf": "23", "preset": "veryfast"})
            video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
            audio = container.add_stream("aac", rate=RATE, layout="mono")
            for index in range(round(SECONDS * FPS)):
                frame = av.VideoFrame.from_ndarray(self.draw(index / FPS)[0], format="bgr24")
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            for first in range(0, len(self.sound), 1024):
                block = av.AudioFrame.from_ndarray(self.sound[None, first : first + 1024], format="fltp", layout="mono")
                block.sample_rate, block.pts = RATE, first
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))


def clip(seed: int, photos: list[Path] | None = None) -> Clip:
    """The clip of a seed; `photos` are backgrounds, without them drawn ones."""
    rng = np.random.default_rng((seed, 41))
    known = [drawn.CLASSES[int(k)] for k in rng.permutation(len(drawn.CLASSES))[:2]]
    looks = [new_thing(rng), *(new_look(name, rng) for name in known), new_thing(rng)]
    if photos:
        photo = cv2.imread(str(photos[int(rng.integers(len(photos)))]))
        backdrop = np.asarray(cv2.resize(photo, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        backdrop = np.ascontiguousarray(to_bytes(background(rng, *SIZE))[..., ::-1])
    loud = float(rng.uniform(-28, -8))
    sound = level(sound_of_thing(rng, round(SECONDS * RATE)), loud)
    sound += room_noise(rng, len(sound), loud - float(rng.uniform(12, 40)))
    ways = wander(rng, 4, SECONDS)
    return Clip(seed, (NAME, *known, None), tuple(looks), tuple(ways), backdrop, sound.clip(-1, 1))
