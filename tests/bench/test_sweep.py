"""What holds: both meanings, and what cannot be judged."""

from __future__ import annotations

import numpy as np
import pytest
from bench_helpers import MS

from lvs_runtime.bench import plots, sweep
from lvs_runtime.bench.camera import CameraPlan
from lvs_runtime.bench.rows import Recorder
from lvs_runtime.bench.sessions import SessionRun


def outcome(localizer, fps: float, ages_ms, dropped: int = 0) -> dict:
    recorder = Recorder(16)
    for k, age_ms in enumerate(ages_ms):
        recorder.add(k, k * MS, k * MS, k * MS + round(age_ms * MS))
    lost = {(0, 10_000 + k): (0, "superseded") for k in range(dropped)}
    done = SessionRun(rows=recorder.rows(), dropped=lost, offered=len(ages_ms) + dropped)
    return sweep.cell(localizer, CameraPlan(fps=fps), done, budget_ms=50.0)


@pytest.mark.parametrize(
    ("age_ms", "dropped", "every", "fresh"),
    [(20, 0, True, True), (20, 1, True, True), (20, 50, False, True), (60, 0, False, False)],
)
def test_the_two_meanings_of_holding(localizer, age_ms, dropped, every, fresh) -> None:
    row = outcome(localizer, 30.0, [age_ms] * 200, dropped)
    assert (row["every_frame"], row["freshest_frame"]) == (every, fresh)


def test_highest_rate_of_each_combination(localizer) -> None:
    rows = [outcome(localizer, 30.0, [20] * 200), outcome(localizer, 60.0, [30] * 200, 40)]
    rows.append(outcome(localizer, 120.0, [80] * 200))
    (best,) = sweep.highest(rows)
    assert (best["every_frame_fps"], best["freshest_frame_fps"]) == (30.0, 60.0)
    assert sweep.notes(rows) == []


def test_too_few_results_hold_nothing_and_are_told(localizer) -> None:
    row = outcome(localizer, 30.0, np.full(99, 5.0))
    assert (row["every_frame"], row["freshest_frame"]) == (False, False)
    assert "1 of 1 combinations gave fewer than 100 results" in sweep.notes([row])[0]


def test_a_heat_map_names_every_axis_that_varies() -> None:
    def row(**changes):
        fixed = {"bundle": "a", "precision": "int8", "device": "cpu", "threads": 2, "size": "640x360", "audio_hz": None,
                 "audio_s": 1.0, "cameras": 1, "fps": 30.0}  # fmt: skip
        return {**fixed, **changes, "age_ms": {"p95": 9.0}, "every_frame": True, "freshest_frame": True}

    assert sweep.varied([row(), row(fps=60.0)]) == ["size"]
    assert sweep.varied([row(), row(bundle="b", precision="fp32")]) == ["precision"]  # the name says no more
    assert sweep.varied([row(), row(bundle="b")]) == ["bundle"]
    rows = [row(cameras=n, audio_hz=hz) for n in (1, 2) for hz in (None, 10.0)]
    assert sweep.varied(rows) == ["audio_hz", "cameras"]
    labels = [text.get_text() for text in plots.heat(rows, sweep.varied(rows), 50.0).axes[0].get_yticklabels()]
    assert labels == [
        f"sound, times a second {rate}, cameras {n}" for n in (1, 2) for rate in ("as time allows", "10.0")
    ]


def test_a_cell_lasts_until_a_p95_can_be_told() -> None:
    grid = sweep.Grid(fps=(10.0, 60.0), cameras=(1, 4), seconds=4.0)
    assert [grid.seconds_of(fps, n) for fps in grid.fps for n in grid.cameras] == [11.5, 4.0, 4.0, 4.0]
    assert grid.total_s == 11.5 + 3 * 4 + 4 * 1.5


def test_a_grid_counts_its_cells() -> None:
    assert sweep.Grid(fps=(15, 30), cameras=(1, 2, 4), threads=(1, 2)).cells == 12
