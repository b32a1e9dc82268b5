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
        from ..view.web.spectrum import Strip

        self._jpeg = JpegEncoder(_QUALITY)
        self._strip = Strip()
        self.server.start(info)
        self.name = f"web:{self.server.port}"
        sys.stderr.write(f"Live page: {self.server.url}\n")
        sys.stderr.flush()

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Publish one result, with its picture when there is a viewer."""
        jpeg = None
        if self.server.has_viewers:
            reduce = -(-frame.image_bgr.shape[1] // _MAX_WIDTH_PX)
            image = frame.image_bgr[::reduce, ::reduce] if reduce > 1 else frame.image_bgr
            jpeg = self._jpeg.encode(np.ascontiguousarray(image))
        self.server.publish(result, jpeg)

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Feed the sound strip."""
        for end_ns, bands in self._strip.push(samples, sample_rate, start_ns):
            self.server.publish_sound(end_ns, bands)

    def close(self) -> None:
        """Say goodbye to the viewers and stop the server."""
        self.server.stop()
