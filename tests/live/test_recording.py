"""What --record keeps, --replay makes again: bit for bit, also after a kill, a full disk, a resize, a lost source."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import fields

import numpy as np
import pytest

pytest.importorskip("av")

from lvs_runtime.capture.base import SoundBlock, SourceLost
from lvs_runtime.errors import CaptureError, ConfigError, SinkError
from lvs_runtime.live.recording import Recorder, Recording
from lvs_runtime.live.recording import recorder as recorder_module
from lvs_runtime.live.recording.files import RecordingFiles
from lvs_runtime.live.session import LiveSession
from lvs_runtime.results import VideoFrame

SECOND = 1_000_000_000
TIMED = {"output_ns", "stages_ms", "drops", "flags"}
PATIENCE_S = 60


def run(session):
    results = []
    session._outputs._on_result = results.append
    try:
        session.start()
        for source in session._given or ():
            source.released.set()
        assert session.wait(PATIENCE_S)
    finally:
        assert session.close()
    return results


def record_file(helpers, localizer, folder, items=None, **options):
    source = helpers.Scripted(items or helpers.media_items(1.0), sound=True, live=False)
    options = {"paced": False, "audio_seconds": 0.5, "record": folder, **options}
    session = LiveSession("clip.mp4", "camera", localizer, sources=[source], **options)
    return run(session), session


def replay(localizer, folder, **options):
    session = LiveSession(model=localizer, replay=folder, **{"paced": False, **options})
    return run(session), session


def assert_same(one, other):
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "similarity_map":
            np.testing.assert_array_equal(a, b)
        elif field.name not in TIMED:
            assert a == b, field.name


def assert_all_same(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert_same(one, other)


class TestReplay:
    def test_a_file_again_bit_for_bit(self, helpers, localizer, tmp_path):
        recorded, _ = record_file(helpers, localizer, tmp_path / "rec")
        again, session = replay(localizer, tmp_path / "rec")
        assert_all_same(recorded, again)
        assert any(r.audible for r in again)
        assert (session.notes, session.not_replayed) == ([], 0)

    def test_what_was_live_again_bit_for_bit(self, helpers, localizer, tmp_path):
        """Policy latest: which frames were used, and what each had heard by then, depends on the moment."""
        start_ns, told = time.monotonic_ns(), [0]
        wave = helpers.tone(30, 48_000)

        def sound():
            now_ns = time.monotonic_ns()
            first, told[0] = told[0], min(len(wave), (now_ns - start_ns) * 48_000 // SECOND)
            return SoundBlock(samples=wave[first : told[0]], sample_rate=48_000, arrival_ns=now_ns)

        script = itertools.chain([sound] * 40, [SourceLost("gone")], iter(lambda: sound, 0))
        mic = helpers.Scripted(script, picture=False, sound=True, pause_s=0.013)
        camera = helpers.Scripted([helpers.frame_now(i) for i in range(50)], pause_s=0.02)
        session = LiveSession(
            "0", "default", localizer, sources=[camera, mic], record=tmp_path / "rec", audio_rate_hz=15, seconds=2
        )
        recorded = run(session)
        again, replayed = replay(localizer, tmp_path / "rec")
        assert_all_same(recorded, again)
        owns = [event["own"] for event in Recording(tmp_path / "rec").events("result")]
        assert len(set(owns)) == 2  # some frames had their own window, some the one before
        assert replayed.not_replayed == 0

    def test_another_size_in_the_middle(self, helpers, localizer, tmp_path):
        items = helpers.media_items(1.0)
        for i, item in enumerate(items):
            if isinstance(item, VideoFrame) and item.capture_ns >= SECOND // 2:
                picture = helpers.picture(i, (96, 48))
                items[i] = VideoFrame(picture, item.capture_ns, item.arrival_ns, 0, "file")
        recorded, _ = record_file(helpers, localizer, tmp_path / "rec", items)
        again, _ = replay(localizer, tmp_path / "rec")
        assert_all_same(recorded, again)
        assert {r.image_size_px for r in again} == {(64, 48), (96, 48)}

    def test_without_sound(self, helpers, localizer, tmp_path):
        source = helpers.Scripted(helpers.media_items(0.4, sound=False), live=False)
        recorded = run(
            LiveSession("clip.mp4", "none", localizer, sources=[source], paced=False, record=tmp_path / "rec")
        )
        again, session = replay(localizer, tmp_path / "rec")
        assert_all_same(recorded, again)
        assert session.mic_ref.kind == "none"

    def test_with_other_smoothing_it_differs(self, helpers, localizer, tmp_path):
        recorded, _ = record_file(helpers, localizer, tmp_path / "rec")
        again, _ = replay(localizer, tmp_path / "rec", smoothing="off")
        assert any(not np.array_equal(a.similarity_map, b.similarity_map) for a, b in zip(recorded, again, strict=True))

    def test_another_bundle_is_told(self, helpers, localizer, tmp_path):
        record_file(helpers, localizer, tmp_path / "rec")
        about = tmp_path / "rec/recording.json"
        about.write_text(json.dumps({**json.loads(about.read_text()), "manifest_sha256": "0" * 64, "bundle": "old"}))
        _, session = replay(localizer, tmp_path / "rec")
        assert "another bundle (old" in session.notes[0]

    def test_seconds_end_it(self, helpers, localizer, tmp_path):
        record_file(helpers, localizer, tmp_path / "rec")
        again, _ = replay(localizer, tmp_path / "rec", seconds=0.4)
        assert len(again) == 10

    def test_no_recording_is_one_message(self, localizer, tmp_path):
        with pytest.raises(CaptureError, match="no recording is there"):
            LiveSession(model=localizer, replay=tmp_path).start()

    def test_recording_a_replay_is_refused(self, localizer, tmp_path):
        with pytest.raises(ConfigError, match="recorded already"):
            LiveSession(model=localizer, replay=tmp_path, record=tmp_path / "b")


class TestDamage:
    @pytest.mark.parametrize("name", ["events.jsonl", "sound.f32", "picture-001.nut"])
    def test_what_a_kill_leaves_is_replayed_up_to_there(self, helpers, localizer, tmp_path, name):
        recorded, _ = record_file(helpers, localizer, tmp_path / "rec")
        path = tmp_path / "rec" / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        again, _ = replay(localizer, tmp_path / "rec")
        assert 8 <= len(again) <= 20
        assert_all_same(recorded[: len(again)], again)

    def test_everything_written_is_there_before_the_files_are_closed(self, helpers, tmp_path):
        files = RecordingFiles(tmp_path / "rec")
        files.about({"sound": "x", "source": "y"})
        for item in helpers.media_items(1.0):
            files.block(item) if isinstance(item, SoundBlock) else files.frame(item)
        recording = Recording(tmp_path / "rec")
        assert len(list(recording._frames())) == 25
        assert sum(len(b.samples) for b in recording.sound()) == 16_000
        files.close()

    def test_a_full_disk_is_counted_and_the_session_goes_on(self, helpers, localizer, tmp_path, monkeypatch):
        written = []

        def fill(self, frame, real=RecordingFiles.frame):
            written.append(frame)
            if len(written) > 10:
                raise OSError(28, "No space left on device")
            real(self, frame)

        monkeypatch.setattr(RecordingFiles, "frame", fill)
        recorded, session = record_file(helpers, localizer, tmp_path / "rec")
        assert len(recorded) == 25
        assert session.error is None
        assert "No space left" in str(session.sink_errors[0])
        assert session.stats().drops["not_recorded"] >= 15
        again, _ = replay(localizer, tmp_path / "rec")
        assert_all_same(recorded[: len(again)], again)

    def test_a_slow_disk_loses_recordings_and_holds_up_nobody(self, helpers, tmp_path, monkeypatch):
        monkeypatch.setattr(recorder_module, "_MOST_BYTES", 5 * 64 * 48 * 3)
        recorder = Recorder(tmp_path / "rec")
        recorder.open(lossless=False)
        with recorder._changed:  # the writer cannot take anything meanwhile
            for item in helpers.media_items(1.0, sound=False):
                recorder.frame(item)
        assert recorder.drops() == {"not_recorded": 20}
        assert recorder.close(PATIENCE_S)
        recording = Recording.__new__(Recording)
        recording.folder = tmp_path / "rec"
        assert [event["total"] for event in recording.events("lost")] == [20]

    def test_lost_frames_are_told_at_the_replay(self, helpers, localizer, tmp_path):
        recorded, _ = record_file(helpers, localizer, tmp_path / "rec")
        events = tmp_path / "rec/events.jsonl"
        lines = events.read_text().splitlines(keepends=True)
        events.write_text("".join(x for x in lines if '"kind":"frame","index":24' not in x))
        again, session = replay(localizer, tmp_path / "rec")
        assert session.not_replayed == 1
        assert_all_same(recorded[:24], again)

    def test_a_folder_in_use_is_refused(self, helpers, localizer, tmp_path):
        (tmp_path / "x").write_text("mine")
        with pytest.raises(SinkError, match="not empty"):
            record_file(helpers, localizer, tmp_path)
        assert (tmp_path / "x").read_text() == "mine"
