"""The demo clip: a scene as an mp4 file (H.264, AAC), and what is true in it as JSON lines beside it."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, SinkError
from .scene import ObjectTruth, Scene, scene

if TYPE_CHECKING:
    from av.container import OutputContainer

SOUND_RATE = 48_000
BLOCK = 1024


def write_demo(
    path: str | Path, seed: int = 0, size: tuple[int, int] = (640, 360), fps: int = 25, seconds: float = 10.0
) -> Path:
    """Write the scene of `seed` to `path` (.mp4) and one JSON object a frame to `path` with suffix `.truth.jsonl`.

    Keys of a line: `frame_index`, `time_s`, `heard` (class or null), `in_picture` (whether its source is to be seen),
    `objects` (list of `name`, `box_px`, `sounding`). Both files appear whole or not at all. Returns the truth's path.
    Raises `ConfigError` for an odd side or another suffix, `SinkError` when PyAV is missing or the folder not writable.
    """
    target = Path(path)
    if target.suffix.lower() != ".mp4" or size[0] % 2 or size[1] % 2 or not 1 <= fps <= 120:
        raise ConfigError(f"write_demo: path={target.name!r} (.mp4), size={size} (even sides), fps={fps} (1 to 120)")
    av = _import_av()
    drawn = scene(seed, seconds)
    truth_path = target.with_suffix(".truth.jsonl")
    clip_part = target.with_name(f".{target.stem}.part.mp4")
    truth_part = target.with_name(f".{target.stem}.part.jsonl")
    try:
        with av.open(str(clip_part), "w", options={"movflags": "+faststart"}) as container:
            lines = _encode(container, drawn, size, fps)
        truth_part.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        clip_part.replace(target)
        truth_part.replace(truth_path)
    except (OSError, av.FFmpegError) as error:
        raise SinkError(f"cannot write {target}: {error}; choose a folder that exists and is writable") from error
    finally:
        clip_part.unlink(missing_ok=True)
        truth_part.unlink(missing_ok=True)
    return truth_path


def truth_line(drawn: Scene, index: int, fps: int, objects: list[ObjectTruth]) -> dict[str, Any]:
    """What is true of frame `index`, as plain JSON values."""
    turn = drawn.turn(index / fps)
    return {
        "frame_index": index,
        "time_s": round(index / fps, 4),
        "heard": turn.name,
        "in_picture": turn.actor is not None,
        "objects": [{"name": o.name, "box_px": list(o.box_px), "sounding": o.sounding} for o in objects],
    }


def _import_av() -> Any:
    try:
        import av
    except ImportError as error:
        raise SinkError("writing the demo clip needs PyAV, which is not installed: pip install 'lvs[video]'") from error
    if "libx264" not in av.codecs_available:
        raise SinkError("this build of PyAV has no libx264: pip install --force-reinstall --only-binary :all: av")
    return av


def _encode(container: OutputContainer, drawn: Scene, size: tuple[int, int], fps: int) -> list[dict[str, Any]]:
    """Encode picture and sound, interleaved by time; returns the truth of every frame."""
    import av

    # One thread and no look-ahead, or the same pictures give other bytes now and then (test_same_seed_same_bytes).
    options = {"crf": "22", "preset": "medium", "threads": "1", "tune": "zerolatency"}
    video = container.add_stream("libx264", rate=fps, options=options)
    video.width, video.height, video.pix_fmt = *size, "yuv420p"
    audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
    audio.bit_rate = 96_000
    sound = drawn.sound(SOUND_RATE)
    lines: list[dict[str, Any]] = []
    done = 0
    for index in range(round(drawn.seconds * fps)):
        image_bgr, objects = drawn.draw(index / fps, size)
        lines.append(truth_line(drawn, index, fps, objects))
        frame = av.VideoFrame.from_ndarray(image_bgr, format="bgr24")
        frame.pts, frame.time_base = index, Fraction(1, fps)
        container.mux(video.encode(frame))
        until = (index + 1) * SOUND_RATE // fps
        while done < until:
            block = np.ascontiguousarray(sound[None, done : done + BLOCK])
            heard = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = SOUND_RATE, done, Fraction(1, SOUND_RATE)
            container.mux(audio.encode(heard))
            done += BLOCK
    container.mux(video.encode(None))
    container.mux(audio.encode(None))
    return lines
