"""Pictures and sound from buses and recordings, up to a session that pairs them by their header stamps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lvs_runtime.capture import EndOfSource, SoundBlock, make_sources, parse_camera, parse_mic
from lvs_runtime.capture.base import Dropped
from lvs_runtime.errors import CaptureError, ConfigError
from lvs_runtime.live.session import LiveSession
from lvs_runtime.results import VideoFrame
from lvs_runtime.sinks import open_sink

pytestmark = pytest.mark.usefixtures("no_threads_left")
SECOND = 1_000_000_000
STAMP_NS = 1_600_000_000 * SECOND  # a recording's clock, years ago


def sources(camera, mic):
    ref = parse_camera(camera)
    return make_sources(ref, parse_mic(mic, ref), make_clock=lambda: None)


def jpeg(index, helpers):
    cv2 = pytest.importorskip("cv2")
    return cv2.imencode(".jpg", helpers.picture(index))[1].tobytes()


def drain_live(source, wanted, seconds=15.0):
    """Frames, blocks and drops until `wanted` frames came."""
    frames, blocks, drops = [], [], []
    end = time.monotonic() + seconds
    while len(frames) < wanted and time.monotonic() < end:
        item = source.read(0.1)
        kind = frames if isinstance(item, VideoFrame) else blocks if isinstance(item, SoundBlock) else drops
        if item is not None:
            kind.append(item)
    return frames, blocks, drops


@pytest.mark.parametrize(
    ("camera", "mic", "says"),
    [
        ("dds:camera", None, "no ROS topic"),
        ("zenoh:a//b", None, "no Zenoh key"),
        ("mcap:", None, "needs a file"),
        ("dds:/camera", "camera", "no sound of its own"),
        ("mcap:a.mcap", "mcap:b.mcap", "one recording"),
        ("zenoh:a", "mcap:b.mcap", "one recording"),
        ("ddd:/camera", None, "Did you mean dds"),
    ],
)
def test_what_cannot_be_is_said(camera, mic, says):
    with pytest.raises(ConfigError, match=says):
        sources(camera, mic)


def test_picture_and_sound_of_one_bus_are_one_source():
    (both,) = sources("dds:/camera/image_raw", "dds:/audio?rate=48000&channels=2")
    assert (both.has_picture, both.has_sound, both.is_live) == (True, True, True)
    picture, mic = sources("zenoh:a/b", "0")
    assert (picture.has_sound, mic.has_picture) == (False, False)
    assert [s.has_sound for s in sources("dds:/camera/image_raw", "zenoh:mic")] == [False, True]
    (alone,) = sources("dds:/camera/image_raw", "none")
    assert not alone.has_sound


class TestZenoh:
    def test_stamps_order_duplicates_and_garbage(self, bus, helpers):
        zenoh = pytest.importorskip("zenoh")
        endpoint = f"tcp/127.0.0.1:{bus.free_port()}"
        (source,) = sources(f"zenoh:robot/cam?listen={endpoint}", "zenoh:robot/mic")
        source.open()
        frames, blocks, drops = [], [], []
        config = zenoh.Config()
        for key, value in (
            ("mode", '"client"'),
            ("connect/endpoints", json.dumps([endpoint])),
            ("scouting/multicast/enabled", "false"),
        ):
            config.insert_json5(key, value)
        with zenoh.open(config) as robot:
            base = time.time_ns() - 60 * SECOND
            robot.put("robot/cam", b"no picture", attachment=json.dumps({"stamp_ns": base - 1}))
            robot.put("robot/cam", b"x", attachment="not json")
            for index in (0, 1, 1, 3, 2, 4):
                tag = {"stamp_ns": base + index * 40_000_000, "frame_id": "head"}
                robot.put("robot/cam", jpeg(index, helpers), attachment=json.dumps(tag))
                tag = {"stamp_ns": base + index * 40_000_000, "sample_rate": 16_000, "format": "f32le"}
                robot.put("robot/mic", helpers.tone(0.04).tobytes(), attachment=json.dumps(tag))
                for into, more in zip((frames, blocks, drops), drain_live(source, 99, 0.3), strict=True):
                    into += more
        assert source.close()
        offset = time.time_ns() - time.monotonic_ns()
        assert [f.source_stamp_ns - base for f in frames] == [k * 40_000_000 for k in (0, 1, 3, 4)]
        assert {f.frame_id for f in frames} == {"head"}
        assert {f.stamp_source for f in frames} == {"other_clock"}  # a minute behind ours
        reasons = [d.reason.value for d in drops if isinstance(d, Dropped)]
        assert sorted(reasons) == ["corrupt_frame", "duplicate", "out_of_order"]
        assert source.bad_messages == 1
        assert (len(blocks), source.sound_lost) == (4, 2)
        for block in blocks:
            np.testing.assert_allclose(block.samples, helpers.tone(0.04), atol=1e-6)
        assert 59 * SECOND < frames[0].capture_ns + offset - base < 70 * SECOND


class TestDds:
    def test_raw_and_compressed_pictures_and_sound(self, bus, helpers, monkeypatch):
        pytest.importorskip("cyclonedds")
        monkeypatch.setenv("CYCLONEDDS_URI", bus.CYCLONE)
        from lvs_runtime.buses.dds_sink import DdsSink
        from lvs_runtime.buses.dds_types import dds_types
        from lvs_runtime.buses.spec import parse_bus

        types = dds_types()
        robot = DdsSink(parse_bus("dds:/cam?domain=72", "--sink"))
        robot.open(bus.INFO)
        writers = {
            "raw": robot._writer("image_raw", types.Image),
            "jpeg": robot._writer("image/compressed", types.CompressedImage),
            "mic": robot._writer("mic", types.AudioDataStamped),
        }
        for topic in ("/cam/image_raw", "/cam/image/compressed"):
            (source,) = sources(f"dds:{topic}?domain=72", "dds:/cam/mic")
            source.open()
            frames, blocks = [], []
            for index in range(400):
                stamp = time.time_ns() - 30_000_000
                head = types.Header(stamp=types.Time(sec=stamp // SECOND, nanosec=stamp % SECOND), frame_id="head")
                image = helpers.picture(index)
                if topic.endswith("raw"):
                    h, w = image.shape[:2]
                    writers["raw"].write(
                        types.Image(header=head, height=h, width=w, encoding="bgr8", step=w * 3, data=image.tobytes())
                    )
                else:
                    writers["jpeg"].write(types.CompressedImage(header=head, format="jpeg", data=jpeg(index, helpers)))
                pcm = (helpers.tone(0.02) * 32767).astype("<i2").tobytes()
                writers["mic"].write(types.AudioDataStamped(header=head, audio=types.AudioData(data=pcm)))
                got_frames, got_blocks, _ = drain_live(source, 1, 0.05)
                frames, blocks = frames + got_frames, blocks + got_blocks
                if len(frames) >= 3 and len(blocks) >= 3:
                    break
            assert source.close()
            assert len(frames) >= 3
            assert frames[-1].image_bgr.shape == (48, 64, 3)
            assert frames[-1].frame_id == "head"
            assert frames[-1].capture_ns <= frames[-1].arrival_ns
            assert frames[-1].stamp_source == "header"
            assert abs(blocks[-1].start_ns + (time.time_ns() - time.monotonic_ns()) - STAMP_NS) > SECOND
            assert len(blocks[-1].samples) == 320
        robot.close()


def recording(bus, helpers, path, count=25):
    """What our own sink writes of a session on another clock: 1 s of walking square and tone."""
    sink = open_sink(f"mcap:{path}")
    sink.open(bus.INFO)
    wave = helpers.tone(1.0)
    for index in range(count):
        stamp = STAMP_NS + index * 40_000_000
        frame = VideoFrame(helpers.picture(index), bus.START_NS + index * 40_000_000, 0, index)
        sink.write(frame, bus.result(index, source_stamp_ns=stamp, frame_id="head", image_size_px=(64, 48)), None)
        sink.write_audio(wave[index * 640 : (index + 1) * 640], 16_000, frame.capture_ns)
    sink.close()
    return path


@pytest.fixture(scope="module")
def path(bus, helpers, tmp_path_factory):
    pytest.importorskip("foxglove")
    pytest.importorskip("mcap")
    return recording(bus, helpers, tmp_path_factory.mktemp("mcap") / "run.mcap")


class TestRecordings:
    def test_what_was_recorded_comes_back(self, path, helpers):
        (source,) = sources(f"mcap:{path}#/camera/image", None)
        source.open()
        frames, blocks, items = helpers.drain(source)
        assert [f.capture_ns for f in frames] == [k * 40_000_000 for k in range(25)]
        assert [f.source_stamp_ns for f in frames] == [STAMP_NS + k * 40_000_000 for k in range(25)]
        assert {f.frame_id for f in frames} == {"head"}
        assert np.abs(frames[7].image_bgr.astype(int) - helpers.picture(7)).mean() < 16
        heard = np.concatenate([b.samples for b in blocks])
        np.testing.assert_allclose(heard, helpers.tone(1.0), atol=1e-4)
        assert source.info.duration_s == pytest.approx(0.96)
        assert source.info.details == {"picture": "/camera/image", "sound": "/audio"}
        sounded = 0
        for item in items:  # whoever holds a frame already holds its sound
            if isinstance(item, SoundBlock):
                sounded = item.start_ns + item.duration_ns
            else:
                assert sounded >= item.capture_ns

    def test_a_session_as_fast_as_possible_keeps_the_stamps(self, path, localizer):
        session = LiveSession(f"mcap:{path}", None, localizer, paced=False, audio_seconds=0.5)
        results = list(session)
        assert len(results) == 25
        assert [r.source_stamp_ns for r in results] == [STAMP_NS + k * 40_000_000 for k in range(25)]
        assert all(r.frame_id == "head" for r in results)
        assert all(r.audio_end_ns == r.capture_ns for r in results[3:])
        assert results[-1].audible

    def test_at_speed_it_takes_its_time(self, path, localizer):
        begin = time.monotonic()
        assert len(list(LiveSession(f"mcap:{path}", None, localizer, audio_seconds=0.5))) == 25
        assert time.monotonic() - begin > 0.95

    def test_a_killed_recorder_loses_its_last_chunk_alone(self, helpers, tmp_path, caplog):
        pytest.importorskip("foxglove")
        pytest.importorskip("mcap")
        path = tmp_path / "killed.mcap"
        code = f"""
import os, signal, sys
sys.path[:0] = ["tests/helpers"]
import bus_helpers, live_helpers
from lvs_runtime.buses import mcap_sink
from lvs_runtime.results import VideoFrame
from lvs_runtime.sinks import open_sink
mcap_sink._CHUNK_BYTES = 8192
sink = open_sink({"mcap:" + str(path)!r})
sink.open(bus_helpers.INFO)
for index in range(25):
    frame = VideoFrame(live_helpers.picture(index), bus_helpers.START_NS + index * 40_000_000, 0, index)
    sink.write(frame, bus_helpers.result(index, image_size_px=(64, 48)), None)
os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=100, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        (source,) = sources(f"mcap:{path}", "none")
        source.open()
        frames, _, _ = helpers.drain(source)
        assert 15 < len(frames) < 25
        assert "was not finished" in caplog.text

    @pytest.mark.parametrize(
        ("address", "says"),
        [
            ("{}#/nowhere", "no picture topic /nowhere.*Its topics: .*/camera/image"),
            ("{}.missing", "no such file"),
        ],
    )
    def test_what_is_not_there(self, path, address, says):
        (source,) = sources("mcap:" + address.format(path), None)
        with pytest.raises(CaptureError, match=says):
            source.open()

    def test_no_recording_at_all(self, tmp_path):
        (tmp_path / "x.mcap").write_bytes(b"this is no recording")
        (source,) = sources(f"mcap:{tmp_path / 'x.mcap'}", None)
        with pytest.raises(CaptureError, match="not an MCAP recording"):
            source.open()

    def test_rosbag2_folder(self, tmp_path, helpers):
        rosbag2 = pytest.importorskip("rosbags.rosbag2")
        typesys = pytest.importorskip("rosbags.typesys")
        ros = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        header, time_type = ros.types["std_msgs/msg/Header"], ros.types["builtin_interfaces/msg/Time"]
        for storage in (rosbag2.StoragePlugin.SQLITE3, rosbag2.StoragePlugin.MCAP):
            folder = tmp_path / f"bag_{storage.name}"
            with rosbag2.Writer(folder, version=9, storage_plugin=storage) as bag:
                topic = bag.add_connection("/camera/image", "sensor_msgs/msg/Image", typestore=ros)
                for index in (0, 1, 1, 2):  # one twice
                    image = helpers.picture(index)
                    stamp = time_type(sec=100, nanosec=index * 40_000_000)
                    message = ros.types["sensor_msgs/msg/Image"](
                        header(stamp, "cam"), 48, 64, "bgr8", 0, 192, image.ravel()
                    )
                    data = ros.serialize_cdr(message, message.__msgtype__)
                    bag.write(topic, 100 * SECOND + index * 40_000_000, data)
            (source,) = sources(f"mcap:{folder}", "none")
            source.open()
            items = []
            with pytest.raises(EndOfSource):
                while True:
                    items.append(source.read(0.0))
            source.close()
            frames = [i for i in items if isinstance(i, VideoFrame)]
            assert len(frames) == 3
            assert [i.reason.value for i in items if isinstance(i, Dropped)] == ["duplicate"]
            np.testing.assert_array_equal(frames[2].image_bgr, helpers.picture(2))
            assert source.counts.duplicates == 1
