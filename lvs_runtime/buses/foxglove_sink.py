"""A live view for Foxglove: a WebSocket server on this machine. Pictures and sound are encoded while somebody looks."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from .message import BusSink, missing
from .spec import BusSpec

_BACKLOG = 32  # messages kept for a slow viewer; its oldest are dropped
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class FoxgloveSink(BusSink):
    """Listens on 127.0.0.1. ?host=ADDRESS opens it to the network, and there is no password: better a tunnel."""

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self.port = spec.port or 0
        self._server: Any = None
        self._channels: Any = None
        self._looked: Any = _Looked()

    def open(self, info: SessionInfo) -> None:
        """Start serving; `SinkError` when the port is taken."""
        try:
            import foxglove
        except ImportError as error:
            raise missing(self.spec, "foxglove-sdk", "foxglove") from error
        from .foxglove_channels import FoxgloveChannels

        self.prepare(info)
        context = foxglove.Context()
        try:
            self._server = foxglove.start_server(
                name="lvs",
                host=self.spec.host,
                port=self.spec.port,
                context=context,
                server_listener=self._looked,
                message_backlog_size=_BACKLOG,
            )
        except (RuntimeError, OSError) as error:
            raise SinkError(
                f"sink {self.name}: cannot listen on {self.spec.host}:{self.spec.port} ({error}). Another port: "
                f"--sink foxglove:0 takes a free one and prints it"
            ) from error
        self.port = self._server.port
        self._channels = FoxgloveChannels(context, self.stamps, self.spec, self._looked.at)
        where = self.spec.host if self.spec.host in _LOOPBACK else f"{self.spec.host} (open to the network)"
        print(f"Foxglove: open connection ws://{where}:{self.port}", file=sys.stderr, flush=True)  # noqa: T201

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Send one result to whoever looks."""
        self._channels.write(frame, result)
        self.sent += 1

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Send sound to whoever listens."""
        self._channels.write_audio(samples, sample_rate, start_ns)

    def close(self) -> None:
        """Stop serving."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()


class _Looked:
    """Counts subscriptions by topic; called in the server's threads."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._lock = threading.Lock()

    def at(self, topic: str) -> bool:
        """Somebody subscribed to `topic`."""
        with self._lock:
            return self._count[topic] > 0

    def on_subscribe(self, client: Any, channel: Any) -> None:
        """One more."""
        with self._lock:
            self._count[channel.topic] += 1

    def on_unsubscribe(self, client: Any, channel: Any) -> None:
        """One less (also when a viewer goes away)."""
        with self._lock:
            self._count[channel.topic] -= 1
