"""Results to an MQTT broker (paho-mqtt). Small messages, QoS 0; what a newcomer must know is retained.

TOPIC/result   JSON, each result                   TOPIC/state    JSON, retained, at most twice a second
TOPIC/status   online | offline, retained, will    TOPIC/image    JPEG, with ?image=HZ

A broker that goes away is waited for; results meanwhile are counted as `lost`, never stored.
"""

from __future__ import annotations

import importlib
import logging
import secrets
import socket
import ssl
import threading
from typing import Any

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from ..sinks.encode import encode_json
from . import home_assistant
from .message import BusSink, missing, result_message
from .spec import BusSpec, secret

_LOG = logging.getLogger(__name__)
_CONNECT_S = 5.0
_MOST_WAITING = 16  # QoS 0 messages that the socket has not taken yet; paho itself would store without bound
_STATE_NS = 500_000_000


class MqttSink(BusSink):
    """One connection; paho's own thread reads, writes and reconnects (after 1 to 30 s)."""

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self.reconnects = 0
        self._client: Any = None
        self._answered = threading.Event()
        self._refused: str | None = None
        self._connected = False
        self._waiting = 0
        self._state: dict[str, Any] = {}
        self._state_ns: int | None = None

    def open(self, info: SessionInfo) -> None:
        """Connect and say online; `SinkError` when the broker is not there or does not let us in."""
        try:
            mqtt: Any = importlib.import_module("paho.mqtt.client")
        except ImportError as error:
            raise missing(self.spec, "paho-mqtt", "mqtt") from error
        self.prepare(info)
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"lvs-{secrets.token_hex(4)}")
        password = secret("LVS_MQTT_PASSWORD")
        if self.spec.user or password:
            client.username_pw_set(self.spec.user or "", password)
        if self.spec.scheme == "mqtts":
            client.tls_set_context(self._tls())
        client.will_set(self._topic("status"), b"offline", qos=1, retain=True)
        client.reconnect_delay_set(1, 30)
        client.max_queued_messages_set(50)
        client.connect_timeout = _CONNECT_S
        client.on_socket_open = _no_delay
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_publish, client.on_message = self._on_publish, self._on_message
        port = self.spec.port or (8883 if self.spec.scheme == "mqtts" else 1883)
        try:
            client.connect(self.spec.host, port, keepalive=15)
        except ssl.SSLError as error:
            raise SinkError(self._bad_certificate(error)) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SinkError(
                f"sink {self.name}: no broker at {self.spec.host}:{port} ({reason}). Does it run, and on that port? "
                f"Try: mosquitto_sub -h {self.spec.host} -p {port} -t '#'"
            ) from error
        self._client = client
        client.loop_start()
        if not self._answered.wait(_CONNECT_S):
            raise SinkError(f"sink {self.name}: {self.spec.host}:{port} does not answer as an MQTT broker")
        if self._refused is not None:
            raise SinkError(self._refused)

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Send one result, and what follows from it."""
        stamp_ns = self.stamps.of(result)
        if not self._connected or self._waiting >= _MOST_WAITING:
            self.lost += 1
            return
        self._publish("result", encode_json(result_message(result, stamp_ns, self.spec.with_map)))
        self._tell_state(result)
        jpeg = self.pictures.take(frame, result)
        if jpeg is not None:
            self._publish("image", jpeg)
        self.sent += 1

    def close(self) -> None:
        """Say offline and leave; bounded."""
        client, self._client = self._client, None
        if client is None:
            return
        if self._connected:
            client.publish(self._topic("status"), b"offline", qos=1, retain=True).wait_for_publish(1.0)
        client.disconnect()
        client.loop_stop()

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.spec.options.get("ca"))
        except OSError as error:  # an unreadable or malformed file
            raise SinkError(f"sink {self.name}: ca={self.spec.options.get('ca')}: {error.strerror or error}") from error

    def _bad_certificate(self, error: ssl.SSLError) -> str:
        reason = getattr(error, "verify_message", "") or error.reason or error
        return (
            f"sink {self.name}: the broker's certificate is not accepted ({reason}). For one that your own authority "
            f"signed add ?ca=FILE.pem to the address; for a wrong name use the name that stands in it"
        )

    def _topic(self, leaf: str) -> str:
        return f"{self.spec.topic}/{leaf}"

    def _publish(self, leaf: str, payload: bytes, retain: bool = False) -> None:
        self._waiting += 1
        self._client.publish(self._topic(leaf), payload, qos=0, retain=retain)

    def _tell_state(self, result: Result) -> None:
        passed_ns = None if self._state_ns is None else result.capture_ns - self._state_ns
        state = home_assistant.state(result)
        if state != self._state and (passed_ns is None or not 0 <= passed_ns < _STATE_NS):
            self._state, self._state_ns = state, result.capture_ns
            self._publish("state", encode_json(state), retain=True)

    def _announce(self, client: Any) -> None:
        prefix = self.spec.options.get("discovery")
        if prefix is None:
            return
        prefix = prefix or home_assistant.PREFIX
        topic, payload = home_assistant.discovery(
            prefix, self.spec.topic, self.spec.options.get("name", "lvs"), with_image=self.image_hz > 0
        )
        client.publish(topic, encode_json(payload), qos=1, retain=True)
        client.subscribe(f"{prefix}/status", qos=1)

    # ---- called in paho's thread ----

    def _on_connect(self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refused = (
                f"sink {self.name}: the broker refuses us ({reason}). User name in the address "
                f"(mqtt://USER@HOST/...), password in LVS_MQTT_PASSWORD or LVS_MQTT_PASSWORD_FILE"
            )
            if self._answered.is_set():
                _LOG.warning("%s", self._refused)
            self._answered.set()
            return
        self.reconnects += self._answered.is_set()
        self._waiting, self._state = 0, {}
        client.publish(self._topic("status"), b"online", qos=1, retain=True)
        self._announce(client)
        self._connected = True
        self._answered.set()

    def _on_disconnect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._connected and self._client is not None:
            _LOG.warning("sink %s: connection lost (%s); trying again", self.name, reason)
        self._connected = False

    def _on_publish(self, _client: Any, _userdata: Any, _mid: int, _reason: Any, _properties: Any) -> None:
        self._waiting = max(0, self._waiting - 1)

    def _on_message(self, client: Any, _userdata: Any, message: Any) -> None:
        if message.payload == b"online":  # Home Assistant has started anew
            self._announce(client)


def _no_delay(_client: Any, _userdata: Any, sock: Any) -> None:
    """Small messages go at once: with Nagle's algorithm on, p99 was 22 to 38 ms."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
