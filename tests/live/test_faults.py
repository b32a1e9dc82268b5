"""More faults by script: what must never happen, and what must end in bounded time. Slow machines in virtual time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.capture.base import SoundBlock
from lvs_runtime.live.audio_rate import EveryFrame, SpareTime
from lvs_runtime.live.hearing import Ears, SoundArrival
from lvs_runtime.live.session import LiveSession
from lvs_runtime.live.slot import FrameSlot
from lvs_runtime.live.stats import StatsCollector
from lvs_runtime.live.sync import LIVE
from lvs_runtime.live.track import SoundTrack
from lvs_runtime.results import VideoFrame

MS, SECOND = 1_000_000, 1_000_000_000
PATIENCE_S = 60


def live(localizer, camera, mic=None, **options):
    sources = [camera] if mic is None else [camera, mic]
    return LiveSession("0", "none" if mic is None else "default", localizer, sources=sources, **options)


def run_until(session, done):
    try:
        session.start()
        for source in session._given:
            source.released.set()
        while not done():
            assert not session.wait(0.01), session.error
    finally:
        closed = session.close()
    return closed


def stamped(helpers, index, capture_ns):
    return VideoFrame(helpers.picture(index), capture_ns, time.monotonic_ns(), 0, "driver")


class TestStale:
    def test_an_old_picture_is_never_shown_as_new(self, helpers, localizer):
        """A camera that comes back hands out what was still in its buffers; one that hangs repeats a stamp."""
        base_ns, results = time.monotonic_ns(), []
        stamps_ms = [0, 33, 66, 66, 10, 20, 99, 98, 132]
        camera = helpers.Scripted(
            [lambda i=i, ms=ms: stamped(helpers, i, base_ns + ms * MS) for i, ms in enumerate(stamps_ms)], pause_s=0.01
        )
        session = live(localizer, camera, on_result=results.append)
        run_until(session, lambda: session.stats().offered == len(stamps_ms))
        stamps = [r.capture_ns for r in results]
        assert stamps == sorted(set(stamps))
        stats = session.stats()
        assert (stats.drops["duplicate"], stats.drops["out_of_order"]) == (1, 3)
        assert stats.in_flight == 0

    def test_sound_that_stopped_is_not_the_sound_of_later_frames(self, helpers, localizer):
        track = SoundTrack()
        track.add(SoundBlock(samples=helpers.tone(2.0), sample_rate=16_000, start_ns=SECOND))
        ears = Ears(localizer, track, 8_000, StatsCollector(), EveryFrame(), SoundArrival(track), None)
        assert ears.hear(2 * SECOND, 0).hearing.window.end_ns == pytest.approx(2 * SECOND, abs=MS)
        assert ears.hear(3 * SECOND + 200 * MS, 0).hearing is not None
        assert ears.hear(3 * SECOND + 300 * MS, 0).hearing is None
        assert ears.hear(9 * SECOND, 0).hearing is None

    def test_a_shared_window_is_given_up_when_it_is_old(self, helpers, localizer):
        """However short time is: a frame 300 ms after the last window gets its own."""
        track, stats = SoundTrack(), StatsCollector()
        track.add(SoundBlock(samples=helpers.tone(2.0), sample_rate=16_000, start_ns=SECOND))
        ears = Ears(localizer, track, 8_000, stats, SpareTime(most_hz=0.1), SoundArrival(track), LIVE)
        heard = [ears.hear(2 * SECOND + ms * MS, ms * MS) for ms in (0, 33, 66, 300)]
        assert [h.own for h in heard] == [True, False, False, True]
        assert heard[-1].hearing.window.end_ns == pytest.approx(2 * SECOND + 300 * MS, abs=MS)
        assert stats.snapshot().audio_embeddings == 2


class TestSlowInference:
    def simulate(self, slow_from_s, slow_to_s, seconds=15, fps=30, cost_ms=12):
        """Frames on time into one slot, inference 20x slower for a while: (taken at, its frame's stamp)."""
        slot, rate, taken, lost, now_ms = FrameSlot(), SpareTime(), [], 0, 0.0
        for index in range(seconds * fps):
            stamp_ms = index * 1000 / fps
            while now_ms <= stamp_ms and (waiting := slot.take(0)) is not None:
                taken.append((now_ms, waiting))
                picture_ms = cost_ms * (20 if slow_from_s <= now_ms / 1000 < slow_to_s else 1)
                now_ms += picture_ms
                if rate.wants(round(taken[-1][0] * MS), round(now_ms * MS)):
                    now_ms += picture_ms / 3
                    rate.took(round(picture_ms / 3 * MS))
            lost += slot.put(stamp_ms)
            now_ms = max(now_ms, stamp_ms)
        return taken, lost

    def test_twenty_times_slower_for_five_seconds(self):
        taken, lost = self.simulate(5, 10)
        assert len(taken) + lost == pytest.approx(450, abs=2)  # all but what is under way: processed or counted
        ages = [(at, at - stamp) for at, stamp in taken]
        assert max(age for _, age in ages) <= 1000 / 30 + 1  # what is taken is the newest there is: no backlog is built
        stamps = [stamp for _, stamp in taken]
        assert stamps == sorted(set(stamps))
        after = [at for at, _ in taken if at > 10_600]
        assert np.diff(after).max() < 2 * 1000 / 30  # and then every frame again

    def test_the_session_takes_the_newest_when_inference_is_free_again(self, helpers, localizer):
        free, results = threading.Event(), []

        def hold(result):
            results.append(result)
            free.wait(PATIENCE_S)

        base_ns = time.monotonic_ns()
        script = [lambda i=i: stamped(helpers, i, base_ns + i * MS) for i in range(50)]
        camera = helpers.Scripted([*script, free.set])
        session = live(localizer, camera, on_result=hold)
        run_until(session, lambda: results and results[-1].capture_ns == base_ns + 49 * MS)
        stats = session.stats()
        assert stats.processed + stats.drops["superseded"] == stats.offered == 50


class TestBlocked:
    def test_a_blocked_sink_delays_neither_capture_nor_inference(self, helpers, localizer):
        free = threading.Event()

        class Blocked:
            name, queue_size, wants_stop = "blocked", 2, False

            def open(self, info):
                pass

            def write(self, frame, result, audio):
                free.wait(PATIENCE_S)

            def write_audio(self, samples, sample_rate, start_ns):
                pass

            def close(self):
                pass

        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.01)
        session = live(localizer, camera, sinks=[Blocked()])
        run_until(session, lambda: (session.stats().processed >= 20 or session.error) and (free.set() or True))
        stats = session.stats()
        assert stats.drops["sink_busy"] >= 20 - 3
        assert stats.sinks["blocked"]["written"] + stats.sinks["blocked"]["dropped"] == stats.processed

    def test_a_device_that_hangs_cannot_hang_the_end(self, helpers, localizer, monkeypatch):
        monkeypatch.setattr("lvs_runtime.live.session._JOIN_S", 0.2)
        free = threading.Event()

        class Hangs(helpers.Scripted):
            def read(self, timeout_s):
                if self.released.is_set():
                    free.wait(PATIENCE_S)
                return

        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.01)
        session = live(localizer, camera, Hangs([], picture=False, sound=True))
        assert run_until(session, lambda: session.stats().processed >= 2) is False
        assert session.ended.is_set()
        free.set()


def test_sessions_leave_no_thread_and_no_descriptor_behind(helpers, localizer):
    def once():
        mic = helpers.Scripted([], picture=False, sound=True)
        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.005)
        session = live(localizer, camera, mic)
        assert run_until(session, lambda: session.stats().processed >= 2)

    def count():
        fds = Path("/proc/self/fd")
        return threading.active_count(), len(list(fds.iterdir())) if fds.is_dir() else 0

    once()
    before = count()
    for _ in range(5):
        once()
    assert count() == before
