from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SessionInfo, open_sink
from lvs_runtime.sinks.mp4 import Mp4Sink

av = pytest.importorskip("av", reason="mp4 needs PyAV: pip install 'lvs[video]'")

ROOT = Path(__file__).parents[2]
START_NS = 5_000_000_000_000
RATE = 48_000


@dataclass
class Recording:
    """What a file holds, decoded."""

    stamps_s: np.ndarray
    pictures: list[np.ndarray]
    sound: np.ndarray
    sound_rate: int

    @property
    def brightness(self) -> np.ndarray:
        """Mean of the upper left corner, which no overlay touches."""
        return np.array([picture[4:40, 4:40].mean() for picture in self.pictures])


def read(path: Path) -> Recording:
    stamps, pictures = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            stamps.append(float(frame.pts * frame.time_base))
            pictures.append(frame.to_ndarray(format="bgr24"))
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return Recording(np.array(stamps), pictures, np.zeros(0), 0)
        frames = list(container.decode(audio=0))
    assert float(frames[0].pts * frames[0].time_base) == 0.0
    sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return Recording(np.array(stamps), pictures, sound, frames[0].sample_rate)


def record(sink: Mp4Sink, times_s, make_frame, make_result, rate=RATE, flashes=(), sound_until_s=None, size=(320, 240)):
    """Pictures at `times_s`; each of `flashes` is 0.1 s of white and of a 1 kHz beep."""
    sink.open(SessionInfo(sample_rate=rate, fps=25.0, thresholds={"box_similarity": 0.6}))
    end_s = times_s[-1] if sound_until_s is None else sound_until_s
    t = np.arange(int(end_s * rate) if rate else 0) / (rate or 1)
    on = np.zeros(len(t), bool)
    for flash in flashes:
        on |= (t >= flash) & (t < flash + 0.1)
    sound = np.where(on, 0.5 * np.sin(2 * np.pi * 1000 * t), 0).astype(np.float32)
    sent = 0
    for index, time_s in enumerate(times_s):
        now_ns = START_NS + round(time_s * 1e9)
        lit = any(flash <= time_s < flash + 0.1 for flash in flashes)
        sink.write(make_frame(index, now_ns, size, 255 if lit else 60), make_result(index, now_ns, size), None)
        while sent < min(len(sound), int(time_s * (rate or 0))):
            sink.write_audio(sound[sent : sent + 480], rate, START_NS + sent * 1_000_000_000 // rate)
            sent += 480
    sink.close()


def onsets(on: np.ndarray, quiet: int) -> list[int]:
    """First indices of stretches that begin after at least `quiet` values of off."""
    indices = np.flatnonzero(on)
    return [int(i) for k, i in enumerate(indices) if k == 0 or i - indices[k - 1] > quiet]


def test_pictures_keep_their_stamps_and_sound_is_in_sync(tmp_path, make_frame, make_result) -> None:
    steps = np.random.default_rng(0).uniform(0.02, 0.06, 75)  # an uneven camera
    times = np.concatenate([[0], np.cumsum(steps)])
    flashes = (0.5, 1.4, 2.3)
    record(open_sink(f"{tmp_path}/a.mp4"), times, make_frame, make_result, flashes=flashes)
    got = read(tmp_path / "a.mp4")
    assert len(got.stamps_s) == len(times)
    np.testing.assert_allclose(got.stamps_s, times, atol=2e-5)  # one tick
    assert got.sound_rate == RATE
    assert abs(len(got.sound) / RATE - times[-1]) < 0.03
    beeps = [i / RATE for i in onsets(np.abs(got.sound) > 0.1, RATE // 4)]
    np.testing.assert_allclose(beeps, flashes, atol=2e-3)
    shown = [got.stamps_s[i] for i in onsets(got.brightness > 200, 5)]
    expected = [times[np.argmax(times >= flash)] for flash in flashes]
    np.testing.assert_allclose(shown, expected, atol=1e-3)


def test_the_closed_file_is_an_ordinary_mp4(tmp_path, make_frame, make_result) -> None:
    record(open_sink(f"{tmp_path}/a.mp4"), np.arange(50) / 25, make_frame, make_result)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert abs(container.duration / 1e6 - 2.0) < 0.1
        container.seek(1_500_000)  # seekable: the index is there
        frame = next(container.decode(video=0))
        assert 0.9 <= float(frame.pts * frame.time_base) <= 1.5
    data = (tmp_path / "a.mp4").read_bytes()
    assert b"moov" in data
    assert b"moof" not in data[: data.index(b"mdat") + 8]


def test_the_picture_is_annotated(tmp_path, make_frame, make_result) -> None:
    record(open_sink(f"{tmp_path}/a.mp4"), np.arange(10) / 25, make_frame, make_result)
    picture = read(tmp_path / "a.mp4").pictures[5].astype(int)
    x, y = make_result().peak_px
    blue, _, red = picture[y + 8, x + 8]
    assert red - blue > 60  # hot beside the peak's ring
    assert np.abs(picture[20:60, 20:60] - 60).max() < 12  # clear where nothing sounds


def test_without_sound_there_is_no_sound_track(tmp_path, make_frame, make_result) -> None:
    record(open_sink(f"{tmp_path}/a.mp4"), np.arange(20) / 25, make_frame, make_result, rate=None)
    assert read(tmp_path / "a.mp4").sound_rate == 0


def test_sound_that_stops_does_not_stop_the_recording(tmp_path, make_frame, make_result) -> None:
    times = np.arange(100) / 25
    record(open_sink(f"{tmp_path}/a.mp4"), times, make_frame, make_result, flashes=(0.5,), sound_until_s=1.0)
    got = read(tmp_path / "a.mp4")
    assert len(got.stamps_s) == 100
    assert len(got.sound) / RATE > 2.8  # silence goes on up to a second before the end
    assert np.abs(got.sound[int(1.2 * RATE) :]).max() < 1e-3


@pytest.mark.parametrize("rate", [16_000, 44_100, 12_345])
def test_any_sample_rate_is_recorded_in_time(rate, tmp_path, make_frame, make_result) -> None:
    record(open_sink(f"{tmp_path}/a.mp4"), np.arange(40) / 25, make_frame, make_result, rate=rate, flashes=(0.8,))
    got = read(tmp_path / "a.mp4")
    assert got.sound_rate == (rate if rate != 12_345 else 48_000)
    beeps = [i / got.sound_rate for i in onsets(np.abs(got.sound) > 0.1, got.sound_rate // 4)]
    np.testing.assert_allclose(beeps, [0.8], atol=6e-3)


@pytest.mark.parametrize("size", [(321, 241), (1, 1), (2600, 30), (10, 2000)])
def test_odd_sizes(size, tmp_path, make_frame, make_result) -> None:
    record(open_sink(f"{tmp_path}/a.mp4"), np.arange(4) / 25, make_frame, make_result, size=size)
    pictures = read(tmp_path / "a.mp4").pictures
    assert len(pictures) == 4
    height, width = pictures[0].shape[:2]
    assert height % 2 == width % 2 == 0


def test_a_stream_that_changes_size_is_recorded_on(tmp_path, make_frame, make_result, info) -> None:
    sink = open_sink(f"{tmp_path}/a.mp4")
    sink.open(info)
    for index, size in enumerate([(320, 240), (640, 360), (240, 320)]):
        now_ns = START_NS + index * 40_000_000
        sink.write(make_frame(index, now_ns, size, 200), make_result(index, now_ns, size), None)
    sink.close()
    pictures = read(tmp_path / "a.mp4").pictures
    assert {picture.shape for picture in pictures} == {(240, 320, 3)}
    assert pictures[1][:20].mean() < 40  # black above the wide picture
    assert pictures[2][:, :40].mean() < 40  # and beside the tall one


def test_mpeg4_as_the_other_codec(tmp_path, make_frame, make_result) -> None:
    record(Mp4Sink(f"{tmp_path}/a.mp4", codec="mpeg4"), np.arange(20) / 25, make_frame, make_result)
    assert len(read(tmp_path / "a.mp4").pictures) == 20
    with pytest.raises(SinkError, match="no encoder h265"):
        Mp4Sink(f"{tmp_path}/b.mp4", codec="h265").open(SessionInfo())


def test_nothing_recorded_leaves_no_file(tmp_path, info) -> None:
    sink = open_sink(f"{tmp_path}/a.mp4")
    sink.open(info)
    sink.write_audio(np.zeros(480, np.float32), RATE, START_NS)
    sink.close()
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_pyav_missing_names_the_extra(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SinkError, match=r"pip install 'lvs\[video\]'"):
        open_sink(f"{tmp_path}/a.mp4").open(SessionInfo())


def test_a_full_disk_leaves_a_playable_file(small_disk, make_frame, make_result) -> None:
    sink = open_sink(f"{small_disk}/a.mp4")
    sink.open(SessionInfo(fps=25.0))
    noise = np.random.default_rng(0)
    with pytest.raises(SinkError, match=r"the disk is full. The first .* are recorded"):
        for index in range(1000):
            now_ns = START_NS + index * 40_000_000
            frame = make_frame(index, now_ns)
            frame.image_bgr[:] = noise.integers(0, 60, frame.image_bgr.shape, np.uint8)
            sink.write(frame, make_result(index, now_ns), None)
    sink.close()
    assert playable_pictures(small_disk / "a.mp4") >= 5


def playable_pictures(path: Path) -> int:
    """Pictures that come before the cut; a reader keeps what it has when the rest is missing."""
    count = 0
    with av.open(str(path)) as container:
        try:
            for _ in container.decode(video=0):
                count += 1
        except av.error.InvalidDataError:
            return count
    return count


KILLED = """
import sys, time, numpy as np
from lvs_runtime.results import Result, VideoFrame
from lvs_runtime.sinks import SessionInfo, open_sink
sink = open_sink(sys.argv[1]); sink.open(SessionInfo(sample_rate=16000, fps=25.0))
image = np.full((240, 320, 3), 90, np.uint8)  # next to nothing to write: no buffer fills by itself
for index in range(10**9):
    now = 10**12 + index * 40_000_000
    result = Result(similarity_map=np.full((14, 14), 0.5, np.float32), image_size_px=(320, 240), audible=True,
                    level_dbfs=-9.0, confidence=0.9, peak_px=(1, 1), boxes_px=(), provider="p", precision="fp32",
                    frame_index=index, capture_ns=now)
    sink.write(VideoFrame(image, now, now, index), result, None)
    sink.write_audio(np.full(640, 0.1, np.float32), 16000, now)
    if index == 125: print("five seconds", flush=True)
    if index > 125: time.sleep(30)
"""


def test_sigkill_leaves_a_playable_file(tmp_path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "a.mp4")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "five seconds\n"
        process.send_signal(signal.SIGKILL)
    got = read(tmp_path / "a.mp4")
    assert got.stamps_s[-1] > 4.0, "more than a second was lost"
    assert len(got.sound) / got.sound_rate > 4.0
    np.testing.assert_allclose(np.diff(got.stamps_s), 0.04, atol=1e-4)
