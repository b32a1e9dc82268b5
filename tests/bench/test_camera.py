"""The feeder of `lvs-bench camera` in virtual time: its schedule is kept whatever the session does."""

from __future__ import annotations

import numpy as np
import pytest
from bench_helpers import MS, VirtualClock

from lvs_runtime.bench import camera
from lvs_runtime.errors import ConfigError


class Session:
    """Takes what is pushed; the k-th frame keeps the feeder for `stalls_ms[k]`."""

    def __init__(self, clock, stalls_ms=()):
        self.clock, self.stalls_ms = clock, dict(stalls_ms)
        self.frames, self.sound = [], []

    def push_frame(self, frame_bgr, capture_ns=None):
        self.clock.spend_ms(self.stalls_ms.get(len(self.frames), 0))
        self.frames.append((frame_bgr, capture_ns))

    def push_audio(self, samples, sample_rate, capture_ns):
        self.sound.append((samples, sample_rate, capture_ns))


PLAN = camera.CameraPlan(fps=30.0, seconds=2.0, size_px=(64, 36), warmup_s=1.0)


@pytest.fixture(scope="module")
def shown():
    frames = [np.full((36, 64, 3), value, np.uint8) for value in range(20)]
    sound = np.arange(160_000, dtype=np.float32) / 160_000
    return camera.Material(frames, sound, 16_000, "sha")


def test_stamps_are_the_schedule_even_when_the_feeder_is_held_up(shown) -> None:
    clock = VirtualClock()
    session = Session(clock, {20: 500.0})
    fed = camera.feed([session], PLAN, shown, clock)
    stamps = np.array([stamp for _, stamp in session.frames])
    assert len(stamps) == 90
    assert set(np.diff(stamps)) == {PLAN.period_ns}
    assert max(fed.late_ms) == pytest.approx(500 - 33.3, abs=0.1)  # it woke late, said so, and stamps stayed
    assert fed.due == {(0, k): int(stamp) for k, stamp in enumerate(stamps)}


def test_sound_is_seamless_and_never_later_than_the_frame_it_belongs_to(shown) -> None:
    clock = VirtualClock()
    session = Session(clock)
    camera.feed([session], PLAN, shown, clock)
    starts = np.array([start for _, _, start in session.sound])
    assert set(np.diff(starts)) == {10 * MS}
    heard = np.concatenate([samples for samples, _, _ in session.sound])
    assert np.array_equal(heard, shown.sound[: len(heard)])
    assert 290 <= len(starts) <= 300  # 3 s in blocks of 10 ms: so many wake-ups and no more


def test_frames_are_handed_over_without_a_copy(shown) -> None:
    clock = VirtualClock()
    session = Session(clock)
    camera.feed([session], PLAN, shown, clock)
    known = {id(frame) for frame in shown.frames}
    assert all(id(frame) in known for frame, _ in session.frames)
    assert len({id(frame) for frame, _ in session.frames}) > 3  # the scene moves


def test_cameras_share_the_period_evenly(shown) -> None:
    clock = VirtualClock()
    sessions = [Session(clock) for _ in range(4)]
    plan = camera.CameraPlan(fps=30.0, seconds=1.0, streams=4, warmup_s=0.0)
    camera.feed(sessions, plan, shown, clock)
    first = [session.frames[0][1] for session in sessions]
    assert np.diff(first) == pytest.approx([plan.period_ns / 4] * 3, abs=2)
    assert {len(session.frames) for session in sessions} == {30}
    assert len({len(session.sound) for session in sessions}) == 1  # one microphone, heard by all


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": 2000}, {"seconds": 0}, {"streams": 0}, {"streams": 65}])
def test_what_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="want fps"):
        camera.CameraPlan(**wrong)
