"""A window on the screen (OpenCV). Refuses at the start where it could not show: a late failure aborts the process."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from .base import SessionInfo

_TITLE = "lvs"
_KEYS_STOP = (ord("q"), 27)  # q, Esc
_OTHERWISE = "Use --sink web instead, which needs no display here"


def display_problem(environ: dict[str, str] | os._Environ[str], platform: str = sys.platform) -> str | None:
    """Why no window can be shown, or None. OpenCV's Qt does not raise on a missing display: it aborts (SIGABRT)."""
    if not platform.startswith("linux"):
        return None
    if environ.get("WAYLAND_DISPLAY"):
        return None
    display = environ.get("DISPLAY", "")
    if not display:
        return "there is no display (DISPLAY and WAYLAND_DISPLAY are not set)"
    return None if _answers(display) else f"the display DISPLAY={display} does not answer"


def _answers(display: str) -> bool:
    host, _, number = display.rpartition(":")
    screen = number.split(".")[0]
    if not screen.isdecimal():
        return False
    local = f"/tmp/.X11-unix/X{screen}"  # where X servers listen
    try:
        if host in ("", "unix"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(2.0)
                probe.connect(local if Path(local).exists() else f"\0{local}")
        else:
            socket.create_connection((host, 6000 + int(screen)), timeout=2.0).close()
    except OSError:
        return False
    return True


def gui_problem(build_information: str) -> str | None:
    """Why this OpenCV cannot open windows, or None. `build_information` is `cv2.getBuildInformation()`."""
    for line in build_information.splitlines():
        if line.strip().startswith("GUI:") and "NONE" in line.upper():
            return "OpenCV is installed without windows (opencv-python-headless)"
    return None


class WindowSink:
    """Shows annotated pictures; q, Esc or closing the window ends the session."""

    name = "window"
    queue_size = 1

    def __init__(self) -> None:
        self.wants_stop = False
        self._cv2: Any = None
        self._shown = False

    def open(self, info: SessionInfo) -> None:
        """Check display and OpenCV; the window appears with the first result."""
        problem = display_problem(os.environ)
        if problem:
            raise SinkError(f"sink window: {problem}. {_OTHERWISE}")
        try:
            import cv2
        except ImportError as error:
            raise SinkError("sink window: OpenCV is not installed. Run: pip install 'lvs[live]'") from error
        problem = gui_problem(cv2.getBuildInformation())
        if problem:
            repair = "pip uninstall -y opencv-python-headless && pip install opencv-python"
            raise SinkError(f"sink window: {problem}. Run: {repair}. {_OTHERWISE}")
        from ..view.overlay import Overlay

        self._cv2 = cv2
        self._overlay = Overlay()

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Show one picture and look at the keyboard."""
        if self.wants_stop:
            return
        cv2 = self._cv2
        if self._shown and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self.wants_stop = True
            return
        if not self._shown:
            cv2.namedWindow(_TITLE, cv2.WINDOW_AUTOSIZE)
        cv2.imshow(_TITLE, self._overlay.draw(frame.image_bgr, result, f"age {result.age_ms:.0f} ms"))
        self._shown = True
        if cv2.waitKey(1) & 0xFF in _KEYS_STOP:
            self.wants_stop = True

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """The level is in the result."""

    def close(self) -> None:
        """Close the window."""
        if self._shown:
            self._shown = False
            self._cv2.destroyAllWindows()
            self._cv2.waitKey(1)
