"""Work for the engines' tests: importable by name in worker processes. And small recordings with a moving square."""

from __future__ import annotations

import os
import signal
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

RATE = 48_000


def square(item: int) -> int:
    return item * item


def dies(folder: str, item: int) -> int:
    """Item 3 kills its worker each time, item 5 only the first time."""
    mark = Path(folder) / f"{item}-{time.monotonic_ns()}"
    mark.touch()
    if item == 3 or (item == 5 and len(list(Path(folder).glob("5-*"))) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def raises(item: int) -> int:
    raise ValueError(f"item {item}")


def write_clip(
    path: Path, seconds: float = 3.0, fps: float = 25, codec: str = "libx264", size: tuple[int, int] = (96, 64),
    level: float = 0.3, sound: bool = True, video: bool = True, stamps: list[int] | None = None,
    options: dict[str, str] | None = None, seed: int = 0,
) -> Path:  # fmt: skip
    """A square that walks over noise, and a tone. `stamps`: of the pictures, in ms (variable frame rate)."""
    import av

    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 70, (size[1], size[0], 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        pictures = tone = None
        if video:
            pictures = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options or {})
            pictures.width, pictures.height, pictures.pix_fmt = *size, "yuv420p"
            pictures.codec_context.time_base = Fraction(1, 1000)
        if sound:
            tone = container.add_stream("libmp3lame" if path.suffix == ".avi" else "aac", rate=RATE, layout="mono")
        places = stamps if stamps is not None else [round(1000 * i / fps) for i in range(int(seconds * fps))]
        wave = (level * np.sin(2 * np.pi * 500 * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)
        done = 0
        for i, stamp in enumerate(places):
            if pictures is not None:
                image = noise.copy()
                left = (7 * i) % (size[0] - 16)
                image[20:36, left : left + 16] = 60 + (i * 37) % 190
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts, frame.time_base = stamp, Fraction(1, 1000)
                container.mux(pictures.encode(frame))
            while tone is not None and done < min(len(wave), (stamp / 1000 + 0.3) * RATE):
                done = _encode(container, tone, wave, done)
        while tone is not None and done < len(wave):
            done = _encode(container, tone, wave, done)
        for stream in (pictures, tone):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def tables(out: Path) -> tuple[list[dict], list[dict]]:
    """Both tables in one order."""
    import pyarrow.parquet as pq

    frames = [row for path in sorted((out / "frames").rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    files = [row for path in sorted((out / "files").rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return sorted(frames, key=lambda r: (r["file_id"], r["t_s"])), sorted(files, key=lambda r: r["path"])


def _encode(container, stream, wave: np.ndarray, done: int) -> int:
    import av

    block = wave[done : done + 1024]
    frame = av.AudioFrame.from_ndarray(block[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, done, Fraction(1, RATE)
    container.mux(stream.encode(frame))
    return done + len(block)
