"""A camera through PyAV (V4L2, Linux): what `--camera 0` uses where OpenCV is not installed.

    av-camera thread: open ─► demux ─► decode ─► [newest few frames] ─► read(timeout)

V4L2 blocks in the kernel while a camera stalls, and nothing can interrupt that: so a thread of our own waits there, and
`read`, `open` and `close` are bounded. The thread owns the container; it closes it when it comes back.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import CaptureError
from ..results import DropReason, VideoFrame
from .base import Dropped, Item, SourceInfo, SourceLost
from .camera_help import FIRST_FRAME_S, cannot_open, device_path, no_first_frame, wants_jpeg
from .demux import import_av
from .stamps import StampTrust

_MOST_WAITING = 4  # a reader that is further behind wants the newest, not the backlog
_CLOSE_S = 1.0


class AvCamera:
    """The same contract as `Camera`: the driver's stamp where it can be trusted, else the arrival."""

    is_live = True
    has_picture = True
    has_sound = False

    def __init__(
        self,
        device: str,
        size_px: tuple[int, int] | None = None,
        fps: float | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`device`: "0" or "/dev/..."."""
        self._device, self._size_px, self._fps, self._clock_ns = device, size_px, fps, clock_ns
        self._trust = StampTrust()
        self._grabber: _Grabber | None = None
        self._missed_told = 0
        self.info = SourceInfo(name=device, kind="camera", stamp_source="arrival")

    def open(self) -> None:
        """Open the device, ask for size and rate, and wait for a first frame: only that tells what is delivered."""
        if sys.platform != "linux":
            raise CaptureError(
                f"--camera {self._device}: on {sys.platform} cameras need OpenCV. Install it: pip install opencv-python"
            )
        av = import_av(self._device)
        self._trust, self._missed_told = StampTrust(), 0
        grabber = self._grabber = _Grabber(self._containers(av), self._clock_ns)
        grabber.thread.start()
        if not grabber.news.wait(FIRST_FRAME_S):
            self.close()
            raise CaptureError(no_first_frame(self._device))
        if not grabber.frames:
            reason = grabber.error
            self.close()
            raise CaptureError(_why(self._device, reason)) from reason
        image = grabber.frames[0][0]
        self.info.size_px = (image.shape[1], image.shape[0])
        self.info.fps = grabber.fps
        self.info.details = {"api": "V4L2 by PyAV", "format": grabber.format}

    def read(self, timeout_s: float) -> Item | None:
        """The next frame, None when the camera stalls, `SourceLost` when it is gone."""
        grabber = self._grabber
        assert grabber is not None
        if not grabber.frames:
            grabber.news.wait(timeout_s)
        grabber.news.clear()
        if missed := grabber.missed - self._missed_told:
            self._missed_told += missed
            return Dropped(DropReason.SUPERSEDED, missed)
        try:
            image, driver_ns, arrival_ns = grabber.frames.popleft()
        except IndexError:
            if grabber.thread.is_alive():
                return None
            raise SourceLost(f"--camera {self._device}: lost (unplugged, or taken by another program)") from None
        if image is None:
            return Dropped(DropReason.CORRUPT_FRAME)
        capture_ns, stamp_source = self._trust.choose(driver_ns, arrival_ns)
        self.info.stamp_source = stamp_source
        self.info.size_px = (image.shape[1], image.shape[0])
        return VideoFrame(image_bgr=image, capture_ns=capture_ns, arrival_ns=arrival_ns, stamp_source=stamp_source)

    def close(self) -> bool:
        """Let the device go. False while it stalls: the thread closes it as soon as the kernel lets it."""
        grabber, self._grabber = self._grabber, None
        if grabber is None:
            return True
        grabber.stop.set()
        grabber.thread.join(_CLOSE_S)
        return not grabber.thread.is_alive()

    def _containers(self, av: Any) -> Callable[[], Any]:
        asked = {}
        if self._size_px:
            asked["video_size"] = f"{self._size_px[0]}x{self._size_px[1]}"
        if self._fps:
            asked["framerate"] = f"{self._fps:g}"
        tries = [{**asked, "input_format": "mjpeg"}] if wants_jpeg(self._size_px, self._fps) else []
        tries.append(asked)

        def open_device() -> Any:
            for options in tries:
                try:
                    # Only the container's options: PyAV would give "video_size" to the decoder too, as the true size.
                    return av.open(device_path(self._device), format="v4l2", container_options=options)
                except av.error.ArgumentError:
                    if options is tries[-1]:
                        raise
            raise AssertionError

        return open_device


class _Grabber:
    """The thread in the kernel, and what it brings."""

    def __init__(self, open_device: Callable[[], Any], clock_ns: Callable[[], int]) -> None:
        self.frames: deque[tuple[Any, int, int]] = deque()  # image or None (corrupt), driver's stamp, arrival
        self.missed = 0  # frames that nobody fetched in time
        self.news, self.stop = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self.fps: float | None = None
        self.format = ""
        self._open_device, self._clock_ns = open_device, clock_ns
        self.thread = threading.Thread(target=self._run, name="lvs-av-camera", daemon=True)

    def _run(self) -> None:
        import av

        try:
            container = self._open_device()
        except (av.error.FFmpegError, OSError) as error:
            self.error = error
            self.news.set()
            return
        packets = container.demux(video=0)
        try:
            self._describe(container.streams.video[0])
            while not self.stop.is_set() and (packet := next(packets, None)) is not None:
                arrival_ns = self._clock_ns()
                pictures = _decode(packet)
                del packet
                self._keep([(image, driver_ns, arrival_ns) for image, driver_ns in pictures])
        except (av.error.FFmpegError, OSError, IndexError) as error:
            self.error = error.with_traceback(None)
        finally:
            # Packets and frames lie in the driver's buffers: one that outlives its container crashes when it is freed.
            packets.close()
            container.close()
            self.news.set()

    def _keep(self, items: list[tuple[Any, int, int]]) -> None:
        for item in items:
            if len(self.frames) >= _MOST_WAITING:
                self.frames.popleft()
                self.missed += 1
            self.frames.append(item)
            self.news.set()

    def _describe(self, stream: Any) -> None:
        stream.thread_type = "SLICE"  # frame threading would hold pictures back
        self.fps = float(stream.average_rate) if stream.average_rate else None
        self.format = stream.codec_context.pix_fmt if stream.codec_context.name == "rawvideo" else stream.codec.name


def _decode(packet: Any) -> list[tuple[Any, int]]:
    """(picture of our own, driver's stamp in ns or 0) for each frame in the packet; a picture is None when corrupt."""
    import av

    try:
        return [
            (
                np.ascontiguousarray(frame.to_ndarray(format="bgr24")),
                0 if frame.pts is None else int(frame.pts * frame.time_base * 10**9),
            )
            for frame in packet.decode()
        ]
    except av.error.InvalidDataError:
        return [(None, 0)]


def _why(device: str, error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.errno == 16:  # EBUSY
        return f"--camera {device}: another program is using it. See which: fuser -v {device_path(device)}"
    return cannot_open(device)
