"""Feeds the fake camera and the fake microphone from one clock: each second a flash together with a beep.

    python feeder.py --camera cam.fifo --mic mic.fifo [--clip clip.mp4] [--mic-ppm 300]

A frame is written when it "happened", a block of sound when its last sample did. Between beeps the microphone has a
few LSB of noise, as a real one: digital zero would mean that it is gone. A frame that is late by a whole interval is
left out, as a camera without a free buffer does. Runs until it is ended; ending it unplugs the camera.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Iterator

import numpy as np

RATE = 48_000
BLOCK = RATE // 100


class Player:
    """What camera and microphone see and hear at each index."""

    def __init__(self, size: tuple[int, int], fps: int, rate: float) -> None:
        self.size, self.fps, self.rate = size, fps, rate  # rate: the sound card's true one
        rng = np.random.default_rng(0)
        self.noise = rng.normal(0, 3, RATE)
        self.pixels = rng.integers(16, 40, (64, size[1], size[0]), dtype=np.uint8)

    def frame(self, index: int) -> bytes:
        """YUYV: noise, a bright square that walks, and a white flash in each second's first frame."""
        yuyv = np.full((self.size[1], self.size[0], 2), 128, np.uint8)
        yuyv[..., 0] = 235 if index % self.fps == 0 else self.pixels[index % 64]
        left = 3 * index % (self.size[0] - 60)
        yuyv[60:120, left : left + 60, 0] = 235
        return yuyv.tobytes()

    def sound(self, index: np.ndarray) -> np.ndarray:
        """s16 stereo for these sample indices: a 1 kHz beep of 0.3 s in each second."""
        t = index / self.rate
        wave = np.where(t % 1 < 0.3, 10_000 * np.sin(2 * np.pi * 1000 * t), 0) + self.noise[index % RATE]
        return np.repeat(np.round(wave).astype("<i2")[:, None], 2, axis=1)


class ClipPlayer(Player):
    """A real clip instead, over and over."""

    def __init__(self, path: str, size: tuple[int, int], fps: int, rate: float) -> None:
        import av

        super().__init__(size, fps, rate)
        self.frames: list[bytes] = []
        blocks: list[np.ndarray] = []
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=RATE)
        with av.open(path) as container:
            for item in container.decode(container.streams.video[0], container.streams.audio[0]):
                if isinstance(item, av.AudioFrame):
                    blocks += [out.to_ndarray().reshape(-1, 2) for out in resampler.resample(item)]
                    continue
                while len(self.frames) <= (item.time or 0) * fps:
                    self.frames.append(item.reformat(*size, "yuyv422").to_ndarray().tobytes())
        self.wave = np.concatenate(blocks)

    def frame(self, index: int) -> bytes:
        return self.frames[index % len(self.frames)]

    def sound(self, index: np.ndarray) -> np.ndarray:
        return self.wave[index % len(self.wave)]


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def on_time(start_s: float, step_s: float) -> Iterator[tuple[int, float]]:
    """(index, how late, s) at each multiple of `step_s`."""
    index = 0
    while True:
        due_s = start_s + index * step_s
        time.sleep(max(0.0, due_s - time.monotonic()))
        yield index, time.monotonic() - due_s
        index += 1


def feed_camera(path: str, player: Player, start_s: float) -> None:
    fd = os.open(path, os.O_RDWR)  # never blocks, and keeps a writer there before the camera is opened
    for index, late_s in on_time(start_s, 1 / player.fps):
        if late_s < 1 / player.fps:
            write_all(fd, player.frame(index))


def feed_mic(path: str, player: Player, start_s: float) -> None:
    fd = os.open(path, os.O_WRONLY)
    step_s = BLOCK / player.rate
    for index, _ in on_time(start_s + step_s, step_s):
        write_all(fd, player.sound(index * BLOCK + np.arange(BLOCK)).tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camera", help="FIFO for raw YUYV frames")
    parser.add_argument("--mic", help="FIFO for s16le stereo sound at 48 kHz")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--mic-ppm", type=float, default=0.0, help="how much too fast the sound card runs")
    parser.add_argument("--clip", help="play this file's picture and sound")
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    size = (width, height)
    rate = RATE * (1 + args.mic_ppm * 1e-6)
    player = ClipPlayer(args.clip, size, args.fps, rate) if args.clip else Player(size, args.fps, rate)
    print("feeding", flush=True)  # a clip takes a while to decode
    start_s = time.monotonic() + 0.2
    threads = []
    if args.camera:
        threads.append(threading.Thread(target=feed_camera, args=(args.camera, player, start_s), daemon=True))
    if args.mic:
        threads.append(threading.Thread(target=feed_mic, args=(args.mic, player, start_s), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
