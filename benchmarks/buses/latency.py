"""What a bus adds: from handing a result to the sink until a subscriber on this machine holds the message.

    python benchmarks/buses/latency.py --json benchmarks/results/buses_<device>_<date>.json

Sink and subscriber in one process, loopback; the buses take turns, one message every 20 ms, so that whatever else the
machine does falls on all alike. Small: the JSON of a result. JPEG: a picture of 640x480 right after it; it is encoded
beforehand, for encoding is no matter of the bus. "socket" is the floor: the same JSON over a bare TCP connection.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))
import bus_helpers

from lvs_runtime.bench import machine, percentiles
from lvs_runtime.buses import message as bus_message
from lvs_runtime.buses.spec import parse_bus
from lvs_runtime.drawn.scene import scene
from lvs_runtime.results import VideoFrame
from lvs_runtime.sinks import open_sink
from lvs_runtime.sinks.encode import encode_json
from lvs_runtime.view.jpeg import JpegEncoder

SIZE = (640, 480)


class Arrivals:
    """When each frame's small message and picture were first held by the subscriber, ns on the monotonic clock."""

    def __init__(self) -> None:
        self.result: dict[int, int] = {}
        self.image: dict[int, int] = {}

    def small(self, body: bytes) -> None:
        """A result came."""
        now = time.monotonic_ns()
        self.result.setdefault(json.loads(bytes(body))["stamp_ns"], now)

    def picture(self, stamp_ns: int) -> None:
        """A picture came."""
        self.image.setdefault(stamp_ns, time.monotonic_ns())


class Plain(bus_message.BusSink):
    """What no bus can beat: the same JSON over one TCP connection of this machine."""

    def __init__(self, outlet: socket.socket) -> None:
        super().__init__(parse_bus("zmq:1", "--sink"))
        self.outlet = outlet

    def open(self, info: Any) -> None:
        """Nothing to do."""
        self.prepare(info)

    def write(self, frame: Any, result: Any, audio: Any) -> None:
        """One line."""
        message = bus_message.result_message(result, self.stamps.of(result))
        self.outlet.sendall(encode_json(message) + b"\n")

    def close(self) -> None:
        """Hang up."""
        self.outlet.close()


def plain(_folder: Path, got: Arrivals) -> tuple[Any, Callable[[], None]]:
    """The floor: a bare socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        outlet = socket.create_connection(server.getsockname())
        inlet, _ = server.accept()
    outlet.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def take() -> None:
        with inlet.makefile("rb") as lines:
            for line in lines:
                got.small(line)
        inlet.close()

    thread = threading.Thread(target=take)
    thread.start()
    return Plain(outlet), thread.join


def mqtt(folder: Path, got: Arrivals) -> tuple[Any, Callable[[], None]]:
    """mosquitto between paho and paho."""
    broker = bus_helpers.Mosquitto(folder).start()
    listener = bus_helpers.MqttListener(broker.port)
    pending: list[int] = []

    def take(_client: Any, _userdata: Any, m: Any) -> None:
        if m.topic.endswith("/result"):
            got.small(m.payload)
            pending.append(json.loads(m.payload)["stamp_ns"])
        elif m.topic.endswith("/image"):
            got.picture(pending[-1])  # pictures carry no stamp on MQTT: they follow their result

    listener.client.on_message = take

    def end() -> None:
        listener.close()
        broker.stop()

    return open_sink(f"mqtt://127.0.0.1:{broker.port}/lvs?image=100"), end


def zenoh(_folder: Path, got: Arrivals) -> tuple[Any, Callable[[], None]]:
    """Two peers over TCP."""
    import zenoh as z

    endpoint = f"tcp/127.0.0.1:{bus_helpers.free_port()}"
    config = z.Config()
    config.insert_json5("listen/endpoints", json.dumps([endpoint]))
    config.insert_json5("scouting/multicast/enabled", "false")
    session = z.open(config)
    session.declare_subscriber("lvs/result", lambda s: got.small(s.payload.to_bytes()))
    session.declare_subscriber("lvs/image", lambda s: got.picture(json.loads(s.attachment.to_bytes())["stamp_ns"]))
    return open_sink(f"zenoh:lvs?connect={endpoint}&image=100"), session.close


def zmq(_folder: Path, got: Arrivals) -> tuple[Any, Callable[[], None]]:
    """PUB to SUB."""
    import zmq as z

    port = bus_helpers.free_port()
    context = z.Context()
    inlet = context.socket(z.SUB)
    inlet.connect(f"tcp://127.0.0.1:{port}")
    inlet.setsockopt(z.SUBSCRIBE, b"")
    inlet.setsockopt(z.RCVTIMEO, 100)
    going = threading.Event()

    def take() -> None:
        while not going.is_set():
            try:
                parts = inlet.recv_multipart()
            except z.Again:
                continue
            if len(parts) == 2:
                got.small(parts[1])
            else:
                got.picture(json.loads(parts[1])["stamp_ns"])
        inlet.close()

    thread = threading.Thread(target=take)
    thread.start()

    def end() -> None:
        going.set()
        thread.join()
        context.term()

    return open_sink(f"zmq:{port}?image=100"), end


def dds(_folder: Path, got: Arrivals) -> tuple[Any, Callable[[], None]]:
    """Two Cyclone participants, no multicast."""
    from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.util import duration

    from lvs_runtime.buses.dds_source import _reader
    from lvs_runtime.buses.dds_types import dds_types

    types, participant = dds_types(), DomainParticipant(DOMAIN)
    small = _reader(participant, "/lvs/result", types.String)
    image = _reader(participant, "/lvs/image/compressed", types.CompressedImage)
    going = threading.Event()

    def take() -> None:
        waiter = WaitSet(participant)
        state = ViewState.Any | SampleState.NotRead | InstanceState.Alive
        conditions = [ReadCondition(reader, state) for reader in (small, image)]
        for condition in conditions:
            waiter.attach(condition)
        while not going.is_set():
            waiter.wait(duration(milliseconds=100))
            for sample in small.take(8):
                if hasattr(sample, "data"):  # else: a writer has gone
                    got.small(sample.data.encode())
            for sample in image.take(8):
                if hasattr(sample, "message"):
                    got.picture(sample.message.stamp_ns)

    thread = threading.Thread(target=take)
    thread.start()

    def end() -> None:
        going.set()
        thread.join()

    return open_sink(f"dds:/lvs?domain={DOMAIN}&image=100"), end


def foxglove(_folder: Path, got: Arrivals) -> tuple[Any, Callable[[], None]]:
    """The WebSocket to a `websockets` client."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    port = bus_helpers.free_port()
    sink = open_sink(f"foxglove:{port}?image=100")

    def take() -> None:
        bus_helpers.wait_until("server", lambda: sink._server is not None)
        with connect(f"ws://127.0.0.1:{port}", subprotocols=["foxglove.sdk.v1"], max_size=None) as client:
            ids: dict[int, str] = {}
            try:
                for data in client:
                    if isinstance(data, str):
                        new = [c for c in json.loads(data).get("channels", []) if c["topic"] in WANTED]
                        ids.update({c["id"]: c["topic"] for c in new})
                        if new:
                            asked = [{"id": c["id"], "channelId": c["id"]} for c in new]
                            client.send(json.dumps({"op": "subscribe", "subscriptions": asked}))
                    elif data[0] == 1:
                        if ids[int.from_bytes(data[1:5], "little")] == "/lvs/result":
                            got.small(data[13:])
                        else:
                            got.picture(int.from_bytes(data[5:13], "little"))
            except ConnectionClosed:
                return

    threading.Thread(target=take, daemon=True).start()
    return sink, lambda: None


DOMAIN = os.getpid() % 100 + 100  # another benchmark's DDS peers must not answer
WANTED = ("/lvs/result", "/lvs/overlay")
BUSES = {"socket": plain, "mqtt": mqtt, "zenoh": zenoh, "zmq": zmq, "dds": dds, "foxglove": foxglove}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("CYCLONEDDS_URI", bus_helpers.CYCLONE)
    load = machine.load_1min()
    jpeg = JpegEncoder(80).encode(scene(7).frame(1.0, SIZE))
    bus_message.Pictures.take = lambda *_args: jpeg  # type: ignore[method-assign,assignment]
    figures = measure(args.count)
    record = {
        "schema": "lvs-bench/1",
        "topic": "buses",
        "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": ["benchmarks/buses/latency.py", *sys.argv[1:]],
        "git_commit": machine.commit()[0],
        "machine": machine.machine(),
        "software": {**machine.software(), **_versions()},
        "run": {"count": args.count, "period_ms": 20, "picture_px": list(SIZE), "jpeg_bytes": len(jpeg)},
        "resources": {"load_1min_start": load, "load_1min_end": machine.load_1min()},
        "figures": figures,
    }
    for name, f in figures.items():
        print(f"{name:9s} result {_line(f['result'])}   picture {_line(f['picture'])}   lost {f['lost']}")
    if args.json:
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def measure(count: int) -> dict[str, Any]:
    """Every bus in turn, `count` results each."""
    image = scene(7).frame(1.0, SIZE)
    got = {name: Arrivals() for name in BUSES}
    sent: dict[str, dict[int, int]] = {name: {} for name in BUSES}
    with tempfile.TemporaryDirectory() as folder:
        ends, sinks = {}, {}
        for name, start in BUSES.items():
            sinks[name], ends[name] = start(Path(folder), got[name])
            sinks[name].open(bus_helpers.INFO)
        time.sleep(2.0)  # discovery
        results = bus_helpers.tracked(count + 20)
        for index, result in enumerate(results):
            for name, sink in sinks.items():
                stamp = 1_000 * SECOND + index * 20_000_000
                frame = VideoFrame(image, stamp, stamp, index)
                one = replace(result, capture_ns=stamp, source_stamp_ns=stamp, image_size_px=SIZE)
                begin = time.monotonic_ns()
                sink.write(frame, one, None)
                if index >= 20:  # the first ones find their way
                    sent[name][stamp] = begin
                time.sleep(0.02)
        time.sleep(1.0)
        for name in BUSES:
            sinks[name].close()
            ends[name]()
    figures = {}
    for name in BUSES:
        small = [(got[name].result[s] - b) / 1e6 for s, b in sent[name].items() if s in got[name].result]
        picture = [(got[name].image[s] - b) / 1e6 for s, b in sent[name].items() if s in got[name].image]
        figures[name] = {
            "result": percentiles.summary(small),
            "picture": percentiles.summary(picture),
            "added_p50_ms": None,
            "lost": {"result": len(sent[name]) - len(small), "picture": len(sent[name]) - len(picture)},
        }
    for f in figures.values():
        f["added_p50_ms"] = round(f["result"]["p50_ms"] - figures["socket"]["result"]["p50_ms"], 3)
    return figures


SECOND = 1_000_000_000


def _line(f: dict[str, Any]) -> str:
    return f"p50 {f['p50_ms']} p95 {f['p95_ms']} ms (n {f['n']})"


def _versions() -> dict[str, str]:
    from importlib import metadata

    names = ("paho-mqtt", "eclipse-zenoh", "pyzmq", "cyclonedds", "foxglove-sdk", "websockets")
    return {name: metadata.version(name) for name in names}


if __name__ == "__main__":
    main()
