"""Camera and microphone on stand-ins for cv2 and sounddevice that play the faults seen on real drivers."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections import namedtuple

import numpy as np
import pytest

from lvs_runtime.capture.base import Dropped, SourceLost
from lvs_runtime.capture.camera import Camera
from lvs_runtime.capture.microphone import Microphone
from lvs_runtime.capture.select import make_sources
from lvs_runtime.capture.uri import SourceRef, parse_camera
from lvs_runtime.errors import CaptureError

SIZE = (48, 64, 3)


class FakeCapture:
    """Plays a list: an image, "corrupt", "stall" (waits, then False) or "gone" (False at once)."""

    def __init__(self, script, clock, opened=True):
        self.script, self.clock, self.opened = list(script), clock, opened
        self.current, self.released, self.retrieved_after_failure = None, 0, 0

    def isOpened(self):
        return self.opened

    def set(self, key, value):
        return True

    def get(self, key):
        return {"pos": self.clock.now / 1e6 - 10.0, "fps": 30.0, "fourcc": 0.0}[key]

    def getBackendName(self):
        return "FAKE"

    def grab(self):
        self.current = self.script.pop(0) if self.script else "gone"
        self.clock.now += 1_000_000_000 if isinstance(self.current, str) and self.current == "stall" else 33_000_000
        if isinstance(self.current, str) and self.current == "gone":
            self.clock.now -= 33_000_000
        return not (isinstance(self.current, str) and self.current in ("stall", "gone"))

    def retrieve(self):
        if isinstance(self.current, str):
            if self.current != "corrupt":
                self.retrieved_after_failure += 1
            return True, np.empty((0, 0, 3), np.uint8)
        return True, self.current

    def release(self):
        self.released += 1


class Clock:
    def __init__(self):
        self.now = 10**15

    def __call__(self):
        return self.now


@pytest.fixture
def open_camera(monkeypatch):
    def make(script, opened=True):
        clock = Clock()
        capture = FakeCapture(script, clock, opened)
        fake = types.SimpleNamespace(
            VideoCapture=lambda *a: capture,
            CAP_V4L2=200,
            CAP_ANY=0,
            CAP_PROP_POS_MSEC="pos",
            CAP_PROP_FPS="fps",
            CAP_PROP_FOURCC="fourcc",
        )
        monkeypatch.setitem(sys.modules, "cv2", fake)
        monkeypatch.setattr(sys, "platform", "linux")
        return Camera("0", clock_ns=clock), capture

    return make


class TestCamera:
    def image(self, value=7):
        return np.full(SIZE, value, np.uint8)

    def test_frames_get_the_drivers_stamp_once_it_is_trusted(self, open_camera):
        camera, _ = open_camera([self.image()] * 20)
        camera.open()
        frames = [camera.read(0.1) for _ in range(15)]
        assert [f.stamp_source for f in frames] == ["arrival"] * 9 + ["driver"] * 6
        assert frames[-1].arrival_ns - frames[-1].capture_ns == pytest.approx(10_000_000, abs=1000)
        assert camera.info.size_px == (64, 48)

    def test_unplugged_is_a_loss_and_never_an_old_picture(self, open_camera):
        camera, capture = open_camera([self.image()] * 3)
        camera.open()
        camera.read(0.1)
        camera.read(0.1)
        with pytest.raises(SourceLost, match="unplugged"):
            camera.read(0.1)
        assert capture.retrieved_after_failure == 0

    def test_a_stall_is_no_frame_and_goes_on(self, open_camera):
        camera, capture = open_camera([self.image(), "stall", self.image(9)])
        camera.open()
        assert camera.read(0.1) is None
        assert camera.read(0.1).image_bgr[0, 0, 0] == 9
        assert capture.retrieved_after_failure == 0

    def test_one_interrupted_wait_is_not_a_loss(self, open_camera):
        camera, _ = open_camera([self.image(), "gone", self.image(9)])
        camera.open()
        assert camera.read(0.1).image_bgr[0, 0, 0] == 9

    def test_a_corrupt_picture_is_counted(self, open_camera):
        camera, _ = open_camera([self.image(), "corrupt"])
        camera.open()
        item = camera.read(0.1)
        assert isinstance(item, Dropped)
        assert item.reason.value == "corrupt_frame"

    def test_a_camera_that_is_not_there(self, open_camera):
        camera, capture = open_camera([], opened=False)
        with pytest.raises(CaptureError, match=r"cannot be opened.*--list-devices"):
            camera.open()
        assert capture.released == 1

    def test_a_camera_that_others_use(self, open_camera):
        camera, capture = open_camera([])
        with pytest.raises(CaptureError, match="another program"):
            camera.open()
        assert capture.released == 1

    def test_opencv_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(CaptureError, match=r"pip install 'lvs\[live\]'"):
            Camera("0").open()


WITH = "Video I/O:\n    GStreamer:                   YES (1.22.0)\n"
WITHOUT = "Video I/O:\n    GStreamer:                   NO\n"


class TestGstPipeline:
    @pytest.fixture
    def pipeline(self, open_camera, monkeypatch):
        def make(script, text="gst:videotestsrc", build=WITH, opened=True):
            _, capture = open_camera(script, opened)
            fake = sys.modules["cv2"]
            fake.asked = []
            fake.VideoCapture = lambda *a: fake.asked.append(a) or capture
            fake.CAP_GSTREAMER, fake.CAP_PROP_OPEN_TIMEOUT_MSEC, fake.CAP_PROP_READ_TIMEOUT_MSEC = 1800, 53, 54
            fake.getBuildInformation, fake.__version__ = lambda: build, "5.0.0"
            (source,) = make_sources(parse_camera(text), SourceRef("none", ""), make_clock=object)
            source._clock_ns = capture.clock
            return source, fake

        return make

    def test_frames_are_stamped_at_arrival_and_the_end_is_a_loss(self, pipeline):
        source, fake = pipeline([np.full(SIZE, 7, np.uint8)] * 3 + ["stall"])
        source.open()
        text, api, limits = fake.asked[0]
        assert text.startswith("videotestsrc ! videoconvert")
        assert text.endswith("appsink drop=true max-buffers=2 sync=false")
        assert (api, limits[1], limits[3]) == (1800, 6000, 1000)
        frame = source.read(0.1)
        assert (frame.stamp_source, frame.capture_ns) == ("arrival", frame.arrival_ns)
        source.read(0.1)
        assert source.read(0.1) is None  # it stalls
        with pytest.raises(SourceLost, match=r"gst:videotestsrc: lost \(the pipeline ended"):
            source.read(0.1)

    def test_an_appsink_of_the_users_stays(self, pipeline):
        source, fake = pipeline([np.full(SIZE, 7, np.uint8)], "gst:v4l2src ! appsink max-buffers=1")
        source.open()
        assert fake.asked[0][0] == "v4l2src ! appsink max-buffers=1"

    def test_what_stands_in_the_way(self, pipeline):
        source, _ = pipeline([], "gst:rtspsrc location=rtsp://me:secret@cam/x ! decodebin", WITHOUT)
        with pytest.raises(CaptureError, match=r"built without GStreamer \(OpenCV 5.0.0\).*python3-opencv") as told:
            source.open()
        assert "secret" not in str(told.value)
        source, _ = pipeline([], opened=False)
        with pytest.raises(CaptureError, match=r"does not start.*gst-launch-1.0 -v videotestsrc"):
            source.open()


Status = namedtuple("Status", "input_overflow")


class FakeStream:
    def __init__(self, owner, **settings):
        self.settings, self.owner, self.aborted = settings, owner, 0
        owner.streams.append(self)

    def start(self):
        if self.owner.refuse:
            raise self.owner.PortAudioError("Illegal combination of I/O devices")

    def deliver(self, data, overflow=False):
        self.settings["callback"](data, len(data), None, Status(overflow))

    def finish(self):
        self.settings["finished_callback"]()

    def abort(self, ignore_errors):
        self.aborted += 1
        self.owner.frozen.wait(30)

    def close(self, ignore_errors):
        pass


class FakeSounddevice(types.ModuleType):
    class PortAudioError(Exception):
        pass

    def __init__(self, names=("hw:0", "USB Mic A", "USB Mic B", "default"), rates=(48_000,)):
        super().__init__("sounddevice")
        self.names, self.rates, self.streams, self.refuse = names, rates, [], False
        self.frozen = threading.Event()
        self.frozen.set()

    def query_devices(self, device=None, kind=None):
        all_ = [{"name": n, "max_input_channels": 2, "default_samplerate": 44_100.0, "hostapi": 0} for n in self.names]
        if kind is None:
            return all_
        return all_[len(all_) - 1 if device is None else device]

    def query_hostapis(self, index=None):
        return {"name": "ALSA"}

    def check_input_settings(self, device, channels, dtype, extra, rate):
        if rate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def InputStream(self, **settings):
        return FakeStream(self, **settings)


@pytest.fixture
def sound(monkeypatch):
    fake = FakeSounddevice()
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


class TestMicrophone:
    def test_blocks_come_stamped_and_mono(self, sound):
        mic = Microphone("default")
        mic.open()
        stream = sound.streams[0]
        assert stream.settings["samplerate"] == 48_000
        assert stream.settings["blocksize"] == 480
        assert stream.settings["latency"] == 0.05
        before = time.monotonic_ns()
        data = np.full((480, 2), 0.25, np.float32)
        stream.deliver(data)
        data[:] = 0  # PortAudio reuses its buffer
        stream.deliver(np.full((480, 2), 0.5, np.float32), overflow=True)
        first, second = mic.read(1.0), mic.read(1.0)
        assert first.samples.shape == (480,)
        assert first.samples[0] == 0.25
        assert before <= first.arrival_ns <= second.arrival_ns <= time.monotonic_ns()
        assert first.start_ns is None
        assert (first.overflow, second.overflow) == (False, True)
        assert mic.read(0.0) is None

    def test_the_end_of_the_stream_is_a_loss_after_what_came(self, sound):
        mic = Microphone("default")
        mic.open()
        sound.streams[0].deliver(np.ones((480, 2), np.float32))
        sound.streams[0].finish()
        assert mic.read(1.0) is not None
        with pytest.raises(SourceLost, match="sound server"):
            mic.read(1.0)

    def test_names(self, sound):
        for asked, index in (("1", 1), ("usb mic b", 2), ("hw", 0)):
            mic = Microphone(asked)
            mic.open()
            assert sound.streams[-1].settings["device"] == index
        for asked, told in (("USB", "several inputs"), ("9", "no input with this number"), ("Foo", "no such input")):
            with pytest.raises(CaptureError, match=told):
                Microphone(asked).open()

    def test_falls_to_the_devices_own_rate(self, sound):
        sound.rates = (44_100,)
        mic = Microphone("default")
        mic.open()
        assert mic.info.sample_rate == 44_100
        with pytest.raises(CaptureError, match="Invalid sample rate"):
            Microphone("default", sample_rate=48_000).open()

    def test_a_daemon_that_is_not_there(self, sound):
        sound.refuse = True
        with pytest.raises(CaptureError, match=r"Illegal combination.*pactl info.*--mic none"):
            Microphone("default").open()

    def test_closing_is_bounded_when_the_daemon_is_frozen(self, sound, monkeypatch):
        monkeypatch.setattr("lvs_runtime.capture.microphone._CLOSE_S", 0.1)
        mic = Microphone("default")
        mic.open()
        sound.frozen.clear()
        assert mic.close() is False
        assert sound.streams[0].aborted == 1
        sound.frozen.set()
        assert mic.close() is True

    @pytest.mark.parametrize(("error", "told"), [(ImportError, "pip install"), (OSError, "libportaudio2")])
    def test_what_is_not_installed(self, monkeypatch, error, told):
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "sounddevice":
                    raise error("PortAudio library not found")

        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        with pytest.raises(CaptureError, match=told):
            Microphone("default").open()
