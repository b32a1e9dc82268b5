"""From a video to what training reads: the frame at a time as jpg, the whole sound as 16 kHz mono wav.

The frame follows the published lists: they were made with `ffmpeg -r 25`, whose n-th picture is the last one whose
time, rounded to 25ths of a second, is at most n - 1. So 5.0 s is picture 125, at 4.96 s.
"""

from __future__ import annotations

import errno
import os
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.errors import ConfigError, DataError

RULE_FPS = 25
JPEG_QUALITY = 95
FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE})


@dataclass(frozen=True, slots=True)
class Job:
    """One video and what becomes of it. Files appear whole or not at all; `scratch` lies on the same disk."""

    id: str
    video: Path
    out: Path
    scratch: Path
    at_s: tuple[float, ...] = (5.0,)
    sample_rate: int = 16_000

    @property
    def pictures(self) -> list[Path]:
        """frames/<id>.jpg, or frames/<id>/125.jpg ... for several times."""
        if len(self.at_s) == 1:
            return [self.out / "frames" / f"{self.id}.jpg"]
        return [self.out / "frames" / self.id / f"{picture_number(t):03d}.jpg" for t in self.at_s]

    @property
    def sound(self) -> Path:
        """audio/<id>.wav."""
        return self.out / "audio" / f"{self.id}.wav"

    def is_done(self) -> bool:
        """All files exist: each was moved in place whole."""
        return self.sound.exists() and all(p.exists() for p in self.pictures)


@dataclass
class Outcome:
    """What a job came to: `error` None is success."""

    id: str
    error: str | None = None
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


def picture_number(at_s: float) -> int:
    """The number that `ffmpeg -r 25` gives the picture at a time: 5.0 s -> 125."""
    number = round(at_s * RULE_FPS)
    if number < 1:
        raise ConfigError(f"--at {at_s:g}: the first picture is at {1 / RULE_FPS:g} s")
    return number


def tick(time_s: Fraction) -> int:
    """The 25th of a second that a frame's time is rounded to, halves up."""
    return int((time_s * RULE_FPS * 2 + 1) // 2)


def prepare(job: Job) -> Outcome:
    """Decode one video. What is wrong with the file is told in the outcome; a full disk or a lost folder raises."""
    av = import_av()
    job.scratch.mkdir(parents=True, exist_ok=True)
    temporary = job.scratch / f"{job.id}.wav"
    try:
        pictures, seconds = _decode(av, job, temporary)
        for path, data in zip(job.pictures, pictures, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = job.scratch / f"{job.id}-{path.name}"
            scratch.write_bytes(data)
            scratch.replace(path)
        job.sound.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(job.sound)  # last: its presence says that all is there
    except (av.error.FFmpegError, DataError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FATAL and not isinstance(error, av.error.FFmpegError):
            raise DataError(f"{job.out}: cannot write ({error.strerror}); what is done stays, run again") from error
        return Outcome(job.id, _reason(error))
    finally:
        temporary.unlink(missing_ok=True)
    return Outcome(job.id, None, seconds)


def import_av() -> Any:
    """PyAV, or a `ConfigError` that says how to get it."""
    try:
        import av
    except ImportError as error:
        raise ConfigError("prepare: videos need PyAV, which is not installed: pip install 'lvs[video]'") from error
    av.logging.set_level(av.logging.PANIC)  # what is wrong comes as an exception; FFmpeg's chatter hides it
    return av


def _decode(av: Any, job: Job, wav: Path) -> tuple[list[bytes], float]:
    """The pictures as jpg, and the sound written to `wav`; returns its length in seconds."""
    with av.open(str(job.video), options={"protocol_whitelist": "file,crypto,data"}) as container:
        pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not pictures or not container.streams.audio:
            lacks = [n for n, s in (("picture", pictures), ("sound", container.streams.audio)) if not s]
            raise DataError(f"has no {' and no '.join(lacks)}")
        chooser = _Frames([picture_number(t) - 1 for t in job.at_s], container.start_time or 0)
        sound = _Sound(av, wav, job.sample_rate)
        with sound:
            pictures[0].thread_type = "SLICE"
            for packet in container.demux(pictures[0], container.streams.audio[0]):
                is_picture = packet.stream is pictures[0]
                if is_picture and chooser.done:
                    continue  # later packets are not decoded: most of the time saved
                for frame in packet.decode():
                    chooser.add(frame) if is_picture else sound.add(frame)
            sound.add(None)
        if not sound.samples:
            raise DataError("its sound is empty")
        return [_jpeg(f) for f in chooser.frames(job.at_s)], sound.samples / job.sample_rate


class _Frames:
    """Keeps the last frame at or before each wanted tick."""

    def __init__(self, ticks: Sequence[int], start_us: int) -> None:
        self.ticks, self.start = ticks, Fraction(start_us, 1_000_000)
        self.chosen: list[Any] = [None] * len(ticks)
        self.last_tick, self.longest = -1, 1
        self.number = 0
        self.done = False

    def add(self, frame: Any) -> None:
        time_s = frame.pts * frame.time_base - self.start if frame.pts is not None else Fraction(self.number, RULE_FPS)
        self.number += 1
        now = tick(time_s)
        if self.number > 1:
            self.longest = max(self.longest, now - self.last_tick)
        self.last_tick = now
        for n, wanted in enumerate(self.ticks):
            if self.last_tick <= wanted or self.chosen[n] is None:
                self.chosen[n] = frame
        self.done = self.last_tick > max(self.ticks)

    def frames(self, at_s: Sequence[float]) -> list[Any]:
        """The chosen ones; a video that ends more than one of its frames before a wanted time is refused."""
        for frame, wanted, time_s in zip(self.chosen, self.ticks, at_s, strict=True):
            if frame is None:
                raise DataError("not one frame could be decoded")
            if self.last_tick + self.longest < wanted:
                raise DataError(
                    f"ends at {(self.last_tick + 1) / RULE_FPS:.2f} s, before the frame at {time_s:g} s (--at chooses)"
                )
        return self.chosen


class _Sound:
    """Writes 16-bit mono at the wanted rate as it is decoded: an hour needs no more memory than a second."""

    def __init__(self, av: Any, path: Path, rate: int) -> None:
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 -- closed by __exit__
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(rate)
        self.samples = 0

    def add(self, frame: Any) -> None:
        for out in self._resampler.resample(frame):
            data = out.to_ndarray().reshape(-1).astype("<i2", copy=False)
            self._file.writeframesraw(data.tobytes())
            self.samples += len(data)

    def __enter__(self) -> _Sound:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _jpeg(frame: Any) -> bytes:
    import cv2

    image = frame.to_ndarray(format="bgr24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # phones store a rotation beside the picture
    if turns:
        image = np.ascontiguousarray(np.rot90(image, turns))
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise DataError(f"its frame of {image.shape[1]} x {image.shape[0]} cannot be written as jpg")
    return bytes(data)


def _reason(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error)).splitlines()
    return text[0] if text else type(error).__name__


def scratch_folder(out: Path, shard: str) -> Path:
    """Where this process writes before moving in place; `.` keeps readers of layouts away."""
    return out / ".scratch" / f"{shard}-{os.uname().nodename}-{os.getpid()}"
