"""README's performance table is what its JSON says; what the scenarios compute by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lvs_runtime.bench import plots, writing

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def render(helpers):
    return helpers.load(ROOT / "benchmarks/scenarios/render.py", "bench_render")


@pytest.fixture
def newest(render):
    found = render.newest()
    if found is None:
        pytest.skip("no benchmarks/results/performance_*.json yet: make bench measures one")
    return found


def test_readme_and_json_agree(render) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert render.rendered(readme, render.newest()) == readme, "run `make bench-table`"


def test_a_changed_figure_is_noticed(render, newest, tmp_path: Path) -> None:
    result = json.loads(newest.read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    result["pipelines"]["ours_int8"]["cost"]["wall_ms"] += 1
    changed = tmp_path / newest.name
    changed.write_text(json.dumps(result), encoding="utf-8")
    assert render.rendered(readme, changed) != readme


def test_markers_must_be_there(render) -> None:
    with pytest.raises(SystemExit, match="markers"):
        render.rendered("no markers", None)


def test_the_result_carries_its_context(newest) -> None:
    result = writing.read_report(newest)
    assert result["topic"] == "performance"
    assert result["resources"]["load_1min_start"] is not None
    for row in result["pipelines"].values():
        assert row["cost"]["rounds"] >= 4
        if row["parity"] is not None:  # outputs were compared, and are close, before anything was timed
            assert row["parity"]["correlation"] > 0.98
    for point in result["load"]:
        assert {"rho", "age_p95_ms", "simulated_p95_ms", "predicted_p95_ms", "verdict"} <= set(point)


def test_the_bar_code_of_the_capture_scenario(helpers) -> None:
    capture = helpers.load(ROOT / "benchmarks/scenarios/capture.py", "bench_capture")
    for number in (0, 1, 12_345, 65_535):
        yuyv = np.full((480, 640, 2), 128, np.uint8)
        capture.code(yuyv, number)
        assert capture.decode(np.repeat(yuyv[..., :1], 3, axis=2)) == number


def test_the_numbers_in_the_sound_of_the_microphone_scenario(helpers) -> None:
    microphone = helpers.load(ROOT / "benchmarks/scenarios/microphone.py", "bench_microphone")
    begin = 123_457  # within a pair
    sent = microphone.code(np.arange(begin, begin + 100_000))
    _, pairs = microphone.decode(sent)
    assert np.array_equal(pairs, np.arange((begin + 1) // 2, (begin + 100_000) // 2))
    _, pairs = microphone.decode(np.concatenate([sent[:5000], sent[9001:]]))  # lost between: seen, and counted
    assert (pairs[-1] - pairs[0] + 1 - len(pairs)) * 2 == pytest.approx(4001, abs=3)
    assert len(microphone.decode(np.zeros(100, np.int16))[0]) == 0  # silence was never sent


def test_a_heat_map_says_what_holds() -> None:
    rows = [
        {"fps": fps, "size": "640x360", "age_ms": {"p95": p95}, "every_frame": p95 < 50, "freshest_frame": p95 < 50}
        for fps, p95 in ((15.0, 12.0), (60.0, 88.0))
    ]
    made = plots.heat(rows, "size", 50.0)
    assert [text.get_text() for text in made.axes[0].texts] == ["12", "88 x"]
    assert plots.png(made).startswith(b"\x89PNG")
    assert plots.svg(made).startswith("<svg")
