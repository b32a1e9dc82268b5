"""Results on Zenoh: KEY/result (JSON), KEY/image (JPEG, with ?image=HZ), liveliness KEY/alive.

Each message carries an attachment {"stamp_ns": ..., "frame_id": ...}. What a slow peer does not take is dropped by
Zenoh (congestion control DROP), so that nothing here waits. Access control and TLS: Zenoh's own file, ZENOH_CONFIG.
"""

from __future__ import annotations

import json
from typing import Any

from ..errors import ConfigError, SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from ..sinks.encode import encode_json
from .message import BusSink, missing, result_message
from .spec import BusSpec


class ZenohSink(BusSink):
    """One session with two publishers."""

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self._session: Any = None
        self._alive: Any = None
        self._result: Any = None
        self._image: Any = None

    def open(self, info: SessionInfo) -> None:
        """Join; `SinkError` when an endpoint is wrong or not reachable."""
        try:
            import zenoh
        except ImportError as error:
            raise missing(self.spec, "eclipse-zenoh", "zenoh") from error
        self.prepare(info)
        self._session = open_session(zenoh, self.spec, SinkError)
        drop = zenoh.CongestionControl.DROP
        key = self.spec.topic
        self._result = self._session.declare_publisher(
            f"{key}/result", encoding=zenoh.Encoding.APPLICATION_JSON, congestion_control=drop
        )
        if self.image_hz:
            self._image = self._session.declare_publisher(
                f"{key}/image", encoding=zenoh.Encoding.IMAGE_JPEG, congestion_control=drop
            )
        self._alive = self._session.liveliness().declare_token(f"{key}/alive")

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Send one result."""
        stamp_ns = self.stamps.of(result)
        message = result_message(result, stamp_ns, self.spec.with_map)
        attachment = encode_json({"stamp_ns": stamp_ns, "frame_id": message["frame_id"]})
        self._result.put(encode_json(message), attachment=attachment)
        jpeg = self.pictures.take(frame, result)
        if jpeg is not None:
            self._image.put(jpeg, attachment=attachment)
        self.sent += 1

    def close(self) -> None:
        """Leave."""
        session, self._session = self._session, None
        if session is not None:
            session.close()


def open_session(zenoh: Any, spec: BusSpec, kind: type[Exception]) -> Any:
    """A Zenoh session as the address asks; failures are raised as `kind`.

    With `connect` or `listen` only those endpoints are used and nothing is searched for by multicast.
    """
    try:
        config = zenoh.Config.from_env() if _has_env() else zenoh.Config()
        connect, listen = (_endpoints(spec.options.get(name)) for name in ("connect", "listen"))
        if connect or listen:
            config.insert_json5("scouting/multicast/enabled", "false")
            config.insert_json5("scouting/gossip/enabled", "false")
            config.insert_json5("connect/endpoints", json.dumps(connect))
            config.insert_json5("listen/endpoints", json.dumps(listen))
        mode = spec.options.get("mode", "client" if connect and not listen else None)
        if mode is not None:
            config.insert_json5("mode", json.dumps(mode))
        return zenoh.open(config)
    except zenoh.ZError as error:
        raise kind(
            f"{spec.text}: Zenoh could not start ({str(error).splitlines()[0][:200]}). Endpoints look like "
            f"tcp/192.168.1.5:7447; is the peer or router running?"
        ) from error


def _endpoints(text: str | None) -> list[str]:
    found = [part for part in (text or "").split(",") if part]
    if any("/" not in part for part in found):
        raise ConfigError(f"zenoh endpoint {text}: want PROTOCOL/ADDRESS:PORT, e.g. tcp/127.0.0.1:7447")
    return found


def _has_env() -> bool:
    import os

    return "ZENOH_CONFIG" in os.environ
