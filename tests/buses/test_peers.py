"""Zenoh, ZeroMQ, DDS and Foxglove sinks against real peers in this process; the MCAP sink against other readers."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError, SinkError
from lvs_runtime.sinks import open_sink

pytestmark = pytest.mark.usefixtures("no_threads_left")
STAMP_NS = 1_234_567_890_123_456_789
CARRIED = {"source_stamp_ns": STAMP_NS, "frame_id": "head_optical"}


class TestZenoh:
    @pytest.fixture
    def peer(self, bus):
        zenoh = pytest.importorskip("zenoh")
        endpoint = f"tcp/127.0.0.1:{bus.free_port()}"
        config = zenoh.Config()
        for key, value in (
            ("mode", '"peer"'),
            ("listen/endpoints", json.dumps([endpoint])),
            ("scouting/multicast/enabled", "false"),
            ("scouting/gossip/enabled", "false"),
        ):
            config.insert_json5(key, value)
        session = zenoh.open(config)
        yield session, endpoint
        session.close()

    def test_results_pictures_stamps_and_liveliness(self, bus, peer):
        session, endpoint = peer
        got, alive = [], []
        session.declare_subscriber(
            "robot/**", lambda s: got.append((str(s.key_expr), s.payload.to_bytes(), s.attachment))
        )
        session.liveliness().declare_subscriber("robot/**", lambda s: alive.append(str(s.kind)))
        sink = open_sink(f"zenoh:robot/ear?connect={endpoint}&image=5")
        sink.open(bus.INFO)
        bus.wait_until("alive", lambda: len(alive) == 1)
        for index, result in enumerate(bus.tracked(10, **CARRIED)):
            sink.write(bus.frame(index), result, None)
        bus.wait_until("results", lambda: sum(key.endswith("result") for key, *_ in got) == 10)
        sink.close()
        bus.wait_until("gone", lambda: len(alive) == 2)
        message = json.loads(next(body for key, body, _ in got if key.endswith("/result")))
        assert (message["stamp_ns"], message["frame_id"]) == (STAMP_NS, "head_optical")
        _, body, attachment = next(item for item in got if item[0].endswith("/image"))
        assert body[:2] == b"\xff\xd8"
        assert json.loads(attachment.to_bytes()) == {"stamp_ns": STAMP_NS, "frame_id": "head_optical"}

    def test_peer_gone(self, bus, peer):
        session, endpoint = peer
        sink = open_sink(f"zenoh:robot/ear?connect={endpoint}")
        sink.open(bus.INFO)
        session.close()
        begin = time.monotonic()
        for index in range(100):
            sink.write(bus.frame(index), bus.result(index), None)
        assert time.monotonic() - begin < 10
        sink.close()

    def test_nobody_there_and_nonsense(self, bus):
        pytest.importorskip("zenoh")
        with pytest.raises(SinkError, match="Zenoh could not start"):
            open_sink(f"zenoh:a/b?connect=tcp/127.0.0.1:{bus.free_port()}").open(bus.INFO)
        with pytest.raises(ConfigError, match="want PROTOCOL/ADDRESS"):
            open_sink("zenoh:a/b?connect=127.0.0.1").open(bus.INFO)


class TestZmq:
    def test_results_and_pictures(self, bus):
        zmq = pytest.importorskip("zmq")
        sink = open_sink("zmq:tcp://127.0.0.1:*?image=1")
        sink.open(bus.INFO)
        with zmq.Context() as context, context.socket(zmq.SUB) as inlet:
            inlet.connect(sink.address)
            inlet.setsockopt(zmq.SUBSCRIBE, b"lvs/")
            inlet.setsockopt(zmq.RCVTIMEO, 200)
            got, index = [], 0
            while len(got) < 5 and index < 100:  # a PUB socket says nothing to who has not joined yet
                sink.write(bus.frame(index), bus.result(index, **CARRIED), None)
                index += 1
                try:
                    got.append(inlet.recv_multipart())
                except zmq.Again:
                    continue
            inlet.setsockopt(zmq.LINGER, 0)
        sink.close()
        message = json.loads(next(parts[1] for parts in got if parts[0] == b"lvs/result"))
        assert (message["stamp_ns"], message["frame_id"]) == (STAMP_NS, "head_optical")
        assert len(got) == 5

    def test_slow_subscriber_costs_no_memory_and_no_time(self, bus):
        zmq = pytest.importorskip("zmq")
        sink = open_sink("zmq:tcp://127.0.0.1:*?map=1")
        sink.open(bus.INFO)
        with zmq.Context() as context, context.socket(zmq.SUB) as inlet:
            inlet.setsockopt(zmq.RCVHWM, 1)
            inlet.connect(sink.address)
            inlet.setsockopt(zmq.SUBSCRIBE, b"")
            for index in range(600):
                sink.write(bus.frame(index), bus.result(index), None)
            inlet.setsockopt(zmq.LINGER, 0)
        assert sink.sent == 600
        sink.close()

    def test_port_taken(self, bus):
        pytest.importorskip("zmq")
        first = open_sink("zmq:tcp://127.0.0.1:*")
        first.open(bus.INFO)
        second = open_sink("zmq:" + first.address)
        with pytest.raises(SinkError, match=r"in use.*another port"):
            second.open(bus.INFO)
        first.close()
        second.close()


class TestDds:
    @pytest.fixture(autouse=True)
    def only_here(self, monkeypatch, bus):
        pytest.importorskip("cyclonedds")
        monkeypatch.setenv("CYCLONEDDS_URI", bus.CYCLONE)

    def reader(self, participant, topic, kind):
        from lvs_runtime.buses.dds_source import _reader

        return _reader(participant, topic, kind)

    def test_ros_names_types_and_stamps(self, bus):
        from cyclonedds.domain import DomainParticipant

        from lvs_runtime.buses.dds_types import dds_types

        types, participant = dds_types(), DomainParticipant(71)
        result, detections, bearing, image = (
            self.reader(participant, f"/head/lvs/{leaf}", getattr(types, kind))
            for leaf, kind in (
                ("result", "String"),
                ("detections", "Detection2DArray"),
                ("bearing", "Vector3Stamped"),
                ("image/compressed", "CompressedImage"),
            )
        )
        assert image.topic.name == "rt/head/lvs/image/compressed"
        assert detections.topic.typename == "vision_msgs::msg::dds_::Detection2DArray_"
        sink = open_sink("dds:/head/lvs?domain=71&image=100")
        sink.open(bus.INFO)
        got: dict[str, list] = {"result": [], "detections": [], "bearing": [], "image": []}
        sent = bus.tracked(400, **CARRIED)
        for index, one in enumerate(sent):
            sink.write(bus.frame(index), one, None)
            for name, reader in (
                ("result", result),
                ("detections", detections),
                ("bearing", bearing),
                ("image", image),
            ):
                got[name] += reader.take(20)
            if min(len(v) for v in got.values()) >= 3:
                break
            time.sleep(0.02)
        sink.close()
        assert min(len(v) for v in got.values()) >= 3
        assert json.loads(got["result"][0].data)["stamp_ns"] == STAMP_NS
        header = got["detections"][-1].header
        assert (header.stamp.sec, header.stamp.nanosec) == (1_234_567_890, 123_456_789)
        assert header.frame_id == "head_optical"
        (found,) = got["detections"][-1].detections
        x0, y0, x1, y1 = sent[0].boxes_px[0]
        assert (found.bbox.size_x, found.bbox.size_y) == (x1 - x0, y1 - y0)
        assert found.bbox.center.position.x == (x0 + x1 - 1) / 2
        assert found.results[0].hypothesis.class_id == "sound_source"
        assert found.id == "1"
        v = got["bearing"][-1].vector
        assert v.x**2 + v.y**2 + v.z**2 == pytest.approx(1)
        assert bytes(got["image"][0].message.data[:2]) == b"\xff\xd8"
        assert got["image"][0].message.stamp_ns == STAMP_NS

    def test_bytes_on_the_wire_are_what_an_independent_library_reads(self, bus):
        """rosbags has ROS's own message definitions."""
        store_module = pytest.importorskip("rosbags.typesys")
        from lvs_runtime.buses import ros_messages
        from lvs_runtime.buses.dds_types import dds_types

        store = store_module.get_typestore(store_module.Stores.ROS2_HUMBLE)
        types, one = dds_types(), bus.tracked(3, **CARRIED)[-1]
        wire = ros_messages.compressed(types, one, STAMP_NS, b"jpegdata").serialize(use_version_2=False)
        read = store.deserialize_cdr(wire, "sensor_msgs/msg/CompressedImage")
        assert (read.header.frame_id, read.format, bytes(read.data)) == ("head_optical", "jpeg", b"jpegdata")
        wire = ros_messages.bearing(types, one, STAMP_NS).serialize(use_version_2=False)
        read = store.deserialize_cdr(wire, "geometry_msgs/msg/Vector3Stamped")
        assert read.header.stamp.nanosec == 123_456_789
        assert read.vector.x > 0
        image = types.Image(height=2, width=2, encoding="mono8", step=2, data=b"abcd")
        assert store.deserialize_cdr(image.serialize(), "sensor_msgs/msg/Image").data.tobytes() == b"abcd"

    def test_bad_domain(self, bus):
        with pytest.raises(ConfigError, match="domain 999"):
            open_sink("dds:/lvs?domain=999")


class TestFoxglove:
    def test_a_client_sees_channels_and_stamps(self, bus):
        pytest.importorskip("foxglove")
        client_module = pytest.importorskip("websockets.sync.client")
        sink = open_sink("foxglove:0")
        sink.open(bus.INFO)
        with client_module.connect(
            f"ws://127.0.0.1:{sink.port}", subprotocols=["foxglove.sdk.v1"], max_size=None
        ) as client:
            ids: dict[str, int] = {}
            while len(ids) < 6:
                text = client.recv(10)
                for channel in json.loads(text).get("channels", []) if isinstance(text, str) else []:
                    ids[channel["topic"]] = channel["id"]
                    assert channel["schemaName"] or channel["encoding"] == "json"
            wanted = ["/camera/image", "/lvs/result", "/lvs/bearing"]
            subscriptions = [{"id": k, "channelId": ids[topic]} for k, topic in enumerate(wanted)]
            client.send(json.dumps({"op": "subscribe", "subscriptions": subscriptions}))
            bus.wait_until("subscribed", lambda: sink._looked.at("/lvs/bearing"))
            for index, result in enumerate(bus.tracked(5, **CARRIED)):
                sink.write(bus.frame(index), result, None)
            got = {}
            while len(got) < 3:
                data = client.recv(10)
                if isinstance(data, bytes) and data[0] == 1:
                    topic = wanted[int.from_bytes(data[1:5], "little")]
                    got.setdefault(topic, (int.from_bytes(data[5:13], "little"), data[13:]))
        assert not sink._looked.at("/lvs/overlay")
        assert all(stamp == STAMP_NS for stamp, _ in got.values())
        assert json.loads(got["/lvs/result"][1])["frame_id"] == "head_optical"
        assert b"\xff\xd8" in got["/camera/image"][1]
        second = open_sink(f"foxglove:{sink.port}")
        with pytest.raises(SinkError, match="cannot listen"):
            second.open(bus.INFO)
        sink.close()
        second.close()


class TestMcap:
    def record(self, bus, path, count=30, **changes):
        sink = open_sink(f"mcap:{path}")
        sink.open(bus.INFO)
        for index, result in enumerate(bus.tracked(count, **changes)):
            sink.write(bus.frame(index), result, None)
            sink.write_audio(np.full(640, 0.25, np.float32), 16_000, result.capture_ns)
        return sink

    def test_another_library_reads_it_all(self, bus, tmp_path):
        pytest.importorskip("foxglove")
        reader = pytest.importorskip("mcap.reader")
        path = tmp_path / "run.mcap"
        self.record(bus, path, **CARRIED).close()
        with path.open("rb") as file:
            opened = reader.make_reader(file)
            counts: dict[str, int] = {}
            for schema, channel, message in opened.iter_messages():
                counts[channel.topic] = counts.get(channel.topic, 0) + 1
                kind = schema.name if schema else "json"
                if channel.topic == "/lvs/result":
                    assert json.loads(message.data)["stamp_ns"] == message.log_time == STAMP_NS
                else:
                    assert kind.startswith("foxglove.")
        assert counts.pop("/lvs/overlay") in (6, 7)  # 5 a second
        assert counts == dict.fromkeys(
            ("/camera/image", "/lvs/annotations", "/audio", "/lvs/bearing", "/lvs/result"), 30
        )

    def test_the_arrow_points_at_the_source(self, bus, tmp_path):
        pytest.importorskip("foxglove")
        from lvs_runtime.buses.foxglove_channels import _along

        for ray in ((0.1, -0.2, 0.97), (0.0, 0.0, 1.0), (-1.0, 0.0, 0.0), (0.6, 0.8, 0.0)):
            r = np.array(ray) / np.linalg.norm(ray)
            text = str(_along(tuple(r)))
            x, y, z, w = (float(part.split("=")[1].rstrip(")")) for part in text.split("(")[1].split(","))
            turned = (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w))  # the x axis, turned
            np.testing.assert_allclose(turned, r, atol=1e-6)

    def test_two_recordings_at_once_are_apart(self, bus, tmp_path):
        pytest.importorskip("foxglove")
        reader = pytest.importorskip("mcap.reader")
        sinks = [self.record(bus, tmp_path / name, count) for name, count in (("a.mcap", 3), ("b.mcap", 5))]
        for sink in sinks:
            sink.close()
        for name, count in (("a.mcap", 3), ("b.mcap", 5)):
            with (tmp_path / name).open("rb") as file:
                found = list(reader.make_reader(file).iter_messages(topics=["/lvs/result"]))
                assert len(found) == count

    def test_nowhere_to_write(self, bus, tmp_path):
        with pytest.raises(SinkError, match="nowhere"):
            open_sink(f"mcap:{tmp_path}/nowhere/run.mcap").open(bus.INFO)
