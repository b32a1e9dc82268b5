"""Results for buses, and real peers that a test starts and stops."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lvs_runtime.geometry import CameraModel
from lvs_runtime.heatmap import boxes_px, peak_px
from lvs_runtime.results import Result, VideoFrame
from lvs_runtime.sinks import SessionInfo
from lvs_runtime.tracks import SourceTracker

SIZE = (160, 120)
START_NS = 5_000_000_000_000
WALL_OFFSET_NS = 1_700_000_000_000_000_000
INFO = SessionInfo(source="made by hand", fps=25.0, sample_rate=16_000, wall_offset_ns=0)
INSTALL = "scripts/install-system-packages.sh"
# Only the loopback device, nothing by multicast: what ROS calls LOCALHOST.
CYCLONE = (
    '<CycloneDDS><Domain><General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>'
    "<AllowMulticast>false</AllowMulticast><MaxMessageSize>65500B</MaxMessageSize></General>"
    '<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address="127.0.0.1"/></Peers></Discovery>'
    "</Domain></CycloneDDS>"
)


def cells(x: float = 9.0, y: float = 5.0, peak: float = 0.9) -> np.ndarray:
    rows, columns = np.mgrid[0:14, 0:14]
    return (peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)).astype(np.float32)


def frame(index: int = 0, **changes: Any) -> VideoFrame:
    image = np.full((SIZE[1], SIZE[0], 3), 40 + index % 100, np.uint8)
    stamp_ns = START_NS + index * 40_000_000
    return VideoFrame(image, stamp_ns, stamp_ns, index, **changes)


def result(index: int = 0, *, seen: bool = True, **changes: Any) -> Result:
    m = cells() if seen else cells(peak=0.2)
    stamp_ns = START_NS + index * 40_000_000
    fields: dict[str, Any] = {
        "similarity_map": m,
        "image_size_px": SIZE,
        "audible": seen,
        "level_dbfs": -20.0,
        "confidence": 0.9 if seen else 0.1,
        "peak_px": peak_px(m, SIZE),
        "boxes_px": boxes_px(m, SIZE, 0.6) if seen else (),
        "provider": "none",
        "precision": "fp32",
        "frame_index": index,
        "capture_ns": stamp_ns,
        "arrival_ns": stamp_ns,
        "audio_end_ns": stamp_ns,
        "output_ns": stamp_ns + 9_000_000,
    }
    return Result(**{**fields, **changes})


def tracked(count: int, **changes: Any) -> list[Result]:
    """Results with bearings and one track."""
    tracker = SourceTracker(CameraModel.from_hfov(70, SIZE))
    return [tracker.annotate(result(index, **changes)) for index in range(count)]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_until(what: str, condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)


class Mosquitto:
    """A broker on a free port of this machine."""

    def __init__(self, folder: Path, *lines: str, port: int | None = None) -> None:
        self.program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if self.program is None:
            pytest.skip(f"mosquitto is missing: run {INSTALL}")
        self.port, self.folder = port or free_port(), folder
        self._config = folder / f"mosquitto-{self.port}.conf"
        user = ["user root"] if os.geteuid() == 0 else []
        access = [] if any(line.startswith("allow_anonymous") for line in lines) else ["allow_anonymous true"]
        text = [*user, f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", *access, *lines]
        self._config.write_text("\n".join(text) + "\n")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Mosquitto:
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([self.program, "-c", self._config], stdout=log, stderr=log)
        wait_until("mosquitto listens", self._listens)
        return self

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


class MqttListener:
    """A subscriber that keeps what it gets: (topic, payload, retained)."""

    def __init__(self, port: int, pattern: str = "#", **login: str) -> None:
        import paho.mqtt.client as mqtt

        self.got: list[tuple[str, bytes, bool]] = []
        self.ready = False
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        if login:
            self.client.username_pw_set(**login)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(pattern)
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = lambda _c, _u, m: self.got.append((m.topic, m.payload, m.retain))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_until("subscribed", lambda: self.ready)

    def on(self, topic: str) -> list[bytes]:
        return [payload for where, payload, _ in list(self.got) if where == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
