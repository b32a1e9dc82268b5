"""JPEG of a BGR picture: by OpenCV where it is installed, else by PyAV (the lean set has no OpenCV)."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import SinkError

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext


class JpegEncoder:
    """Encodes pictures one by one; not thread-safe. `library` says which package does it ("cv2" or "av")."""

    def __init__(self, quality: int = 80) -> None:
        """`quality` 1 to 100. Raises `SinkError` when neither OpenCV nor PyAV is installed."""
        self.quality = quality
        self._cv2: Any = None
        self._context: VideoCodecContext | None = None
        try:
            import cv2

            self._cv2, self.library = cv2, "cv2"
        except ImportError:
            try:
                import av  # noqa: F401  (proved here, used in _by_av)
            except ImportError as error:
                raise SinkError(
                    "JPEG needs OpenCV or PyAV, and neither is installed. Run: pip install 'lvs[live]' or 'lvs[video]'"
                ) from error
            self.library = "av"

    def encode(self, image_bgr: npt.NDArray[np.uint8]) -> bytes:
        """A whole JPEG file of `image_bgr` (H, W, 3)."""
        if self._cv2 is None:
            return self._by_av(image_bgr)
        done, data = self._cv2.imencode(".jpg", image_bgr, [self._cv2.IMWRITE_JPEG_QUALITY, self.quality])
        if not done:
            raise SinkError(f"OpenCV could not encode a picture of shape {image_bgr.shape} as JPEG")
        return bytes(data)

    def _by_av(self, image_bgr: npt.NDArray[np.uint8]) -> bytes:
        import av

        height, width = image_bgr.shape[:2]
        context = self._context
        if context is None or (context.width, context.height) != (width, height):
            context = self._context = self._new_context(width, height)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        frame = frame.reformat(format="yuvj420p")
        frame.pts = None
        return b"".join(bytes(packet) for packet in context.encode(frame))

    def _new_context(self, width: int, height: int) -> VideoCodecContext:
        from av.codec import CodecContext

        context: VideoCodecContext = CodecContext.create("mjpeg", "w")
        context.width, context.height = width, height
        context.pix_fmt = "yuvj420p"
        context.time_base = Fraction(1, 90_000)
        context.thread_count = 1
        scale = max(2, min(31, round((100 - self.quality) / 4)))  # FFmpeg's 2 (best) to 31
        context.qmin = context.qmax = scale
        return context
