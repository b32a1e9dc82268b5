"""Flash and beep through the whole path: glass to result, and how far sound and picture are apart.

    emitted |###|            screen lights up, beep sounds (one stamp for both)
    frame        |[lit]      first frame that shows it: its capture stamp
    sound        |~~~~       first sample of the beep: its stamp in the session's sound
    result            |      hand-over of that frame's result: glass to result = result - emitted

The A/V offset is beep's stamp minus flash's stamp as the session has them; what should be 0 and is constant is taken
off with `av_offset_ms`. The wait of the flash for the next frame (up to a period) is part of glass to result.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from .percentiles import summary

FLASH_NS = 150_000_000
BEEP_NS = 100_000_000
EVERY_NS = 700_000_000  # about; each flash at a random moment of the frame's period
MATCH_NS = 500_000_000  # a flash that is seen later than this was not seen
QUIET_NS = 200_000_000  # a beep begins after so much quiet
Ints = npt.NDArray[np.int64]


class Seen(NamedTuple):
    """One processed frame."""

    number: int
    capture_ns: int
    result_ns: int
    light: float  # mean value, 0...255


class Flash(NamedTuple):
    """The first processed frame that is lit. `exact`: the frame before it was processed too, and was dark."""

    capture_ns: int
    result_ns: int
    exact: bool


class FlashSink:
    """Listens in: how bright each frame was, and the session's sound with its stamps."""

    name = "loopback"
    queue_size = 4096
    wants_stop = False

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.heard: list[tuple[int, int, npt.NDArray[np.float32]]] = []  # stamp, rate, samples
        self._lock = threading.Lock()

    def open(self, info: SessionInfo) -> None:
        """Nothing to open."""

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Note the frame's brightness, every 8th pixel."""
        with self._lock:
            light = float(frame.image_bgr[::8, ::8].mean())
            self.seen.append(Seen(result.frame_index, result.capture_ns, result.output_ns, light))

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Keep the sound."""
        with self._lock:
            self.heard.append((start_ns, sample_rate, np.asarray(samples, np.float32)))

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class FlashShown:
    """Virtual screen and loudspeaker in front of a virtual camera and microphone (see `camera.Shown`)."""

    size_px: tuple[int, int]
    flashes_ns: Ints  # after the start
    sample_rate: int = 16_000
    start_ns: int = 0
    _dark: Any = field(init=False)
    _lit: Any = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self._dark = rng.integers(16, 40, (self.size_px[1], self.size_px[0], 3), dtype=np.uint8)
        self._lit = rng.integers(200, 256, (self.size_px[1], self.size_px[0], 3), dtype=np.uint8)
        self._noise = rng.normal(0, 1e-3, self.sample_rate).astype(np.float32)

    def frame(self, media_ns: int) -> npt.NDArray[np.uint8]:
        """Lit while a flash lasts."""
        last = int(np.searchsorted(self.flashes_ns, media_ns, side="right")) - 1
        lit = last >= 0 and media_ns - self.flashes_ns[last] < FLASH_NS
        picture: npt.NDArray[np.uint8] = self._lit if lit else self._dark
        return picture

    def block(self, begin: int, end: int) -> npt.NDArray[np.float32]:
        """1 kHz from the moment of each flash on, faint noise between."""
        index = np.arange(begin, end)
        moment = index * 10**9 // self.sample_rate
        last = np.searchsorted(self.flashes_ns, moment, side="right") - 1
        since = np.where(last >= 0, moment - self.flashes_ns[np.maximum(last, 0)], BEEP_NS)
        tone = np.where(since < BEEP_NS, 0.3 * np.cos(2 * np.pi * 1000 * since / 1e9), 0.0)
        return (tone + self._noise[index % self.sample_rate]).astype(np.float32)


def flash_plan(seconds: float, first_s: float = 1.0, seed: int = 0) -> Ints:
    """Moments of the flashes after the start, ns: about every 0.7 s, at any phase of the camera's period."""
    rng = np.random.default_rng(seed)
    count = max(0, int((seconds - first_s) * 1e9 / EVERY_NS))
    return np.round(first_s * 1e9 + np.arange(count) * EVERY_NS + rng.uniform(0, EVERY_NS / 4, count)).astype(np.int64)


def flash_onsets(seen: list[Seen]) -> list[Flash]:
    """Each first frame that is lit after a dark one. Lit: over half between dark and bright."""
    if len(seen) < 2:
        return []
    light = np.array([frame.light for frame in seen])
    low, high = np.quantile(light, [0.05, 1.0])
    if high - low < 20:
        return []  # nothing ever lit up
    lit = light > (low + high) / 2
    return [
        Flash(seen[i].capture_ns, seen[i].result_ns, seen[i].number == seen[i - 1].number + 1)
        for i in np.flatnonzero(lit[1:] & ~lit[:-1]) + 1
    ]


def beep_onsets(heard: list[tuple[int, int, npt.NDArray[np.float32]]]) -> list[int]:
    """Stamps of the first loud sample after at least 0.2 s of quiet."""
    if not heard:
        return []
    level = np.concatenate([np.abs(samples) for _, _, samples in heard])
    stamps = np.concatenate([s + np.arange(len(x)) * (10**9 // rate) for s, rate, x in heard])
    loud = np.flatnonzero(level > max(1e-2, 0.4 * float(level.max())))
    if not len(loud):
        return []
    moments = stamps[loud]
    begins = np.concatenate([[True], np.diff(moments) > QUIET_NS])
    return [int(moment) for moment in moments[begins]]


def matched(emitted: Ints, flashes: list[Flash], beeps: list[int]) -> dict[str, Any]:
    """The `loopback` block: what happened to each emitted flash and beep.

    Where the frame before the lit one was dropped, that one may have been lit already: such flashes count for the
    result, but neither for the capture nor for the offset.
    """
    capture, result, offset = [], [], []
    for moment in emitted.tolist():
        flash = next((f for f in flashes if 0 <= f.result_ns - moment < MATCH_NS), None)
        if flash is None:
            continue
        result.append((flash.result_ns - moment) / 1e6)
        if not flash.exact:
            continue
        capture.append((flash.capture_ns - moment) / 1e6)
        near = min(beeps, key=lambda beep: abs(beep - flash.capture_ns), default=None)
        if near is not None and abs(near - flash.capture_ns) < MATCH_NS:
            offset.append((near - flash.capture_ns) / 1e6)
    return {
        "emitted": len(emitted),
        "seen": len(result),
        "seen_without_a_drop_before": len(capture),
        "heard": len(offset),
        "glass_to_capture_ms": summary(capture, unit=""),
        "glass_to_result_ms": summary(result, unit=""),
        "av_offset_ms": summary(offset, unit=""),
    }


class ScreenEmitter:
    """Flashes a window and beeps through the default loudspeaker; the stamp is taken when both were asked for."""

    def __init__(self) -> None:
        try:
            import cv2
            import sounddevice
        except (ImportError, OSError) as error:
            raise ConfigError(
                f"--emitter screen: needs OpenCV and PortAudio ({error}): pip install 'lvs[live]', apt install "
                "libportaudio2"
            ) from error
        from ..sinks.window import display_problem

        if why := display_problem(os.environ):
            raise ConfigError(f"--emitter screen: {why}; run it in a desktop session, or --emitter virtual")
        self._cv2, self._sound = cv2, sounddevice
        t = np.arange(48_000 * BEEP_NS // 10**9) / 48_000
        self._beep = (0.3 * np.cos(2 * np.pi * 1000 * t)).astype(np.float32)

    def run(self, seconds: float) -> Ints:
        """Flash for `seconds` in this thread (a window belongs to the main one); returns the stamps."""
        dark, lit = np.full((600, 800, 3), 16, np.uint8), np.full((600, 800, 3), 255, np.uint8)
        stamps, end_ns = [], time.monotonic_ns() + round(seconds * 1e9)
        rng = np.random.default_rng(0)
        self._cv2.namedWindow("lvs-bench", self._cv2.WINDOW_NORMAL)
        while time.monotonic_ns() < end_ns:
            self._show(dark, rng.uniform(0.75, 1.0) * (EVERY_NS - FLASH_NS) / 1e6)
            self._sound.play(self._beep, 48_000, blocking=False)
            stamps.append(time.monotonic_ns())
            self._show(lit, FLASH_NS / 1e6)
        self._cv2.destroyWindow("lvs-bench")
        return np.array(stamps, np.int64)

    def _show(self, picture: npt.NDArray[np.uint8], milliseconds: float) -> None:
        self._cv2.imshow("lvs-bench", picture)
        self._cv2.waitKey(max(1, round(milliseconds)))


def read_stamps(path: str) -> Ints:
    """Stamps of `time.monotonic_ns`, one a line, as whoever flashed wrote them."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123  (a FIFO or /dev/stdin will do)
            return np.array([int(line) for line in file if line.strip()], np.int64)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--emitter {path}: {error}; want virtual, screen, or a file of time.monotonic_ns stamps, one a line"
        ) from error
