"""One clip, many spellings: file names, folders, seconds or milliseconds. Leaks hide behind them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv", ".3gp", ".mpg", ".mpeg", ".wmv", ".ogv", ".ts"}
)
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
SUFFIXES = VIDEO_SUFFIXES | _IMAGE_SUFFIXES | {".wav", ".flac", ".ogg", ".mp3", ".m4a", ".xml", ".mat"}
_FOLDERS = frozenset({"frames", "frame", "images", "image"})  # hold pictures of many clips, not of one
_FRAME = re.compile(r"^(?:image_|frame_?)?(?:0\d+|\d{1,3})$", re.I)  # 125, 00000003, image_050: a frame of a clip
_SECONDS = re.compile(r"^([\w-]{11})_(\d{6})$")
_MILLISECONDS = re.compile(r"^([\w-]{11})_(\d{1,9})_(\d{1,9})$")


def strip(text: str) -> str:
    """The id in a list's entry; only known media suffixes are cut, so an id may hold dots.

    `videos/0/0/0/123.mp4` -> `123`, `abc/125.jpg` -> `abc`, `123.mp4/x.jpg` -> `123`, `-x_000030.JPG` -> `-x_000030`.
    """
    path = PurePosixPath(text.strip().replace("\\", "/"))
    stem, suffix = _cut(path.name)
    if suffix in _IMAGE_SUFFIXES and len(path.parts) > 1:
        parent, parent_suffix = _cut(path.parts[-2])
        if parent_suffix in VIDEO_SUFFIXES or (_FRAME.match(stem) and parent.lower() not in _FOLDERS):
            return parent  # a frame in its clip's folder
    return stem


def _cut(name: str) -> tuple[str, str]:
    suffix = PurePosixPath(name).suffix.lower()
    return (name[: -len(suffix)], suffix) if suffix in SUFFIXES else (name, "")


def clip_key(text: str) -> str:
    """One spelling for one clip: `abcdefghijk_30000_40000` (ms) and `abcdefghijk_000030.wav` are the same."""
    stem = strip(text)
    if match := _MILLISECONDS.match(stem):
        return f"{match[1]}_{int(match[2]) // 1000:06d}"
    return stem


def video_key(text: str) -> str:
    """The video that a clip was cut from: the 11 characters of a VGGSound id, else the clip itself (Flickr)."""
    key = clip_key(text)
    match = _SECONDS.match(key)
    return match[1] if match else key


def vggsound_id(video: str, start_seconds: int) -> str:
    """VGGSound's file name: `vggsound_id("---g-f_I2yQ", 1)` is `---g-f_I2yQ_000001`."""
    return f"{video}_{start_seconds:06d}"
