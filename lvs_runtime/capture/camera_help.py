"""What both ways to a camera (OpenCV, PyAV) share: its path, what it can carry raw, why it does not open."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .devices import list_cameras

FIRST_FRAME_S = 6.0
_YUYV_BITS_PER_S = 200e6  # what fits USB 2.0 uncompressed


def device_path(device: str) -> str:
    """ "0" to "/dev/video0"; a path stays itself."""
    return f"/dev/video{device}" if device.isdecimal() else device


def wants_jpeg(size_px: tuple[int, int] | None, fps: float | None) -> bool:
    """This size and rate do not fit USB 2.0 as raw YUYV: ask the camera for motion JPEG."""
    return size_px is not None and size_px[0] * size_px[1] * 16 * (fps or 30) > _YUYV_BITS_PER_S


def cannot_open(device: str) -> str:
    """Message for a camera that does not open: no permission, or what there is instead."""
    path = Path(device_path(device))
    if sys.platform == "linux" and path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"--camera {device}: no permission for {path}. sudo usermod -aG video $USER, then log in again"
    found = ", ".join(f"{c.device} ({c.name})" for c in list_cameras()) or "no camera at all"
    return (
        f"--camera {device}: cannot be opened. Found: {found}. See lvs-live --list-devices; without a "
        f"camera: --camera FILE.mp4 or --camera synthetic:1"
    )


def no_first_frame(device: str) -> str:
    """Message for a camera that opens and then gives nothing."""
    return (
        f"--camera {device}: opened, but gave no frame in {FIRST_FRAME_S:g} s. Is another program using it? "
        f"(fuser -v {device_path(device)})"
    )
