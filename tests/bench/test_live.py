"""What `lvs-bench live` counts as offered and dropped, and what it says of devices."""

from __future__ import annotations

import numpy as np
import pytest
from bench_helpers import MS

from lvs_runtime.bench import analysis, live, table
from lvs_runtime.bench.probe import Probe
from lvs_runtime.bench.sessions import Watch
from lvs_runtime.live.stats import SessionStats


def test_every_frame_of_the_measured_part_is_accounted_for(localizer) -> None:
    """k = 100 came out before the measurement, 110...114 were superseded; 3 were spoilt before and 2 during it."""
    watch = Watch(16)
    for k in (*range(100, 110), *range(115, 130)):
        watch.recorder.add(k, k * 33 * MS, k * 33 * MS + MS, k * 33 * MS + 9 * MS)
    before = SessionStats(drops={"corrupt_frame": 3})
    after = SessionStats(drops={"corrupt_frame": 5, "superseded": 9}, reconnects={"camera": 1})
    start_ns, end_ns = 101 * 33 * MS, 130 * 33 * MS
    run = live._kept(watch, (before, after), Probe(localizer), start_ns, end_ns)
    assert run.warmup_frames == 1
    assert run.unusable == {"corrupt_frame": 2}
    assert sorted(k for _, k in run.dropped) == list(range(110, 115))
    assert run.offered == 24 + 5 + 2
    assert "camera: lost and opened again 1 times" in run.notes
    offered = analysis.Offered(
        total=run.offered, dropped_by={**analysis.count_reasons(run.dropped), **run.unusable}, in_flight=0,
        start_ns=start_ns, end_ns=end_ns, deadline_ms=50.0,
    )  # fmt: skip
    block = analysis.frames_block(run.rows, offered)
    assert block["dropped_by"] == {"corrupt_frame": 2, "superseded": 5}


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (
            {"kind": "camera", "name": "0", "size_px": (640, 480), "fps": 30.0, "sample_rate": None,
             "details": {"api": "V4L2", "format": "MJPG"}, "stamp_source": "driver"},
            "camera 0: 640x480, 30 fps, V4L2, MJPG, stamps: driver",
        ),
        (
            {"kind": "microphone", "name": "default", "size_px": None, "fps": None, "sample_rate": 48_000,
             "details": {}, "stamp_source": "arrival"},
            "microphone default: 48000 Hz, stamps: arrival",
        ),
    ],
)  # fmt: skip
def test_devices_are_named_as_they_are(told, line) -> None:
    assert table._source(told) == line


def test_no_result_at_all_is_no_crash(localizer) -> None:
    run = live._kept(Watch(16), (SessionStats(), SessionStats()), Probe(localizer), 0, MS)
    assert run.offered == len(run.rows) == 0
    assert np.size(run.audio_ms) == 0
