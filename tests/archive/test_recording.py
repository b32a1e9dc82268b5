"""MCAP recordings: what a robot recorded through our own sink is analysed like a file."""

from __future__ import annotations

from pathlib import Path

import bus_helpers
import live_helpers
import numpy as np
import pytest

from lvs_runtime.archive import localize_files
from lvs_runtime.results import VideoFrame
from lvs_runtime.sinks import open_sink

pytest.importorskip("mcap")
RATE = 16_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of pictures, 25 a second, and of a tone that begins after one."""
    pytest.importorskip("foxglove")
    path = tmp_path_factory.mktemp("mcap") / "run.mcap"
    sink = open_sink(f"mcap:{path}")
    sink.open(bus_helpers.INFO)
    wave = np.concatenate([np.zeros(RATE, np.float32), live_helpers.tone(1.0, RATE)])
    for i in range(50):
        stamp_ns = bus_helpers.START_NS + i * 40_000_000
        frame = VideoFrame(live_helpers.picture(i), stamp_ns, 0, i)
        sink.write(frame, bus_helpers.result(i, image_size_px=live_helpers.SIZE), None)
        sink.write_audio(wave[i * 640 : (i + 1) * 640], RATE, stamp_ns)
    sink.close()
    return path


def test_a_recording_is_analysed(run: Path, toy_path: Path) -> None:
    (result,) = localize_files(run, bundle=toy_path, workers=0)
    assert result.error is None
    rows = result.table().to_pylist()
    assert [row["t_s"] for row in rows] == [0.0, 0.5, 1.0, 1.5]
    assert [round(row["picture_s"], 3) for row in rows] == [0.0, 0.48, 1.0, 1.48]
    assert [row["audible"] for row in rows] == [False, False, True, True]
    assert (rows[0]["width_px"], rows[0]["height_px"]) == live_helpers.SIZE


def test_damage_is_told(run: Path, toy_path: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mcap").write_text("no recording")
    (tmp_path / "cut.mcap").write_bytes(run.read_bytes()[: run.stat().st_size // 2])
    results = {Path(r.path).name: r for r in localize_files(tmp_path, bundle=toy_path, workers=0)}
    assert "not an MCAP recording" in results["text.mcap"].error
    assert "cut off" in results["cut.mcap"].error or "not finished" in results["cut.mcap"].error
