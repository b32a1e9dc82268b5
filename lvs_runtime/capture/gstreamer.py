"""`gst:PIPELINE`: any GStreamer source, through an OpenCV built with GStreamer (the wheels of PyPI are not)."""

from __future__ import annotations

from typing import Any

from ..errors import CaptureError
from .base import SourceInfo
from .camera import Camera
from .camera_help import FIRST_FRAME_S
from .uri import redact

_TAIL = "videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=2 sync=false"
_REPAIR = (
    "Without it: rtsp://, http:// and udp:// addresses need no GStreamer. With it: the distribution's OpenCV (apt "
    "install python3-opencv, in an environment made with --system-site-packages and without opencv-python), or one "
    "built with -D WITH_GSTREAMER=ON"
)


class GstPipeline(Camera):
    """Frames of a pipeline, stamped at arrival. Without an appsink in it, one that keeps the newest frames is added."""

    _how_lost = "the pipeline ended or failed"

    def __init__(self, pipeline: str) -> None:
        """`pipeline` as for gst-launch-1.0, e.g. "videotestsrc is-live=true"."""
        super().__init__(pipeline)
        self.info = SourceInfo(name=redact(f"gst:{pipeline}"), kind="stream", stamp_source="arrival")

    def _connect(self, cv2: Any) -> Any:
        problem = gstreamer_problem(cv2.getBuildInformation())
        if problem:
            raise CaptureError(f"--camera {self.info.name}: {problem} (OpenCV {cv2.__version__}). {_REPAIR}")
        pipeline = self._device if "appsink" in self._device else f"{self._device} ! {_TAIL}"
        # Both in ms; without them a pipeline that falls silent holds the reader for half a minute.
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * FIRST_FRAME_S), cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000]
        capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER, limits)
        if capture.isOpened():
            return capture
        capture.release()  # OpenCV 4.6 refuses limits here; seen on Debian 12
        return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)

    def _ask(self, cv2: Any, capture: Any) -> None:
        """Size and rate stand in the pipeline."""

    def _driver_ns(self) -> int:
        return 0  # POS_MSEC is the pipeline's own time

    def _cannot_open(self) -> str:
        return f"--camera {self.info.name}: the pipeline does not start. Try it: gst-launch-1.0 -v {self.info.name[4:]}"

    def _no_first_frame(self) -> str:
        return f"--camera {self.info.name}: the pipeline runs, but gave no frame in {FIRST_FRAME_S:g} s"


def gstreamer_problem(build_information: str) -> str | None:
    """Why this OpenCV runs no pipelines, or None. `build_information` is `cv2.getBuildInformation()`."""
    for line in build_information.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "GStreamer":
            return None if value.strip().startswith("YES") else "this OpenCV was built without GStreamer"
    return "this OpenCV was built without GStreamer"
