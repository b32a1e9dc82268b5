"""Slot, pairing, pacing, backoff, picture check: pure parts, time as an argument."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lvs_runtime.live import sync
from lvs_runtime.live.audio_rate import SpareTime
from lvs_runtime.live.backoff import Backoff
from lvs_runtime.live.health import PictureCheck
from lvs_runtime.live.pace import Pacer
from lvs_runtime.live.pts_clock import EnvelopePtsClock
from lvs_runtime.live.slot import FrameSlot

MS = 1_000_000


class TestSlot:
    def test_latest_keeps_the_newest_and_counts_the_rest(self):
        slot = FrameSlot()
        assert [slot.put(i) for i in range(4)] == [0, 1, 1, 1]
        assert slot.take(0) == 3
        assert slot.take(0) is None

    def test_lossless_waits_for_room(self):
        slot = FrameSlot(2, lossless=True)
        putter = threading.Thread(target=lambda: [slot.put(i) for i in range(50)])
        putter.start()
        assert [slot.take(5) for _ in range(50)] == list(range(50))
        putter.join(5)
        assert not putter.is_alive()

    def test_finish_lets_out_what_is_inside(self):
        slot = FrameSlot(3, lossless=True)
        slot.put(1)
        slot.finish()
        assert slot.put(2) == 1
        assert not slot.drained
        assert slot.take(0) == 1
        assert slot.drained

    def test_close_counts_what_it_throws_away_and_frees_a_waiting_put(self):
        slot, lost = FrameSlot(1, lossless=True), []
        slot.put(1)
        putter = threading.Thread(target=lambda: lost.append(slot.put(2)))
        putter.start()
        assert slot.close() == 1
        putter.join(5)
        assert lost == [1]


class TestSync:
    def test_waits_only_while_it_can_pay(self):
        def left(newest_ms, waited_ms):
            return sync.remaining_wait_ns(100 * MS, newest_ms * MS, waited_ms * MS, sync.EXACT)

        assert left(100, 0) == 0
        assert [left(90, waited) for waited in (0, 12, 20)] == [15 * MS, 3 * MS, 0]
        assert left(-401, 0) == 0  # the microphone stands still

    def test_live_frames_wait_for_what_is_late_and_not_for_what_is_near(self):
        def left(newest_ms):
            return sync.remaining_wait_ns(100 * MS, newest_ms * MS, 0, sync.LIVE)

        assert [left(newest) for newest in (120, 100, 85, 84, 40, 39)] == [0, 0, 0, 15 * MS, 15 * MS, 0]
        assert sync.remaining_wait_ns(100 * MS, None, 0, sync.LIVE) == 15 * MS


class TestAudioRate:
    def run(self, picture_ms, sound_ms, fps=30, most_hz=None, seconds=10):
        """Stamps in ms at which frames got their own embedding; a frame comes on time or when the last one is done."""
        rate, own, free_ms = SpareTime(most_hz), [], 0.0
        for i in range(seconds * fps):
            begin_ms = max(1000 + i * 1000 / fps, free_ms)
            free_ms = begin_ms + picture_ms
            if rate.wants(round(begin_ms * MS), round(free_ms * MS)):
                free_ms += sound_ms
                rate.took(sound_ms * MS)
                own.append(begin_ms)
        return own

    def test_with_time_to_spare_every_frame_has_its_own(self):
        assert len(self.run(10, 4)) == 300

    def test_without_it_never_fewer_than_eight_a_second(self):
        own = self.run(21, 12)
        assert 80 <= len(own) <= 150
        assert max(np.diff(own)) <= 125 + 12

    def test_slower_than_eight_results_a_second_each_has_its_own(self):
        assert len(self.run(150, 30, fps=5)) == 50

    def test_a_stated_rate_is_kept(self):
        assert len(self.run(10, 4, most_hz=10)) == pytest.approx(100, abs=3)

    def test_it_comes_back_when_the_machine_is_free_again(self):
        rate, now_ms, own = SpareTime(), 0.0, []
        for i in range(900):
            picture_ms = 32 if i < 300 else 8
            now_ms = max(now_ms, i * 33.3)
            begin_ms, now_ms = now_ms, now_ms + picture_ms
            own.append(rate.wants(round(begin_ms * MS), round(now_ms * MS)))
            if own[-1]:
                now_ms += 4
                rate.took(4 * MS)
        assert sum(own[100:300]) < 120
        assert all(own[400:])


class TestPacer:
    def test_stamps_follow_media_time_whatever_the_clock_does(self):
        pacer = Pacer(paced=True)
        assert pacer.stamp_ns(0, 1000) == 1000
        assert pacer.stamp_ns(40 * MS, 999 * MS) == 1000 + 40 * MS

    def test_paced_is_due_at_its_stamp_unpaced_at_once(self):
        assert Pacer(paced=True).due_ns(50 * MS, 10 * MS) == 50 * MS
        assert Pacer(paced=False).due_ns(50 * MS, 10 * MS) == 10 * MS

    def test_back_pressure_moves_the_schedule_but_only_by_the_lateness_it_caused(self):
        pacer = Pacer(paced=True)
        pacer.hold(30 * MS)
        assert pacer.due_ns(40 * MS, 20 * MS) == 40 * MS  # held, but not late
        pacer.hold(30 * MS)
        assert pacer.due_ns(80 * MS, 90 * MS) == 90 * MS  # 10 ms late, because held
        assert pacer.due_ns(120 * MS, 135 * MS) == 130 * MS  # a slow decoder's 5 ms stay in the age
        assert pacer.slipped_s == 0.01

    def test_a_decoder_that_cannot_keep_up_slows_the_file_down(self):
        pacer = Pacer(paced=True)
        assert pacer.due_ns(40 * MS, 240 * MS) == 240 * MS
        assert pacer.slipped_s == 0.2


def test_a_streams_own_stamps_smooth_its_arrivals():
    """Frames 40 ms apart arrive with a delay of 100 ms and jitter up to 60 ms more: stamps stay 40 ms apart."""
    clock, rng = EnvelopePtsClock(), np.random.default_rng(0)
    base_ns, stamps = 10**15, []
    for i in range(500):
        arrival_ns = base_ns + i * 40 * MS + 100 * MS + int(rng.exponential(15) * MS) % (60 * MS)
        stamps.append(clock.stamp(1234 * MS + i * 40 * MS, arrival_ns))
    late = np.array(stamps[250:])
    assert np.abs(np.diff(late) / MS - 40).max() < 1.1
    assert np.abs((late - base_ns) / MS - np.arange(250, 500) * 40 - 100).max() < 4


def test_backoff_doubles_to_its_limit_and_starts_over():
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(5)] == [0.25, 0.5, 1.0, 2.0, 2.0]
    backoff.reset()
    assert backoff.next_s() == 0.25


class TestPictureCheck:
    def noisy(self, i):
        return np.random.default_rng(i).integers(90, 110, (240, 320, 3), dtype=np.uint8)

    def test_noise_is_alive(self):
        check = PictureCheck()
        for i in range(60):
            check.add(self.noisy(i), i * 33 * MS)
        assert not check.frozen
        assert not check.black

    def test_a_repeated_picture_is_frozen_until_it_moves(self):
        check = PictureCheck()
        for i in range(20):
            check.add(self.noisy(1), i * 33 * MS)
        assert check.frozen
        check.add(self.noisy(2), 700 * MS)
        assert not check.frozen

    def test_black_for_a_second_is_black_and_not_frozen(self):
        check = PictureCheck()
        for i in range(40):
            check.add(np.zeros((240, 320, 3), np.uint8), i * 33 * MS)
            assert check.black == (i * 33 >= 1000)
        assert not check.frozen
