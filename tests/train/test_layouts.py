"""Small stand-ins of each published layout: read as they are, or named when they are another."""

from __future__ import annotations

import pytest

from lvs_runtime.errors import DataError
from lvs_train.data.layouts import LAYOUTS, read_clips, recognise
from lvs_train.data.lists import Entry

IDS = ["-abcdefghij_000030", "_bcdefghijk_000001", "cbcdefghijk_000010"]


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def build(root, layout):
    spec = LAYOUTS[layout]
    for number, clip in enumerate(IDS):
        suffix = ".png" if layout == "fnac" else ".jpg"
        folder = spec.images[min(number, len(spec.images) - 1)] if layout == "acl" else spec.images[0]
        touch(root / folder / clip / spec.frame if spec.frame else root / folder / f"{clip}{suffix}")
        folder = spec.sounds[min(number, len(spec.sounds) - 1)]
        touch(root / folder / (f"{clip}.mp3" if layout == "ssl_tie_flickr" else f"{clip}.wav"))
    for mark in spec.marks:
        if "." in mark:
            touch(root / mark)
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_read(tmp_path, layout):
    root = build(tmp_path / "d", layout)
    found = read_clips(root, layout, [Entry(i) for i in IDS])
    assert [c.id for c in found.clips] == IDS
    assert all(c.image.is_file() and c.sound.is_file() for c in found.clips)
    assert not found.missing
    same_folders = {"lvs", "ez_vsl", "slavc", "fnac"}
    likely = recognise(root)
    assert likely[0] == layout or {likely[0], layout} <= same_folders
    assert [c.id for c in read_clips(root).clips] == sorted(IDS)


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        ("ssl_tie_train", "lvs"),
        ("ssl_tie_flickr", "lvs"),
        ("is3", "vssl_eval"),
        ("fnac", "lvs"),
        ("lvs", "is3"),
        ("ssl_tie", "slavc"),
    ],
)
def test_another_layout_is_named(tmp_path, there, asked):
    root = build(tmp_path / "d", there)
    with pytest.raises(DataError, match=rf"not laid out as {asked}.*looks like .*{there}.*--layout"):
        read_clips(root, asked)


def test_capitals_spellings_and_missing_files(tmp_path):
    touch(tmp_path / "frames" / "-ABCDEFGHIJ_000030.JPG")
    touch(tmp_path / "audio" / "-ABCDEFGHIJ_30000_40000.WAV")
    touch(tmp_path / "frames" / "only.jpg")
    touch(tmp_path / "audio" / "._other.wav")
    entries = [Entry("-ABCDEFGHIJ_000030", "dog"), Entry("only"), Entry("none")]
    found = read_clips(tmp_path, "lvs", entries)
    assert [c.label for c in found.clips] == ["dog"]
    assert found.missing == {"only": "no audio/only.wav", "none": "no frames/none.jpg and no audio/none.wav"}
    assert found.missing_text().startswith("2 of 3 listed clips lack a file (only: no audio/only.wav; none")


def test_foreign_sound_of_a_negative(tmp_path):
    root = build(tmp_path / "d", "slavc")
    found = read_clips(root, "slavc", [Entry(IDS[0], audio_id=IDS[1], visible=False)])
    assert found.clips[0].sound.stem == IDS[1]
    assert not found.clips[0].visible


def test_frames_of_a_clip_without_the_right_one(tmp_path):
    root = build(tmp_path / "d", "ssl_tie_train")
    (root / "total_video_frames" / IDS[0] / "125.jpg").rename(root / "total_video_frames" / IDS[0] / "126.jpg")
    found = read_clips(root, "ssl_tie_train", [Entry(i) for i in IDS])
    assert found.missing == {IDS[0]: f"no total_video_frames/{IDS[0]}/125.jpg"}


def test_nothing_fits(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_clips(tmp_path / "none")
    with pytest.raises(DataError, match="the folder is empty; want one of lvs"):
        read_clips(tmp_path)
    touch(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="These are videos: lvs-train prepare"):
        read_clips(tmp_path)
    with pytest.raises(DataError, match="layout 'avl' is unknown; possible: auto, lvs"):
        read_clips(tmp_path, "avl")
    build(tmp_path / "inside", "lvs")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(DataError, match="inside looks like lvs: give that folder"):
        read_clips(tmp_path)
    with pytest.raises(DataError, match=r"not one of 2 clips has both files. Listed: q, r; pictures there: -abc"):
        read_clips(tmp_path / "inside", "lvs", [Entry("q"), Entry("r")])
