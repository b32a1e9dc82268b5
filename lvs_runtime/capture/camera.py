"""A camera by number or device path, through OpenCV. One thread calls `read` in a loop and so drains the driver."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import CaptureError
from ..results import DropReason, VideoFrame
from .base import Dropped, Item, SourceInfo, SourceLost
from .camera_help import FIRST_FRAME_S, cannot_open, no_first_frame, wants_jpeg
from .stamps import StampTrust

_SELECT_TIMEOUT = "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"  # whole seconds, read once a process, default 10
_UNPLUGGED_NS = 100_000_000  # grab() that fails faster than this did not wait for a frame


def import_cv2(asked: str) -> Any:
    """OpenCV, or a `CaptureError` that says how to get it."""
    os.environ.setdefault(_SELECT_TIMEOUT, "1")
    try:
        import cv2
    except ImportError as error:
        raise CaptureError(
            f"--camera {asked}: cameras need OpenCV, which is not installed. Install it: pip install 'lvs[live]'"
        ) from error
    return cv2


class Camera:
    """Delivers every frame with the driver's stamp where that can be trusted, else with its arrival."""

    is_live = True
    has_picture = True
    has_sound = False
    _how_lost = "unplugged, or taken by another program"

    def __init__(
        self,
        device: str,
        size_px: tuple[int, int] | None = None,
        fps: float | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`device`: "0" or "/dev/..."; a stable /dev/v4l/by-id name survives a replug under another number."""
        self._device, self._size_px, self._fps, self._clock_ns = device, size_px, fps, clock_ns
        self._capture: Any = None
        self._cv2: Any = None
        self._trust = StampTrust()
        self.info = SourceInfo(name=device, kind="camera", stamp_source="arrival")

    def open(self) -> None:
        """Open the device, ask for size and rate, and wait for a first frame: only that tells what is delivered."""
        cv2 = self._cv2 = import_cv2(self._device)
        capture = self._connect(cv2)
        if not capture.isOpened():
            capture.release()
            raise CaptureError(self._cannot_open())
        self._capture = capture
        self._trust = StampTrust()
        self._ask(cv2, capture)
        first = self._first_frame()
        if first is None:
            self.close()
            raise CaptureError(self._no_first_frame())
        self.info.size_px = (first.shape[1], first.shape[0])
        self.info.fps = capture.get(cv2.CAP_PROP_FPS) or None
        self.info.details = {"api": capture.getBackendName(), "format": _fourcc(capture.get(cv2.CAP_PROP_FOURCC))}

    def read(self, timeout_s: float) -> Item | None:
        """The next frame, None when the camera stalls, `SourceLost` when it is gone."""
        if not self._grab():
            return None
        arrival_ns = self._clock_ns()
        driver_ns = self._driver_ns()
        ok, image = self._capture.retrieve()  # only after a grab() that worked: else it returns the old picture
        if not ok or image is None or not image.size:
            return Dropped(DropReason.CORRUPT_FRAME)
        capture_ns, stamp_source = self._trust.choose(driver_ns, arrival_ns)
        self.info.stamp_source = stamp_source
        self.info.size_px = (image.shape[1], image.shape[0])
        return VideoFrame(image_bgr=image, capture_ns=capture_ns, arrival_ns=arrival_ns, stamp_source=stamp_source)

    def close(self) -> bool:
        """Let the device go."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        return True

    def _connect(self, cv2: Any) -> Any:
        where = int(self._device) if self._device.isdecimal() else self._device
        # Without a named back end an absent camera falls through to FFmpeg, which looks for a file "0".
        return cv2.VideoCapture(where, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)

    def _driver_ns(self) -> int:
        return int(self._capture.get(self._cv2.CAP_PROP_POS_MSEC) * 1e6) if sys.platform == "linux" else 0

    def _cannot_open(self) -> str:
        return cannot_open(self._device)

    def _no_first_frame(self) -> str:
        return no_first_frame(self._device)

    def _grab(self) -> bool:
        for last_try in (False, True):
            before_ns = self._clock_ns()
            if self._capture.grab():
                return True
            if self._clock_ns() - before_ns >= _UNPLUGGED_NS:
                return False
            # A signal can interrupt the wait, so one quick failure proves nothing.
            if not last_try:
                time.sleep(0.02)
        raise SourceLost(f"--camera {self.info.name}: lost ({self._how_lost})")

    def _first_frame(self) -> Any:
        end_ns = self._clock_ns() + round(FIRST_FRAME_S * 1e9)
        while self._clock_ns() < end_ns:
            try:
                if self._grab():
                    ok, image = self._capture.retrieve()
                    if ok and image is not None and image.size:
                        return image
            except SourceLost:
                return None
        return None

    def _ask(self, cv2: Any, capture: Any) -> None:
        # set() returns True for what a device cannot do; the first frame tells. Format before size before rate.
        if self._size_px:
            width, height = self._size_px
            if wants_jpeg(self._size_px, self._fps):
                capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        if self._fps:
            capture.set(cv2.CAP_PROP_FPS, self._fps)


def _fourcc(value: float) -> str:
    code = int(value)
    return "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24)) if code > 0 else "?"
