"""Shared by the tests of capture and live: small media files, scripted sources, a toy model."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from lvs_runtime.capture.base import EndOfSource, SoundBlock, SourceInfo
from lvs_runtime.results import VideoFrame

SIZE = (64, 48)
FPS = 25
RATE = 16_000


def load(path: Path, name: str):
    """A module of the tests by its path (pytest's importlib mode has no packages to import from)."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def toy_bundle(folder: Path) -> Path:
    """The bundle of the runtime's own tests: bright cells answer, to any sound."""
    return load(Path(__file__).parents[1] / "runtime/conftest.py", "lvs_runtime_conftest")._write_bundle(folder)


def tone(seconds: float, rate: int = RATE, hz: float = 440.0, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def picture(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Grey noise that differs each time, with a bright square that walks to the right."""
    image = np.random.default_rng(index).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    left = 4 + index % 40
    image[12:28, left : left + 12] = 250
    return image


def write_media(
    path: Path,
    seconds: float = 2.0,
    *,
    video: bool = True,
    audio: bool = True,
    rate: int = RATE,
    channels: int = 1,
    waveform: np.ndarray | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A small mp4 (or what the suffix says) made with PyAV: mpeg4 picture, AAC or PCM sound, interleaved."""
    import av

    with av.open(str(path), "w", options=options or {}) as container:
        pictures = sound = None
        if video:
            pictures = container.add_stream("mpeg4", rate=FPS)
            pictures.width, pictures.height, pictures.pix_fmt = *SIZE, "yuv420p"
        if audio:
            codec = "pcm_s16le" if path.suffix == ".wav" else "aac"
            sound = container.add_stream(codec, rate=rate, layout="stereo" if channels == 2 else "mono")
            wave = tone(seconds, rate) if waveform is None else waveform
        done = 0
        for index in range(int(seconds * FPS)):
            if pictures is not None:
                frame = av.VideoFrame.from_ndarray(picture(index), format="bgr24")
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                container.mux(pictures.encode(frame))
            if sound is not None:
                while done < min(len(wave), (index + 1) * rate // FPS):
                    block = wave[done : done + 1024]
                    planes = np.repeat(block[None], channels, axis=0)
                    layout = "stereo" if channels == 2 else "mono"
                    if path.suffix == ".wav":
                        packed = np.ascontiguousarray((planes.T * 32767).astype(np.int16).reshape(1, -1))
                        audio_frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
                    else:
                        audio_frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
                    audio_frame.sample_rate, audio_frame.pts = rate, done
                    audio_frame.time_base = Fraction(1, rate)
                    container.mux(sound.encode(audio_frame))
                    done += len(block)
        for stream in (pictures, sound):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def drain(source) -> tuple[list[VideoFrame], list[SoundBlock], list]:
    """Everything a media source gives: frames, blocks, and all items in order."""
    items = []
    try:
        while True:
            item = source.read(0.0)
            if item is not None:
                items.append(item)
    except EndOfSource:
        pass
    finally:
        source.close()
    frames = [i for i in items if isinstance(i, VideoFrame)]
    blocks = [i for i in items if isinstance(i, SoundBlock)]
    return frames, blocks, items


class Scripted:
    """A source that plays a script. Each step is an item, None (nothing came), an exception, or a function of no
    argument that gives one of these. After the script: `EndOfSource` for media, nothing any more for live ones.

    `opens` are exceptions or None, one for each `open()`; the last counts for all further ones. A live script begins
    when `released` is set: a session lets live pictures go by until it runs.
    """

    def __init__(self, script, *, picture=True, sound=False, live=True, opens=(None,), pause_s=0.0):
        self.info = SourceInfo(name="scripted", kind="camera" if picture else "microphone", fps=FPS, size_px=SIZE)
        self.has_picture, self.has_sound, self.is_live = picture, sound, live
        self._script, self._opens, self._pause_s = iter(script), list(opens), pause_s
        self.opened = self.closed = 0
        self.released = threading.Event()
        if not live:
            self.released.set()

    def open(self):
        result = self._opens[min(self.opened, len(self._opens) - 1)]
        self.opened += 1
        if result is not None:
            raise result

    def read(self, timeout_s):
        if self._pause_s:
            time.sleep(self._pause_s)
        if not self.released.wait(min(timeout_s, 0.02)):
            return None
        try:
            step = next(self._script)
        except StopIteration:
            if not self.is_live:
                raise EndOfSource from None
            time.sleep(min(timeout_s, 0.02))
            return None
        step = step() if callable(step) else step
        if isinstance(step, Exception):
            raise step
        return step

    def close(self):
        self.closed += 1
        return True


def frame_now(index: int = 0):
    """A script step: a fresh live frame."""

    def step():
        now_ns = time.monotonic_ns()
        return VideoFrame(picture(index), now_ns, now_ns, 0, "driver")

    return step


def media_items(seconds: float, *, sound: bool = True, frames: bool = True) -> list:
    """A media script in time order: tone and walking square."""
    items = []
    wave = tone(seconds)
    for start in range(0, len(wave) if sound else 0, 320):
        items.append(SoundBlock(samples=wave[start : start + 320], sample_rate=RATE, start_ns=start * 10**9 // RATE))
    for index in range(int(seconds * FPS) if frames else 0):
        stamp_ns = index * 10**9 // FPS
        items.append(VideoFrame(picture(index), stamp_ns, stamp_ns, 0, "file"))
    return sorted(items, key=lambda i: (i.start_ns, 0) if isinstance(i, SoundBlock) else (i.capture_ns, 1))
