"""Videos as moments: pictures with the sound around each, for videos in which a thing sounds now and then.

video   |----------------------------|      a picture every second, each with the 3 s of sound about it;
moments    o     o     o     o              moments in which nothing is heard are left out
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.errors import DataError
from lvs_runtime.gate import level_dbfs

from .augment import Image, Waveform
from .prepare_all import find_videos
from .videos import JPEG_QUALITY, import_av

EVERY_S, MOST, AROUND_S = 1.0, 12, 3.0
LARGEST_PX = 640


def decode_moments(path: Path, sample_rate: int, every_s: float) -> tuple[list[Image], list[float], Waveform]:
    """Pictures (RGB, the longer side at most `LARGEST_PX`, as a player turns them) every `every_s` seconds, their times
    on the sound's clock (s), and the whole sound, mono.

    Raises DataError for a file that cannot be decoded or lacks a picture or a sound.
    """
    av = import_av()
    try:
        with av.open(str(path), options={"protocol_whitelist": "file,crypto,data"}) as container:
            if not container.streams.video or not container.streams.audio:
                raise DataError(f"{path.name}: needs both a picture and a sound stream")
            return _decode(av, container, sample_rate, every_s)
    except av.error.FFmpegError as error:
        raise DataError(f"{path.name}: cannot be decoded ({error.strerror})") from error


def _decode(av: Any, container: Any, sample_rate: int, every_s: float) -> tuple[list[Image], list[float], Waveform]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
    images: list[Image] = []
    times: list[float] = []
    parts: list[Waveform] = []
    sound_start: float | None = None
    for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
        if isinstance(frame, av.VideoFrame):
            at = float(frame.time or 0.0)
            if not times or at >= times[-1] + every_s - 1e-3:
                images.append(_picture(frame))
                times.append(at)
        else:
            sound_start = float(frame.time or 0.0) if sound_start is None else sound_start
            parts += [out.to_ndarray().reshape(-1) for out in resampler.resample(frame)]
    sound = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return images, [t - (sound_start or 0.0) for t in times], sound.astype(np.float32)


def _picture(frame: Any) -> Image:
    scale = min(1.0, LARGEST_PX / max(frame.width, frame.height))
    size = {"width": round(frame.width * scale), "height": round(frame.height * scale)} if scale < 1 else {}
    image = frame.to_ndarray(format="rgb24", **size)
    turns = round(getattr(frame, "rotation", 0) / 90) % 4  # phones store a rotation beside the picture
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else np.asarray(image, np.uint8)


def write_moments(
    videos: Path, out: Path, sample_rate: int, quiet_dbfs: float, say: Callable[[str], None]
) -> dict[str, str]:
    """Write `out`/frames/<video>-<n>.jpg and `out`/audio/<video>-<n>.wav; returns the video of each moment's id.

    At most `MOST` moments a video, evenly over it. Videos without a moment above `quiet_dbfs` and unreadable ones are
    told to `say` and left out. Raises DataError when nothing is left.
    """
    for part in ("frames", "audio"):
        (out / part).mkdir(parents=True, exist_ok=True)
    video_of: dict[str, str] = {}
    for name, path in find_videos(videos).items():
        try:
            images, times, sound = decode_moments(path, sample_rate, EVERY_S)
        except DataError as error:
            say(f"left out: {error}")
            continue
        half, kept = round(AROUND_S / 2 * sample_rate), 0
        for index in range(len(images))[:: -(-len(images) // MOST) or 1]:
            at = round(times[index] * sample_rate)
            around = sound[max(0, at - half) : at + half]
            if len(around) and level_dbfs(around, sample_rate) >= quiet_dbfs:
                _write(out, f"{name}-{index:03d}", images[index], around, sample_rate)
                video_of[f"{name}-{index:03d}"] = name
                kept += 1
        if not kept:
            say(f"left out: {path.name}: nothing is heard beside any of its {len(images)} pictures")
    if not video_of:
        raise DataError(f"{videos}: not one video has a picture with a sound above {quiet_dbfs:g} dBFS")
    return video_of


def _write(out: Path, name: str, image: Image, sound: Waveform, sample_rate: int) -> None:
    import cv2

    picture = out / "frames" / f"{name}.jpg"
    if not cv2.imwrite(str(picture), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
        raise DataError(f"{picture}: cannot be written")
    with wave.open(str(out / "audio" / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
