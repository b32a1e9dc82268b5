"""Results on ZeroMQ: a PUB socket, bound to this machine alone unless an address says otherwise.

[b"lvs/result", JSON] and, with ?image=HZ, [b"lvs/image", JSON of stamp and frame, JPEG]
"""

from __future__ import annotations

from typing import Any

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from ..sinks.encode import encode_json
from .message import BusSink, missing, result_message
from .spec import BusSpec

_HIGH_WATER = 4  # messages kept for a slow subscriber; the default of 1000 is 50 MB of JPEG


class ZmqSink(BusSink):
    """One PUB socket with a context of its own."""

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self.address = ""  # where it is bound, with the port that a * became
        self._context: Any = None
        self._socket: Any = None

    def open(self, info: SessionInfo) -> None:
        """Bind; `SinkError` when the address is taken."""
        try:
            import zmq
        except ImportError as error:
            raise missing(self.spec, "pyzmq", "zmq") from error
        self.prepare(info)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER)
        try:
            self._socket.bind(self.spec.host)
        except zmq.ZMQError as error:
            raise SinkError(f"sink {self.name}: {self.spec.host}: {error}. Choose another port or address") from error
        self.address = self._socket.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Send one result; PUB never waits."""
        stamp_ns = self.stamps.of(result)
        message = result_message(result, stamp_ns, self.spec.with_map)
        self._socket.send_multipart([b"lvs/result", encode_json(message)])
        jpeg = self.pictures.take(frame, result)
        if jpeg is not None:
            head = encode_json({"stamp_ns": stamp_ns, "frame_id": message["frame_id"], "format": "jpeg"})
            self._socket.send_multipart([b"lvs/image", head, jpeg])
        self.sent += 1

    def close(self) -> None:
        """Close socket and context."""
        if self._socket is not None:
            self._socket.close()
            self._context.term()
            self._socket = self._context = None
