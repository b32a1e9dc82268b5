"""The session on scripted sources: results, pairing, policies, pushing, iterating, ending. No device, no file."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from lvs_runtime.capture.base import Dropped, SoundBlock, SourceLost
from lvs_runtime.errors import CaptureError, ConfigError, LvsError, SinkError
from lvs_runtime.live.session import LiveSession
from lvs_runtime.results import DropReason, VideoFrame

SECOND = 1_000_000_000
PATIENCE_S = 60


class Keeper:
    """A sink that keeps everything."""

    name, queue_size, wants_stop = "keeper", 8, False

    def __init__(self):
        self.info, self.results, self.sound, self.closed = None, [], [], 0

    def open(self, info):
        self.info = info

    def write(self, frame, result, audio):
        self.results.append((frame, result, audio))

    def write_audio(self, samples, sample_rate, start_ns):
        self.sound.append((samples, start_ns))

    def close(self):
        self.closed += 1


def file_session(helpers, localizer, length=1.0, *, sound=True, **options):
    source = helpers.Scripted(helpers.media_items(length, sound=sound), sound=sound, live=False)
    options = {"paced": False, "audio_seconds": 0.5, **options}
    return LiveSession("clip.mp4", "camera" if sound else "none", localizer, sources=[source], **options)


OPEN = []


@pytest.fixture(autouse=True)
def close_sessions():
    """A test that fails must not leave threads behind."""
    yield
    while OPEN:
        OPEN.pop().close()


def begin(session):
    OPEN.append(session)
    session.start()
    for source in session._given or ():
        source.released.set()


def finish(session):
    begin(session)
    assert session.wait(PATIENCE_S)
    assert session.close()
    return session.stats()


class TestFiles:
    def test_every_frame_with_its_own_window(self, helpers, localizer):
        keeper = Keeper()
        session = file_session(helpers, localizer, sinks=[keeper])
        stats = finish(session)
        assert session.error is None
        assert (stats.offered, stats.processed, stats.in_flight) == (25, 25, 0)
        assert [r.frame_index for _, r, _ in keeper.results] == list(range(25))
        assert keeper.closed == 1
        for frame, result, audio in keeper.results[3:]:
            assert result.audio_end_ns == result.capture_ns == frame.capture_ns
            assert audio.end_ns == result.audio_end_ns
            assert result.stamp_source == "file"
            span_s = (result.audio_end_ns - result.audio_start_ns) / 1e9
            assert span_s == pytest.approx(min(0.5, frame.index / 25), abs=1e-3)
        heard = np.concatenate([s for s, _ in keeper.sound])
        np.testing.assert_array_equal(heard, helpers.tone(1.0))

    def test_heat_follows_the_bright_square_and_sound_is_audible(self, helpers, localizer):
        keeper = Keeper()
        finish(file_session(helpers, localizer, sinks=[keeper]))
        last = keeper.results[-1][1]
        assert last.audible
        assert last.boxes_px
        x, y = last.peak_px
        assert 4 + 24 - 4 <= x <= 4 + 24 + 16
        assert 8 <= y <= 32

    def test_first_frames_have_no_sound_and_say_so(self, helpers, localizer):
        keeper = Keeper()
        stats = finish(file_session(helpers, localizer, sinks=[keeper]))
        first = keeper.results[0][1]
        assert "no_audio" in first.flags
        assert not first.audible
        assert not first.similarity_map.any()
        assert stats.drops["no_audio"] == sum("no_audio" in r.flags for _, r, _ in keeper.results)

    def test_stages_add_up_to_the_age(self, helpers, localizer):
        keeper = Keeper()
        finish(file_session(helpers, localizer, sinks=[keeper]))
        for _, result, _ in keeper.results:
            assert set(result.stages_ms) == {"wait", "pre", "image", "audio", "head", "post"}
            # What lies between two stages is a handful of attribute reads; a busy machine may preempt just there.
            assert sum(result.stages_ms.values()) <= result.age_ms + 1e-6
        exact = [abs(sum(r.stages_ms.values()) - r.age_ms) < 0.5 for _, r, _ in keeper.results]
        assert sum(exact) > len(exact) / 2

    def test_twice_the_same(self, helpers, localizer):
        runs = []
        for _ in range(2):
            keeper = Keeper()
            finish(file_session(helpers, localizer, sinks=[keeper]))
            runs.append([(r.similarity_map, r.level_dbfs, r.audible, r.peak_px) for _, r, _ in keeper.results])
        for one, two in zip(*runs, strict=True):
            np.testing.assert_array_equal(one[0], two[0])
            assert one[1:] == two[1:]

    def test_without_sound_everything_is_inaudible(self, helpers, localizer):
        keeper = Keeper()
        stats = finish(file_session(helpers, localizer, sound=False, sinks=[keeper]))
        assert stats.processed == 25
        assert stats.audible_share == 0
        assert keeper.info.sample_rate is None

    def test_seconds_end_a_file_at_that_time(self, helpers, localizer):
        assert finish(file_session(helpers, localizer, 2.0, seconds=0.6)).processed == 15

    def test_sound_that_ends_early_is_not_shown_as_new(self, helpers, localizer):
        items = [i for i in helpers.media_items(1.0) if not isinstance(i, SoundBlock) or i.start_ns < SECOND // 4]
        keeper = Keeper()
        source = helpers.Scripted(items, sound=True, live=False)
        finish(LiveSession("clip.mp4", "camera", localizer, sources=[source], paced=False, sinks=[keeper]))
        late = [r for _, r, _ in keeper.results if r.frame_index >= 14]
        assert late
        assert all("no_audio" in r.flags and not r.audible for r in late)

    def test_corrupt_frames_are_counted(self, helpers, localizer):
        items = helpers.media_items(1.0)
        items[10:10] = [Dropped(DropReason.CORRUPT_FRAME, 3)]
        source = helpers.Scripted(items, sound=True, live=False)
        stats = finish(LiveSession("clip.mp4", "camera", localizer, sources=[source], paced=False))
        assert (stats.offered, stats.processed, stats.drops["corrupt_frame"]) == (28, 25, 3)

    def test_a_file_that_breaks_off_keeps_what_came(self, helpers, localizer):
        keeper = Keeper()
        items = [*helpers.media_items(0.6), SourceLost("clip.mp4: unreadable after 0.60 s")]
        source = helpers.Scripted(items, sound=True, live=False)
        session = LiveSession("clip.mp4", "camera", localizer, sources=[source], paced=False, sinks=[keeper])
        finish(session)
        assert len(keeper.results) == 15
        assert session.ended_by_loss
        assert "0.60 s" in str(session.error)

    def test_paced_frames_do_not_come_before_their_time(self, helpers, localizer):
        keeper, seen = Keeper(), []
        session = file_session(
            helpers, localizer, 0.4, paced=True, sinks=[keeper], on_result=lambda r: seen.append(time.monotonic_ns())
        )
        finish(session)
        assert len(seen) == 10
        for now_ns, (_, result, _) in zip(seen, keeper.results, strict=True):
            assert now_ns >= result.capture_ns
            assert result.age_ms > 0


class TestIterating:
    def test_every_result_of_a_file(self, helpers, localizer):
        indices = []
        for result in file_session(helpers, localizer):
            indices.append(result.frame_index)
            if len(indices) == 5:
                time.sleep(0.2)  # a slow caller makes the file wait
        assert indices == list(range(25))

    def test_inside_with_nothing_is_lost_either(self, helpers, localizer):
        with file_session(helpers, localizer) as session:
            assert [r.frame_index for r in session] == list(range(25))

    def test_leaving_early_ends_the_session(self, helpers, localizer):
        session = file_session(helpers, localizer, 4.0)
        for _ in session:
            break
        assert session.ended.wait(PATIENCE_S)
        assert session.close()
        stats = session.stats()
        assert stats.offered == stats.processed + stats.drops.get("stopped", 0)

    def test_async(self, helpers, localizer):
        async def collect():
            return [r.frame_index async for r in file_session(helpers, localizer)]

        assert asyncio.run(collect()) == list(range(25))

    def test_the_reason_of_the_end_is_raised(self, helpers, localizer):
        source = helpers.Scripted([*helpers.media_items(0.2), SourceLost("cut")], sound=True, live=False)
        session = LiveSession("clip.mp4", "camera", localizer, sources=[source], paced=False)
        got = []
        with pytest.raises(CaptureError, match="cut"):
            got.extend(session)
        assert [r.frame_index for r in got] == list(range(5))


class TestLive:
    def test_latest_drops_old_frames_and_counts_them(self, helpers, localizer):
        release = threading.Event()

        def hold(result):
            release.wait(PATIENCE_S)

        script = [helpers.frame_now(i) for i in range(20)]
        script.append(release.set)
        camera = helpers.Scripted(script)
        session = LiveSession("0", "none", localizer, sources=[camera], on_result=hold)
        begin(session)
        while session.stats().processed + session.stats().drops.get("superseded", 0) < 20:
            assert not session.wait(0.02)
        assert session.close()
        stats = session.stats()
        assert stats.offered == 20
        assert stats.drops["superseded"] >= 15
        assert stats.offered == stats.processed + stats.drops["superseded"] + stats.drops.get("stopped", 0)

    def test_shared_embeddings_pair_with_frames(self, helpers, localizer):
        wave, told = helpers.tone(120), [time.monotonic_ns(), 0]

        def sound():  # as much as time has passed, so that a busy machine only makes longer blocks
            now_ns, first = time.monotonic_ns(), told[1]
            told[1] = (now_ns - told[0]) * 16_000 // SECOND
            return SoundBlock(samples=wave[first : told[1]], sample_rate=16_000, arrival_ns=now_ns)

        mic = helpers.Scripted(iter(lambda: sound, 0), picture=False, sound=True, pause_s=0.01)
        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.03)
        results = []
        session = LiveSession("0", "default", localizer, sources=[camera, mic], on_result=results.append)
        begin(session)
        while sum(r.audible for r in results) < 5:
            assert not session.wait(0.02)
        assert session.close()
        paired = [r for r in results if "no_audio" not in r.flags]
        assert paired
        assert session.stats().audio_embeddings >= 1
        assert all(abs(r.av_skew_ms) <= 250 for r in paired)
        assert all(r.stamp_source == "driver" for r in results)

    def test_seconds_end_a_live_session(self, helpers, localizer):
        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.03)
        stats = finish(LiveSession("0", "none", localizer, sources=[camera], seconds=0.3))
        assert stats.processed >= 1

    def test_a_window_that_is_closed_ends_the_session(self, helpers, localizer):
        keeper = Keeper()
        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.03)
        session = LiveSession("0", "none", localizer, sources=[camera], sinks=[keeper])
        begin(session)
        keeper.wants_stop = True
        assert session.wait(PATIENCE_S)
        assert session.close()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"policy": "all"}, "cannot wait"),
            ({"paced": False}, "only files"),
        ],
    )
    def test_what_live_sources_cannot_do(self, helpers, localizer, options, message):
        with pytest.raises(ConfigError, match=message):
            LiveSession("0", "none", localizer, sources=[helpers.Scripted([])], **options).start()


class TestFaults:
    """Scripted losses: recovered and counted, or ended with one reason. Never a hang, never an old picture as new."""

    def run_until(self, session, done):
        begin(session)
        while not done(session.stats()):
            assert not session.wait(0.02), session.error
        assert session.close()
        return session.stats()

    def test_camera_lost_and_found_again(self, helpers, localizer):
        script = [helpers.frame_now(i) for i in range(3)] + [SourceLost("camera 0: unplugged")]
        script += [helpers.frame_now(i) for i in range(3, 6)]
        camera = helpers.Scripted(script, opens=[None, CaptureError("not there"), None], pause_s=0.01)
        flags = []
        session = LiveSession("0", "none", localizer, sources=[camera], on_result=lambda r: flags.append(r.flags))
        stats = self.run_until(session, lambda s: s.reconnects.get("camera") and s.offered >= 6)
        assert stats.reconnects == {"camera": 1}
        assert stats.flags_seen["camera_lost"] == 1
        assert camera.opened == 3
        assert session.error is None

    def test_camera_that_never_comes_back_ends_with_a_reason(self, helpers, localizer):
        script = [helpers.frame_now(0), SourceLost("camera 0: unplugged")]
        camera = helpers.Scripted(script, opens=[None, CaptureError("not there")])
        session = LiveSession("0", "none", localizer, sources=[camera], max_reconnects=2)
        finish(session)
        assert "unplugged" in str(session.error)
        assert "2 tries" in str(session.error)

    def test_camera_that_stalls_is_flagged_and_reopened(self, helpers, localizer, monkeypatch):
        monkeypatch.setattr("lvs_runtime.live.pump._REOPEN_NS", 200_000_000)
        script = [helpers.frame_now(0), *[None] * 14, helpers.frame_now(1)]
        camera = helpers.Scripted(script, pause_s=0.1)
        session = LiveSession("0", "none", localizer, sources=[camera])
        stats = self.run_until(session, lambda s: s.offered >= 2)
        assert stats.flags_seen["camera_stalled"] >= 1
        assert stats.reconnects["camera"] >= 1

    def test_muted_microphone_is_flagged_and_reopened(self, helpers, localizer):
        base_ns = time.monotonic_ns() - 20 * SECOND

        def zeros(i):
            arrival_ns = base_ns + i * 10_000_000
            return SoundBlock(samples=np.zeros(160, np.float32), sample_rate=16_000, arrival_ns=arrival_ns)

        mic = helpers.Scripted([zeros(i) for i in range(520)], picture=False, sound=True)
        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.03)
        results = []
        session = LiveSession("0", "default", localizer, sources=[camera, mic], on_result=results.append)
        self.run_until(
            session,
            lambda s: s.reconnects.get("mic") and any("mic_digital_silence" in r.flags for r in results),
        )
        assert not any(r.audible for r in results)

    def test_a_picture_that_stands_still_is_flagged(self, helpers, localizer):
        camera = helpers.Scripted([helpers.frame_now(5)] * 40, pause_s=0.005)
        session = LiveSession("0", "none", localizer, sources=[camera])
        stats = self.run_until(session, lambda s: s.offered >= 40)
        assert stats.flags_seen == {"frozen_picture": 1}

    def test_a_resized_picture_goes_on(self, helpers, localizer):
        def sized(size):
            def step():
                now_ns = time.monotonic_ns()
                return VideoFrame(helpers.picture(1, size), now_ns, now_ns, 0, "driver")

            return step

        done, sizes = threading.Event(), []

        def keep(result):
            sizes.append(result.image_size_px)
            if len(sizes) == 2:
                done.set()

        camera = helpers.Scripted([sized((64, 48)), lambda: time.sleep(0.3), sized((128, 96))], pause_s=0.01)
        session = LiveSession("0", "none", localizer, sources=[camera], on_result=keep)
        begin(session)
        assert done.wait(PATIENCE_S)
        assert session.close()
        assert sizes == [(64, 48), (128, 96)]

    def test_a_source_that_does_not_open_is_the_error_of_start(self, helpers, localizer):
        camera = helpers.Scripted([], opens=[CaptureError("--camera 0: cannot be opened")])
        with pytest.raises(CaptureError, match="cannot be opened"):
            LiveSession("0", "none", localizer, sources=[camera]).start()
        assert camera.closed == 1

    def test_a_sink_that_does_not_open_closes_the_camera(self, helpers, localizer):
        class Refuses(Keeper):
            def open(self, info):
                raise SinkError("port taken")

        camera = helpers.Scripted(iter(lambda: helpers.frame_now(1), 0), pause_s=0.03)
        with pytest.raises(SinkError, match="port taken"):
            LiveSession("0", "none", localizer, sources=[camera], sinks=[Refuses()]).start()
        assert camera.closed == 1

    def test_a_dying_sink_does_not_end_the_session(self, helpers, localizer):
        class Dies(Keeper):
            def write(self, frame, result, audio):
                raise SinkError("disk full")

        good = Keeper()
        session = file_session(helpers, localizer, sinks=[Dies(), good])
        finish(session)
        assert len(good.results) == 25
        assert ["disk full" in str(e) for e in session.sink_errors] == [True]

    def test_a_stuck_sink_cannot_hang_the_end(self, helpers, localizer, monkeypatch):
        monkeypatch.setattr("lvs_runtime.live.session._JOIN_S", 0.3)
        monkeypatch.setattr("lvs_runtime.live.outputs._CLOSE_S", 0.3)
        free = threading.Event()

        class Stuck(Keeper):
            queue_size = 1

            def write(self, frame, result, audio):
                free.wait(PATIENCE_S)

        session = file_session(helpers, localizer, sinks=[Stuck()])
        begin(session)
        while session.stats().processed < 2:
            assert not session.wait(0.02)
        assert session.close() is False
        free.set()
        assert session.ended.wait(PATIENCE_S)
        assert any("did not finish" in str(e) for e in session.sink_errors)

    def test_an_error_in_the_callback_ends_the_session_with_it(self, helpers, localizer):
        def broken(result):
            raise ZeroDivisionError("oh")

        session = file_session(helpers, localizer, on_result=broken)
        finish(session)
        assert isinstance(session.error, LvsError)
        assert "ZeroDivisionError" in str(session.error)

    def test_wall_clock_jumps_change_nothing(self, helpers, localizer, monkeypatch):
        keeper = Keeper()
        jumps = iter(range(10**6))
        monkeypatch.setattr(time, "time", lambda: next(jumps) * 3600.0)
        monkeypatch.setattr(time, "time_ns", lambda: next(jumps) * 3600 * SECOND)
        stats = finish(file_session(helpers, localizer, sinks=[keeper]))
        assert stats.processed == 25
        assert all(r.audio_end_ns == r.capture_ns for _, r, _ in keeper.results)


class TestPush:
    def test_frames_and_sound_of_the_caller(self, helpers, localizer):
        results = []
        start_ns = time.monotonic_ns()
        with LiveSession("push", None, localizer, policy="all", audio_seconds=0.5, on_result=results.append) as session:
            wave = helpers.tone(1.0, 48_000)
            for i in range(25):
                block = wave[i * 1920 : (i + 1) * 1920]
                session.push_audio(np.repeat(block[:, None], 2, axis=1), 48_000, start_ns + i * 40_000_000)
                session.push_frame(helpers.picture(i), start_ns + i * 40_000_000)
            session.end_push()
            assert session.wait(PATIENCE_S)
        assert [r.frame_index for r in results] == list(range(25))
        assert results[-1].audible
        assert abs(results[-1].av_skew_ms) < 1
        assert {r.stamp_source for r in results} == {"caller"}

    def test_pushing_into_a_session_that_captures_is_refused(self, helpers, localizer):
        with (
            LiveSession("0", "none", localizer, sources=[helpers.Scripted([])]) as session,
            pytest.raises(ConfigError, match="video='push'"),
        ):
            session.push_frame(helpers.picture(0))

    def test_pushing_before_the_start_is_refused(self, helpers, localizer):
        with pytest.raises(ConfigError, match="not started"):
            LiveSession("push", None, localizer).push_frame(helpers.picture(0))


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "newest"},
        {"audio_rate_hz": 0},
        {"audio_seconds": 100},
        {"seconds": -1},
        {"av_offset_ms": float("nan")},
        {"fps": 0},
        {"size_px": (0, 10)},
        {"mic_rate_hz": 1},
        {"colour": "red"},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options)).split("_px")[0]):
        LiveSession("0", "none", **options)
