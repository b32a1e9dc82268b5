"""Leaving out what no wanted picture needs changes nothing: same places, stamps and pixels as decoding everything."""

from __future__ import annotations

from pathlib import Path

import archive_work
import av
import numpy as np
import pytest

from lvs_runtime.archive.opening import open_container
from lvs_runtime.archive.pictures import Picker, plain_sights, seek_for
from lvs_runtime.archive.sources import Source


def picked(path: Path, every_s: float, first: int = 0, stop: int | None = None) -> tuple[list, Picker, int]:
    decoded = 0
    with open_container(Source(str(path))) as container:
        video = container.streams.video[0]
        start_s = (container.start_time or 0) / 1e6
        if first:
            seek_for(container, video, start_s, first * every_s, 0.5)
        picker = Picker(video, start_s, every_s, first, stop, av.error.FFmpegError)
        send, sent = Picker._decode, []
        try:
            Picker._decode = lambda self, packet: (sent.append(packet), send(self, packet))[1]
            sights = [
                (s.index, round(s.frame_s, 6), s.frame.to_ndarray(format="gray"))
                for s in picker.sights(p for p in container.demux(video) if p.size)
            ]
        finally:
            Picker._decode = send
        decoded = sum(packet is not None for packet in sent)
    return sights, picker, decoded


def plain(path: Path, every_s: float, first: int = 0, stop: int | None = None) -> list:
    with open_container(Source(str(path))) as container:
        video = container.streams.video[0]
        frames = container.decode(video)
        start_s = (container.start_time or 0) / 1e6
        return [
            (s.index, round(s.frame_s, 6), s.frame.to_ndarray(format="gray"))
            for s in plain_sights(frames, start_s, every_s, float(video.average_rate), first, stop)
        ]


def same(ours: list, oracle: list) -> None:
    assert [s[:2] for s in ours] == [s[:2] for s in oracle]
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(ours, oracle, strict=True))


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codecs")
    x264 = {"x264-params": "open-gop=1:bframes=3:keyint=20:min-keyint=20:b-pyramid=normal"}
    archive_work.write_clip(folder / "open-gop.mp4", 4.0, options=x264, sound=False)
    archive_work.write_clip(folder / "bframes.mkv", 4.0, options={"bf": "3", "g": "50"}, sound=False)
    archive_work.write_clip(folder / "stream.ts", 4.0, options={"bf": "2", "g": "25"}, sound=False)
    archive_work.write_clip(folder / "mpeg4.avi", 4.0, codec="mpeg4", sound=False)
    archive_work.write_clip(folder / "mjpeg.mkv", 4.0, codec="mjpeg", sound=False, options={"strict": "unofficial"})
    archive_work.write_clip(folder / "vfr.mp4", 4.0, stamps=[0, 40, 80, 1500, 1540, 3900], sound=False)
    return folder


@pytest.mark.parametrize("name", ["open-gop.mp4", "bframes.mkv", "stream.ts", "mpeg4.avi", "mjpeg.mkv"])
@pytest.mark.parametrize("every_s", [0.04, 0.5, 1.3])
def test_same_as_decoding_everything(codecs: Path, name: str, every_s: float) -> None:
    sights, picker, _ = picked(codecs / name, every_s)
    same(sights, plain(codecs / name, every_s))
    assert picker.missed == 0
    assert len(sights) == int(np.ceil(picker.end_s / every_s - 1e-6))


@pytest.mark.parametrize("name", ["open-gop.mp4", "bframes.mkv", "stream.ts"])
def test_a_segment_in_the_middle_is_the_same_too(codecs: Path, name: str) -> None:
    same(picked(codecs / name, 0.1, 17, 31)[0], plain(codecs / name, 0.1, 17, 31))


def test_key_frames_are_jumped_to(codecs: Path) -> None:
    sights, _, decoded = picked(codecs / "open-gop.mp4", 2.0)
    assert len(sights) == 2
    assert decoded < 40  # of 100 packets


def test_variable_rate_shows_what_was_on_screen(codecs: Path) -> None:
    sights, _, _ = picked(codecs / "vfr.mp4", 0.5)
    assert [s[1] for s in sights] == [0.0, 0.08, 0.08, 1.5, 1.54, 1.54, 1.54, 1.54]


def test_a_damaged_picture_is_missed_and_the_next_ones_come(codecs: Path, tmp_path: Path) -> None:
    data = bytearray((codecs / "mjpeg.mkv").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    (tmp_path / "hurt.mkv").write_bytes(data)
    sights, picker, _ = picked(tmp_path / "hurt.mkv", 0.1)
    assert 25 <= len(sights) <= 40
    assert sights[-1][0] == 39
    assert len(sights) + picker.missed <= 40
