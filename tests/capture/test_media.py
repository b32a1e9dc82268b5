"""Media files through PyAV: whole, cut, half, stereo; files are made here."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.capture.base import EndOfSource, SoundBlock, SourceLost
from lvs_runtime.capture.images import ImageFolder
from lvs_runtime.capture.media import MediaFile
from lvs_runtime.capture.merged import MergedSource
from lvs_runtime.capture.synthetic import SyntheticSource
from lvs_runtime.errors import CaptureError
from lvs_runtime.results import VideoFrame

pytest.importorskip("av")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, helpers):
    return helpers.write_media(tmp_path_factory.mktemp("media") / "clip.mp4", 2.0)


def read_all(helpers, source):
    source.open()
    return helpers.drain(source)


def waveform(blocks):
    return np.concatenate([b.samples for b in blocks])


def test_picture_and_sound_on_one_time_line(helpers, clip):
    frames, blocks, items = read_all(helpers, MediaFile(str(clip)))
    assert [f.capture_ns for f in frames] == [i * 40_000_000 for i in range(50)]
    assert frames[0].image_bgr.shape == (48, 64, 3)
    assert {b.sample_rate for b in blocks} == {16_000}
    sound = waveform(blocks)
    assert len(sound) == pytest.approx(32_000, abs=1100)
    # Contiguous to the sample, and every frame comes when its sound is there.
    starts = np.array([b.start_ns for b in blocks])
    lengths = np.array([b.duration_ns for b in blocks])
    assert np.abs(starts[1:] - (starts + lengths)[:-1]).max() < 70_000
    reached = 0
    for item in items:
        if isinstance(item, SoundBlock):
            reached = item.start_ns + item.duration_ns
        else:
            assert reached >= item.capture_ns


def test_sound_lies_where_it_was_written(helpers, tmp_path):
    """Silence, then a tone from exactly 1 s: its beginning is found there after coding and resampling."""
    wave = np.concatenate([np.zeros(44_100, np.float32), helpers.tone(1.0, 44_100)])
    path = helpers.write_media(tmp_path / "s.mp4", 2.0, rate=44_100, channels=2, waveform=wave)
    _, blocks, _ = read_all(helpers, MediaFile(str(path)))
    sound, first_ns = waveform(blocks), blocks[0].start_ns
    onset = np.flatnonzero(np.abs(sound) > 0.05)[0] / 16_000 + first_ns / 1e9
    assert onset == pytest.approx(1.0, abs=0.004)


def test_twice_the_same(helpers, clip):
    one, two = (read_all(helpers, MediaFile(str(clip))) for _ in range(2))
    np.testing.assert_array_equal(waveform(one[1]), waveform(two[1]))
    for a, b in zip(one[0], two[0], strict=True):
        assert a.capture_ns == b.capture_ns
        np.testing.assert_array_equal(a.image_bgr, b.image_bgr)


def test_info_says_what_is_delivered(helpers, clip):
    source = MediaFile(str(clip))
    source.open()
    assert source.info.size_px == (64, 48)
    assert source.info.fps == 25
    assert source.info.sample_rate == 16_000
    assert source.info.duration_s == pytest.approx(2.0, abs=0.1)
    source.close()


def test_wav_as_microphone(helpers, tmp_path):
    path = helpers.write_media(tmp_path / "mic.wav", 1.0, video=False, rate=48_000, channels=2)
    frames, blocks, _ = read_all(helpers, MediaFile(str(path), picture=False))
    assert frames == []
    assert blocks[0].start_ns == 0
    sound = waveform(blocks)
    assert len(sound) == pytest.approx(16_000, abs=2)
    assert np.abs(sound - helpers.tone(1.0))[100:15_000].max() < 0.01


def test_picture_of_one_with_sound_of_another(helpers, tmp_path):
    video = helpers.write_media(tmp_path / "v.mp4", 1.0, audio=False)
    sound = helpers.write_media(tmp_path / "s.wav", 3.0, video=False)
    merged = MergedSource(MediaFile(str(video), sound=False), MediaFile(str(sound), picture=False))
    frames, blocks, items = read_all(helpers, merged)
    assert len(frames) == 25
    assert sum(len(b.samples) for b in blocks) < 1.1 * 16_000, "ends with the picture"
    reached = 0
    for item in items:
        if isinstance(item, SoundBlock):
            reached = item.start_ns + item.duration_ns
        else:
            assert reached >= item.capture_ns


@pytest.mark.parametrize(
    ("what", "picture", "sound", "told"),
    [
        ({"audio": False}, True, True, r"no sound.*--mic sound\.wav.*--mic none"),
        ({"video": False}, True, True, r"no picture.*--camera 0 --mic"),
        ({"audio": False}, False, True, "has no sound"),
    ],
)
def test_what_is_missing_is_named_with_the_way_out(helpers, tmp_path, what, picture, sound, told):
    path = helpers.write_media(tmp_path / "half.mp4", 0.4, **what)
    with pytest.raises(CaptureError, match=told):
        MediaFile(str(path), picture, sound).open()


def test_picture_alone_is_fine_when_no_sound_is_wanted(helpers, tmp_path):
    path = helpers.write_media(tmp_path / "silent.mp4", 0.4, audio=False)
    frames, blocks, _ = read_all(helpers, MediaFile(str(path), sound=False))
    assert len(frames) == 10
    assert blocks == []


def test_a_cut_file_without_its_index_is_refused(helpers, clip, tmp_path):
    data = clip.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(CaptureError, match=r"cut off.*ffmpeg"):
        MediaFile(str(cut)).open()


def test_a_cut_file_with_its_index_gives_what_it_has_and_says_so(helpers, tmp_path):
    whole = helpers.write_media(tmp_path / "w.mp4", 4.0, options={"movflags": "faststart"})
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 2])
    source = MediaFile(str(cut))
    source.open()
    frames = 0
    with pytest.raises(SourceLost, match="truncated"):
        while True:
            frames += isinstance(source.read(0.0), VideoFrame)
    assert 10 < frames < 90
    source.close()


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("empty.mp4", b"", "0 bytes"),
        ("noise.mp4", bytes(range(256)) * 40, "not a media file"),
        ("page.mp4", b"<!doctype html><html><body>404</body></html>" * 30, "not a media file"),
    ],
)
def test_what_is_no_media_file(tmp_path, name, data, told):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=told):
        MediaFile(str(path)).open()


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CaptureError, match="no such file"):
        MediaFile(str(tmp_path / "no.mp4")).open()
    with pytest.raises(CaptureError, match="is a folder"):
        MediaFile(str(tmp_path)).open()


def test_image_folder(helpers, tmp_path):
    cv2 = pytest.importorskip("cv2")
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), helpers.picture(i))
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    source = ImageFolder(str(tmp_path), 10.0)
    source.open()
    items = [source.read(0.0) for _ in range(4)]
    np.testing.assert_array_equal(items[1].image_bgr, helpers.picture(1))
    assert items[1].capture_ns == 100_000_000
    assert items[3].reason.value == "corrupt_frame"
    with pytest.raises(EndOfSource):
        source.read(0.0)
    with pytest.raises(CaptureError, match="no such folder"):
        ImageFolder(str(tmp_path / "none"), 10.0).open()


def test_drawn_world_is_the_same_for_the_same_seed(helpers):
    one, two = (SyntheticSource(5, (96, 64), 0.5) for _ in range(2))
    frames, blocks, _ = read_all(helpers, one)
    again, _, _ = read_all(helpers, two)
    assert [f.capture_ns // 10**9 for f in frames] == [0, 2, 4, 6, 8]
    assert len(waveform(blocks)) == pytest.approx(8 * 16_000, abs=320)
    np.testing.assert_array_equal(frames[4].image_bgr, again[4].image_bgr)
    assert (frames[4].image_bgr != frames[0].image_bgr).any()
    assert frames[4].image_bgr.shape == (64, 96, 3)
