"""The camera through PyAV on a stand-in for its container that plays the faults seen on V4L2."""

from __future__ import annotations

import sys
import threading
import time
import types
from fractions import Fraction

import numpy as np
import pytest

from lvs_runtime.capture.base import Dropped, SourceLost
from lvs_runtime.capture.camera import Camera
from lvs_runtime.capture.camera_av import AvCamera
from lvs_runtime.capture.select import make_sources
from lvs_runtime.capture.uri import SourceRef, parse_camera
from lvs_runtime.errors import CaptureError


class FFmpegError(Exception):
    pass


class InvalidDataError(FFmpegError):
    pass


class ArgumentError(FFmpegError, ValueError):
    pass


ERRORS = types.SimpleNamespace(FFmpegError=FFmpegError, InvalidDataError=InvalidDataError, ArgumentError=ArgumentError)


class FakeFrame:
    time_base = Fraction(1, 1_000_000)

    def __init__(self, image, behind_ns):
        self.image = image
        self.pts = None if behind_ns is None else (time.monotonic_ns() - behind_ns) // 1000

    def to_ndarray(self, format):
        assert format == "bgr24"
        return self.image


class FakePacket:
    def __init__(self, item, behind_ns):
        self.item, self.behind_ns = item, behind_ns

    def decode(self):
        if isinstance(self.item, str):
            raise InvalidDataError(self.item)
        return [FakeFrame(self.item, self.behind_ns)]


class FakeContainer:
    """Plays a list: an image, "corrupt", an Event (blocks as the kernel does) or an exception."""

    def __init__(self, script, behind_ns):
        codec = types.SimpleNamespace(name="rawvideo", pix_fmt="yuyv422")
        self.stream = types.SimpleNamespace(average_rate=Fraction(30), codec_context=codec, thread_type="")
        self.streams = types.SimpleNamespace(video=[self.stream])
        self.script, self.behind_ns, self.closed = script, behind_ns, False

    def demux(self, video):
        assert video == 0
        for item in self.script:
            if isinstance(item, threading.Event):
                item.wait(30)
            elif isinstance(item, BaseException):
                raise item
            else:
                yield FakePacket(item, self.behind_ns)
                time.sleep(0.01)

    def close(self):
        self.closed = True


@pytest.fixture
def play(monkeypatch):
    """play(script) returns a camera, and what av.open was asked and gave."""
    monkeypatch.setattr(sys, "platform", "linux")

    def make(script, behind_ns=10_000_000, refuse=(), **asked):
        seen = types.SimpleNamespace(options=[], containers=[])

        def open_(path, format, container_options):
            seen.path = path
            seen.options.append(container_options)
            if isinstance(script, BaseException):
                raise script
            if container_options.get("input_format") in refuse:
                raise ArgumentError("no such format")
            seen.containers.append(FakeContainer(list(script), behind_ns))
            return seen.containers[-1]

        monkeypatch.setitem(sys.modules, "av", types.SimpleNamespace(open=open_, error=ERRORS))
        return AvCamera("0", **asked), seen

    return make


def image(value=7, size=(48, 64)):
    return np.full((*size, 3), value, np.uint8)


def read(camera, seconds=5.0):
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        item = camera.read(0.1)
        if item is not None:
            return item
    raise AssertionError("nothing came")


def test_frames_get_the_drivers_stamp_once_it_is_trusted(play):
    held = threading.Event()
    camera, seen = play([*[image()] * 14, held])
    camera.open()
    assert seen.path == "/dev/video0"
    assert camera.info.size_px == (64, 48)
    assert camera.info.details["format"] == "yuyv422"
    frames = [read(camera) for _ in range(14)]
    assert [f.stamp_source for f in frames] == ["arrival"] * 9 + ["driver"] * 5
    assert 5e6 < frames[-1].arrival_ns - frames[-1].capture_ns < 60e6
    held.set()
    camera.close()
    assert seen.containers[0].closed


def test_unplugged_is_a_loss_and_it_can_be_opened_again(play):
    camera, seen = play([image(), OSError(19, "No such device")])
    camera.open()
    read(camera)
    with pytest.raises(SourceLost, match="unplugged"):
        read(camera)
    assert camera.close()
    camera.open()
    read(camera)
    assert camera.close()
    assert len(seen.containers) == 2


def test_a_stall_is_no_frame_goes_on_and_cannot_hold_the_close(play, monkeypatch):
    monkeypatch.setattr("lvs_runtime.capture.camera_av._CLOSE_S", 0.1)
    stall, second = threading.Event(), threading.Event()
    camera, seen = play([image(1), stall, image(9), second])
    camera.open()
    assert read(camera).image_bgr[0, 0, 0] == 1
    assert camera.read(0.05) is None
    stall.set()
    assert read(camera).image_bgr[0, 0, 0] == 9
    grabber = camera._grabber.thread
    assert camera.close() is False
    assert not seen.containers[0].closed
    second.set()
    grabber.join(10)
    assert seen.containers[0].closed  # the kernel came back: now the device is free


def test_resized_and_corrupt_pictures(play):
    camera, _ = play([image(), "corrupt", image(3, (24, 32)), threading.Event()])
    camera.open()
    read(camera)
    lost = read(camera)
    assert isinstance(lost, Dropped)
    assert lost.reason.value == "corrupt_frame"
    assert read(camera).image_bgr.shape == (24, 32, 3)
    assert camera.info.size_px == (32, 24)


def test_what_a_slow_reader_misses_is_counted(play):
    held = threading.Event()
    camera, seen = play([*(image(i) for i in range(12)), held])
    camera.open()
    while seen.containers[0].script is None or camera._grabber.missed < 8:
        time.sleep(0.01)
    missed = read(camera)
    assert (missed.reason.value, missed.count) == ("superseded", 8)
    assert [read(camera).image_bgr[0, 0, 0] for _ in range(4)] == [8, 9, 10, 11]
    held.set()
    camera.close()


def test_jpeg_is_asked_for_only_where_raw_does_not_fit_and_is_no_condition(play):
    camera, seen = play([image()], size_px=(1280, 720), fps=30, refuse=("mjpeg",))
    camera.open()
    plain = {"video_size": "1280x720", "framerate": "30"}
    assert seen.options == [{**plain, "input_format": "mjpeg"}, plain]
    camera, seen = play([image()], size_px=(640, 480))
    camera.open()
    assert seen.options == [{"video_size": "640x480"}]


def test_why_it_does_not_open(play, monkeypatch):
    for error, told in (
        (FileNotFoundError(2, "No such file"), r"cannot be opened.*--list-devices"),
        (OSError(16, "busy"), r"another program is using it.*fuser"),
    ):
        camera, _ = play(error)
        with pytest.raises(CaptureError, match=told):
            camera.open()
    monkeypatch.setattr("lvs_runtime.capture.camera_av.FIRST_FRAME_S", 0.1)
    monkeypatch.setattr("lvs_runtime.capture.camera_av._CLOSE_S", 0.1)
    held = threading.Event()
    camera, _ = play([held])
    with pytest.raises(CaptureError, match=r"gave no frame.*another program"):
        camera.open()
    held.set()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(CaptureError, match="need OpenCV"):
        AvCamera("0").open()


@pytest.mark.parametrize(("opencv", "kind"), [(types.ModuleType("cv2"), Camera), (None, AvCamera)])
def test_opencv_where_it_is_installed_else_pyav(monkeypatch, opencv, kind):
    monkeypatch.setitem(sys.modules, "cv2", opencv)
    (source,) = make_sources(parse_camera("0"), SourceRef("none", ""), make_clock=object)
    assert type(source) is kind


def test_neither_is_installed(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CaptureError, match=r"pip install 'lvs\[video\]'"):
        AvCamera("0").open()
