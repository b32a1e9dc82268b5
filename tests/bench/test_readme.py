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
def results(render):
    found = render.newest()
    if not found:
        pytest.skip("no benchmarks/results/performance_*.json yet: make bench measures one")
    return found


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md"])
def test_documents_and_results_agree(render, name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert render.rendered(name, text, render.DOCUMENTS[name](render.newest())) == text, "run `make bench-table`"


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md"])
def test_a_changed_figure_is_noticed(render, results, name: str, tmp_path: Path) -> None:
    device, path = next(iter(results.items()))
    result = json.loads(path.read_text(encoding="utf-8"))
    result["pipelines"]["ours_int8"]["cost"]["cpu_ms"] += 1
    changed = tmp_path / path.name
    changed.write_text(json.dumps(result), encoding="utf-8")
    text = (ROOT / name).read_text(encoding="utf-8")
    assert render.rendered(name, text, render.DOCUMENTS[name]({**results, device: changed})) != text


def test_devices_stand_side_by_side_and_are_not_mixed(render, results, tmp_path: Path) -> None:
    """Of each device the newest file; each has columns of its own, a pipeline that one lacks leaves its cells empty."""
    result = json.loads(next(iter(results.values())).read_text(encoding="utf-8"))
    for name, cpu_ms in (("a-2vcpu_2026-01-02", 111.1), ("a-2vcpu_2026-01-01", 999.9), ("b-8cpu_2025-12-31", 222.2)):
        result["pipelines"]["ours_int8"]["cost"]["cpu_ms"] = cpu_ms
        (tmp_path / f"performance_{name}.json").write_text(json.dumps(result), encoding="utf-8")
        result["pipelines"].pop("detector", None)
    files = render.newest(tmp_path)
    assert {device: path.name for device, path in files.items()} == {
        "a-2vcpu": "performance_a-2vcpu_2026-01-02.json", "b-8cpu": "performance_b-8cpu_2025-12-31.json"
    }  # fmt: skip
    lines = render.readme(files).splitlines()
    cells = next(line for line in lines if line.startswith("| lvs int8, ONNX")).split("|")
    assert cells[2].split()[0] == "111.1"
    assert cells[5].split()[0] == "222.2"
    yardstick = next(line for line in lines if line.startswith("| video-only")).split("|")
    assert yardstick[2].strip()
    assert not yardstick[5].strip()
    assert {line.count("|") for line in lines if line.startswith("|")} == {8}
    assert render.docs(files).count("### ") == 2


def test_markers_must_be_there(render) -> None:
    with pytest.raises(SystemExit, match="markers"):
        render.rendered("README.md", "no markers", "")


@pytest.mark.parametrize("number", [0, -1])
def test_the_result_carries_its_context(results, number: int) -> None:
    result = writing.read_report(list(results.values())[number])
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
    made = plots.heat(rows, ["size"], 50.0)
    assert [text.get_text() for text in made.axes[0].texts] == ["12", "88 x"]
    assert plots.png(made).startswith(b"\x89PNG")
    assert plots.svg(made).startswith("<svg")
