"""The live page as a sink: pictures are encoded only while somebody looks."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from ..results import AudioWindow, Result, VideoFrame
from .base import SessionInfo

_MAX_WIDTH_PX = 1280  # larger frames are sent reduced by a whole factor
_QUALITY = 80


class WebSink:
    """Serves `view.web` on `host:port` and prints its address on standard error."""

    queue_size = 2
    wants_stop = False

    def __init__(
        self, port: int = 8080, host: str = "127.0.0.1", token: str | None = None, max_viewers: int = 8
    ) -> None:
        """`port` 0 takes any free one. Raises `ConfigError` when `host` reaches the network and `token` is None."""
        from ..view.web.server import PageServer

        self.name = f"web:{port}"
        self.server = PageServer(host, port, token, max_viewers)

    def open(self, info: SessionInfo) -> None:
        """Start serving; raises `SinkError` when the port is taken or a package is missing."""
        from ..view.jpeg import JpegEncoder
        from ..view.overlay import Overlay
        from ..view.web.spectrum import Strip

        self._jpeg, self._stale_jpeg = JpegEncoder(_QUALITY), JpegEncoder(_QUALITY)  # one for each thread
        self._strip, self._overlay = Strip(), Overlay()
        self._last: npt.NDArray[np.uint8] | None = None
        self.server.stale = self._stale
        self.server.start(info)
        self.name = f"web:{self.server.port}"
        sys.stderr.write(f"Live page: {self.server.url}\n")
        sys.stderr.flush()

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Publish one result; with its picture for open pages, with the annotated one for streams."""
        jpeg = drawn = None
        self._last = frame.image_bgr
        if self.server.has_viewers:
            reduce = -(-frame.image_bgr.shape[1] // _MAX_WIDTH_PX)
            image = frame.image_bgr[::reduce, ::reduce] if reduce > 1 else frame.image_bgr
            jpeg = self._jpeg.encode(np.ascontiguousarray(image))
        if self.server.has_streams:
            drawn = self._jpeg.encode(self._overlay.draw(frame.image_bgr, result, f"age {result.age_ms:.0f} ms"))
        self.server.publish(result, jpeg, drawn)

    def _stale(self, reason: str) -> bytes | None:
        """The last picture as an old one; called on the server's thread, once a second at most for each stream."""
        from ..view.stale import stale_picture

        last = self._last
        return None if last is None else self._stale_jpeg.encode(stale_picture(last, reason))

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Feed the sound strip."""
        for end_ns, bands in self._strip.push(samples, sample_rate, start_ns):
            self.server.publish_sound(end_ns, bands)

    def close(self) -> None:
        """Say goodbye to the viewers and stop the server."""
        self.server.stop()
