from __future__ import annotations

import json

import numpy as np
import pytest

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SessionInfo, open_sink
from lvs_runtime.view.jpeg import JpegEncoder

cv2 = pytest.importorskip("cv2", reason="reads the pictures back: pip install 'lvs[live]'")
START_NS = 5_000_000_000_000


def snapshots(folder, every: str, make_frame, make_result, count: int = 40) -> list[str]:
    sink = open_sink(f"images:{folder}{every}")
    sink.open(SessionInfo())
    for index in range(count):
        now_ns = START_NS + index * 100_000_000
        sink.write(make_frame(index, now_ns), make_result(index, now_ns), None)
    sink.close()
    return sorted(path.name for path in folder.iterdir())


def test_one_a_second_of_capture_time(tmp_path, make_frame, make_result) -> None:
    names = snapshots(tmp_path / "new" / "shots", "", make_frame, make_result)
    stems = [f"frame_{index:06d}" for index in (0, 10, 20, 30)]
    assert names == sorted(f"{stem}.{kind}" for stem in stems for kind in ("jpg", "json"))


def test_picture_and_record_belong_together(tmp_path, make_frame, make_result) -> None:
    assert len(snapshots(tmp_path, "@0", make_frame, make_result, count=3)) == 6
    record = json.loads((tmp_path / "frame_000002.json").read_text())
    picture = cv2.imread(str(tmp_path / "frame_000002.jpg"))
    assert picture.shape == (240, 320, 3)
    x, y = record["peak_px"]
    assert int(picture[y + 8, x + 8, 2]) - int(picture[y + 8, x + 8, 0]) > 60


def test_a_full_disk_leaves_whole_pictures(small_disk, make_frame, make_result) -> None:
    sink = open_sink(f"images:{small_disk}@0")
    sink.open(SessionInfo())
    with pytest.raises(SinkError, match="the disk is full"):
        for index in range(1000):
            sink.write(make_frame(index), make_result(index), None)
    pictures = list(small_disk.glob("*.jpg"))
    assert len(pictures) >= sink.pictures > 3
    assert all(cv2.imread(str(path)) is not None for path in pictures)
    assert not list(small_disk.glob(".*"))


@pytest.mark.parametrize("library", ["cv2", "av"])
def test_both_jpeg_encoders_give_the_same_picture(library, monkeypatch) -> None:
    if library == "av":
        pytest.importorskip("av", reason="pip install 'lvs[video]'")
        monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    y, x = np.mgrid[0:120, 0:200]
    image = np.stack([x, 255 - y, (x + y) // 2], axis=2).astype(np.uint8)
    encoder = JpegEncoder(90)
    assert encoder.library == library
    for picture in (image, image[:64, :100], image):  # a changed size in between
        decoded = cv2.imdecode(np.frombuffer(encoder.encode(picture), np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == picture.shape
        assert np.abs(decoded.astype(int) - picture).mean() < 2.5


def test_no_encoder_names_both_extras(monkeypatch, tmp_path) -> None:
    for name in ("cv2", "av"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(SinkError, match=r"pip install 'lvs\[live\]' or 'lvs\[video\]'"):
        open_sink(f"images:{tmp_path}").open(SessionInfo())
