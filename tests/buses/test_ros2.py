"""The rclpy adapter on a strict stand-in (rclpy itself comes with ROS alone; docs/robots.md has a container for it)."""

from __future__ import annotations

import json

import fake_rclpy
import numpy as np
import pytest

from lvs_runtime.capture import SoundBlock, make_sources, parse_camera, parse_mic
from lvs_runtime.errors import CaptureError, SinkError
from lvs_runtime.results import VideoFrame
from lvs_runtime.sinks import open_sink

pytestmark = pytest.mark.usefixtures("no_threads_left")
STAMP_NS = 1_234_567_890_123_456_789


def publishers(node):
    return {publisher.topic: publisher for publisher in node.publishers_made}


def test_messages(bus, monkeypatch):
    pytest.importorskip("cv2")
    nodes = fake_rclpy.install(monkeypatch)
    sink = open_sink("ros2:/robot/lvs?image=25")
    sink.open(bus.INFO)
    for index, result in enumerate(bus.tracked(3, source_stamp_ns=STAMP_NS, frame_id="head")):
        sink.write(bus.frame(index), result, None)
    sink.write(bus.frame(3), bus.result(3, seen=False), None)
    made = publishers(nodes[0])
    assert nodes[0].name == "robot_lvs"
    counts = {topic.removeprefix("/robot/lvs/"): len(p.sent) for topic, p in made.items()}
    assert counts == {"result": 4, "detections": 4, "bearing": 3, "image/compressed": 4}
    detections = made["/robot/lvs/detections"].sent[2]
    assert (detections.header.stamp.sec, detections.header.stamp.nanosec) == divmod(STAMP_NS, 10**9)
    assert detections.header.frame_id == "head"
    assert detections.detections[0].id == "1"
    assert made["/robot/lvs/detections"].sent[3].detections == []
    assert json.loads(made["/robot/lvs/result"].sent[0].data)["stamp_ns"] == STAMP_NS
    assert bytes(made["/robot/lvs/image/compressed"].sent[0].data[:2]) == b"\xff\xd8"
    sink.close()
    assert nodes[0].destroyed
    assert not nodes[0].context.valid
    sink.close()


def test_managed_node_is_quiet_until_it_is_active(bus, monkeypatch):
    nodes = fake_rclpy.install(monkeypatch)
    sink = open_sink("ros2:/lvs?lifecycle=1")
    sink.open(bus.INFO)
    sink.write(bus.frame(0), bus.result(0), None)
    nodes[0].active = True
    sink.write(bus.frame(1), bus.result(1), None)
    sent = publishers(nodes[0])["/lvs/result"].sent
    assert [json.loads(m.data)["frame_index"] for m in sent] == [1]
    sink.close()


def test_without_vision_msgs_the_rest_works(bus, monkeypatch, caplog):
    nodes = fake_rclpy.install(monkeypatch, vision=False)
    sink = open_sink("ros2:/lvs")
    sink.open(bus.INFO)
    sink.write(bus.frame(0), bus.result(0), None)
    sink.close()
    assert set(publishers(nodes[0])) == {"/lvs/result", "/lvs/bearing"}
    assert "vision_msgs is not installed" in caplog.text


def test_without_ros_the_way_out_is_named(bus):
    with pytest.raises(SinkError, match=r"source /opt/ros.*dds:/lvs"):
        open_sink("ros2:/lvs").open(bus.INFO)
    camera = parse_camera("ros2:/camera/image_raw")
    (source,) = make_sources(camera, parse_mic("none", camera), make_clock=lambda: None)
    with pytest.raises(CaptureError, match=r"source /opt/ros.*dds:/camera/image_raw"):
        source.open()


def test_source_reads_what_came_over_the_wire(bus, helpers, monkeypatch):
    pytest.importorskip("cyclonedds")
    from lvs_runtime.buses.dds_types import dds_types

    wire = dds_types()
    nodes = fake_rclpy.install(monkeypatch)
    camera = parse_camera("ros2:/camera/image_raw")
    (source,) = make_sources(camera, parse_mic("ros2:/audio?rate=16000", camera), make_clock=lambda: None)
    source.open()
    (_, topic, on_image, raw), (_, _, on_sound, _) = nodes[0].subscriptions
    assert (topic, raw) == ("/camera/image_raw", True)
    image = helpers.picture(0)
    head = wire.Header(stamp=wire.Time(sec=5, nanosec=6), frame_id="head")
    on_image(wire.Image(header=head, height=48, width=64, encoding="bgr8", step=192, data=image.tobytes()).serialize())
    on_image(b"garbage")
    pcm = (helpers.tone(0.02) * 32767).astype("<i2").tobytes()
    on_sound(wire.AudioDataStamped(header=head, audio=wire.AudioData(data=pcm)).serialize())
    items = [source.read(0.1) for _ in range(2)]
    assert isinstance(items[0], SoundBlock)
    assert isinstance(items[1], VideoFrame)
    np.testing.assert_array_equal(items[1].image_bgr, image)
    assert (items[1].source_stamp_ns, items[1].frame_id, source.bad_messages) == (5_000_000_006, "head", 1)
    assert source.close()
    assert nodes[0].destroyed
