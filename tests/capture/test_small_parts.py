"""Stamp trust, channel mixing, time order, device listing: pure parts of capture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_runtime.capture.base import SoundBlock
from lvs_runtime.capture.devices import list_cameras, list_devices
from lvs_runtime.capture.mono import MonoMix
from lvs_runtime.capture.stamps import StampTrust
from lvs_runtime.capture.time_order import TimeOrder
from lvs_runtime.results import VideoFrame

MS = 1_000_000
HOUR_NS = 3_600_000_000_000


class TestStampTrust:
    def run(self, pairs):
        trust = StampTrust()
        return trust, [trust.choose(driver, arrival) for driver, arrival in pairs]

    def test_honest_driver_is_trusted_after_ten_frames(self):
        trust, chosen = self.run([(HOUR_NS + i * 33 * MS, HOUR_NS + i * 33 * MS + 20 * MS) for i in range(20)])
        assert [kind for _, kind in chosen] == ["arrival"] * 9 + ["driver"] * 11
        assert chosen[15][0] == HOUR_NS + 15 * 33 * MS
        assert trust.switches == 0

    @pytest.mark.parametrize(
        "driver",
        [
            lambda i, arrival: 0,
            lambda i, arrival: 1_800_000_000_000_000_000 + arrival,  # wall clock
            lambda i, arrival: HOUR_NS - 100 * MS,  # stands still
            lambda i, arrival: arrival + 20 * MS,  # from the future
            lambda i, arrival: arrival - 2000 * MS,
        ],
    )
    def test_lying_driver_is_not(self, driver):
        arrivals = [HOUR_NS + i * 33 * MS for i in range(30)]
        _, chosen = self.run([(driver(i, a), a) for i, a in enumerate(arrivals)])
        assert chosen == [(a, "arrival") for a in arrivals]

    def test_one_bad_stamp_is_not_used_but_does_not_change_the_verdict(self):
        pairs = [(HOUR_NS + i * 33 * MS, HOUR_NS + i * 33 * MS + 20 * MS) for i in range(30)]
        pairs[20] = (0, pairs[20][1])
        trust, chosen = self.run(pairs)
        assert [kind for _, kind in chosen[19:22]] == ["driver", "arrival", "driver"]
        assert trust.switches == 0


class TestMonoMix:
    def noise(self, n=4800):
        return np.random.default_rng(0).normal(0, 0.1, n).astype(np.float32)

    def test_one_channel_is_itself(self):
        wave = self.noise()
        np.testing.assert_array_equal(MonoMix().mix(wave[:, None]), wave)

    def test_equal_channels_are_averaged(self):
        left, right = self.noise(), self.noise()
        np.testing.assert_allclose(MonoMix().mix(np.stack([left, right], 1)), left, atol=1e-7)

    def test_dead_channel_does_not_halve_the_level(self):
        wave = self.noise()
        np.testing.assert_array_equal(MonoMix().mix(np.stack([wave, np.zeros_like(wave)], 1)), wave)

    def test_inverted_channel_does_not_cancel(self):
        wave = self.noise()
        mixed = MonoMix().mix(np.stack([wave, -0.9 * wave], 1))
        np.testing.assert_array_equal(mixed, wave)

    def test_a_channel_that_dies_later_is_noticed(self):
        mix, wave = MonoMix(), self.noise(480)
        for _ in range(20):
            mix.mix(np.stack([wave, wave], 1))
        for _ in range(220):
            out = mix.mix(np.stack([wave, np.zeros_like(wave)], 1))
        np.testing.assert_array_equal(out, wave)

    def test_digital_silence_stays_silence(self):
        assert not MonoMix().mix(np.zeros((480, 2), np.float32)).any()


def block(start_ms, length_ms=20):
    return SoundBlock(samples=np.zeros(16 * length_ms, np.float32), sample_rate=16_000, start_ns=start_ms * MS)


def frame(stamp_ms):
    return VideoFrame(np.zeros((1, 1, 3), np.uint8), stamp_ms * MS, 0)


class TestTimeOrder:
    @settings(max_examples=100, deadline=None)
    @given(
        num_blocks=st.integers(0, 60),
        num_frames=st.integers(0, 30),
        interval_ms=st.integers(1, 100),
        choices=st.lists(st.booleans(), max_size=120),
    )
    def test_a_frame_never_comes_before_its_sound(self, num_blocks, num_frames, interval_ms, choices):
        blocks = [block(20 * i) for i in range(num_blocks)]
        frames = [frame(interval_ms * i) for i in range(num_frames)]
        order, out, todo = TimeOrder(True, True), [], {True: blocks[:], False: frames[:]}
        for choice in [*choices, *[True] * num_blocks, *[False] * num_frames]:
            if todo[choice]:
                order.add(todo[choice].pop(0))
            while (item := order.pop()) is not None:
                out.append(item)
        order.end()
        while (item := order.pop()) is not None:
            out.append(item)
        assert [i for i in out if isinstance(i, VideoFrame)] == frames
        assert [i for i in out if isinstance(i, SoundBlock)] == blocks
        reached = 0
        for item in out:
            if isinstance(item, SoundBlock):
                reached = item.start_ns + item.duration_ns
            else:
                assert reached >= item.capture_ns or reached == num_blocks * 20 * MS

    def test_only_pictures_or_only_sound_flow_at_once(self):
        order = TimeOrder(True, False)
        order.add(frame(0))
        assert order.pop() is not None
        order = TimeOrder(False, True)
        order.add(block(0))
        assert order.pop() is not None

    def test_one_side_far_ahead_is_let_go(self):
        order = TimeOrder(True, True)
        for i in range(300):
            order.add(frame(i * 40))
        assert order.pop().capture_ns == 0


def test_cameras_are_listed_without_opening_them(tmp_path):
    for number, name, index in ((0, "USB Camera", 0), (1, "USB Camera", 1), (10, "Tuner", 0), (2, "Other", 0)):
        node = tmp_path / f"sys/class/video4linux/video{number}"
        node.mkdir(parents=True)
        (node / "name").write_text(f"{name}\n")
        (node / "index").write_text(f"{index}\n")
    links = tmp_path / "dev/v4l/by-id"
    links.mkdir(parents=True)
    (links / "usb-ACME-video-index0").symlink_to("../../video0")
    (links / "usb-ACME-video-index1").symlink_to("../../video1")
    cameras = list_cameras(tmp_path)
    assert [(c.device, c.name) for c in cameras] == [
        ("/dev/video0", "USB Camera"),
        ("/dev/video2", "Other"),
        ("/dev/video10", "Tuner"),
    ]
    assert cameras[0].stable == "/dev/v4l/by-id/usb-ACME-video-index0"


def test_nothing_found_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    found = list_devices(tmp_path)
    assert found.cameras == found.microphones == []
    assert any("camera" in p for p in found.problems)
    assert any("pip install" in p for p in found.problems)
    assert set(found.as_dict()) == {"cameras", "microphones", "problems"}
