"""`lvs-bench` as a user meets it: what is refused, what too few samples say, what an interrupted run leaves."""

from __future__ import annotations

import json
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lvs_runtime.bench import clocks, compare, report, writing
from lvs_runtime.cli import bench
from lvs_runtime.errors import ConfigError


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["lvs-bench", *(str(word) for word in words)])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["single", "--bundle", "nowhere"], "nowhere"),
        (["camera", "--device", "abacus"], "abacus"),
        (["camera", "--seconds", "0"], "--seconds 0"),
        (["camera", "--fps", "0"], "fps 0"),
        (["camera", "--cameras", "0"], "cameras 0"),
        (["camera", "--resolution", "big"], "WIDTHxHEIGHT"),
        (["camera", "--resolution", "8x8"], "32 to 16384"),
        (["camera", "--json", "absent/x.json"], "mkdir -p absent"),
        (["live", "--camera", "synthetic:0", "--mic", "none"], "--mic none"),
        (["loopback", "--emitter", "absent.txt", "--camera", "nothing.mp4"], "nothing.mp4"),
        (["accuracy", "--number", "3"], "--number 3"),
        (["sweep", "--precision", "int8", "fp32"], "--precision fp32: no bundle has it; found the shipped one int8"),
        (["single", "--batch", "33"], "--batch 33"),
        (["compare", "a.json", "b.json"], "a.json"),
        (["compare", "a", "b", "--paired", "--threads", "1", "2", "3"], "one --device or --threads"),
    ],
)
def test_what_cannot_be_is_refused_with_exit_2(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = call(monkeypatch, capsys, *words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_a_screen_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy_path: Path
) -> None:
    """OpenCV's Qt would abort the process."""
    pytest.importorskip("sounddevice")
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = call(monkeypatch, capsys, "loopback", "--bundle", toy_path, "--emitter", "screen", "--seconds", "1")
    assert code == 2
    assert "--emitter screen: " in err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder in which nobody can make files: /proc")
def test_a_folder_that_takes_no_file_is_found_before_measuring() -> None:
    with pytest.raises(ConfigError, match=r"--json /proc/x\.json"):
        writing.check_writable("--json", Path("/proc/x.json"))


def test_a_file_that_cannot_be_written_is_found_before_measuring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    begin_s = time.monotonic()
    code, _, err = call(monkeypatch, capsys, "camera", "--seconds", "3600", "--json", tmp_path)
    assert code == 2
    assert "is a folder" in err
    assert time.monotonic() - begin_s < 60  # an hour was asked for: refused before it began


def test_a_microphone_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy_path: Path
) -> None:
    """A file has a picture; the microphone asked for does not exist."""
    code, _, err = call(
        monkeypatch, capsys, "live", "--bundle", toy_path, "--camera", "synthetic:0", "--mic", "No Such Microphone",
        "--seconds", "1",
    )  # fmt: skip
    assert code == 2
    assert "--mic" in err


def test_one_second_has_no_p99_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy_path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    code, out, _ = call(
        monkeypatch, capsys, "camera", "--bundle", toy_path, "--seconds", "1", "--threads", "1", "--json", target,
        "--plot", tmp_path / "plots",
    )  # fmt: skip
    assert code == 0
    result = json.loads(target.read_text(encoding="utf-8"))
    frames = result["frames"]
    assert frames["offered"] == frames["processed"] + frames["dropped"] + frames["in_flight_at_end"]
    assert 28 <= frames["offered"] <= 31
    assert abs(frames["inferences"] - frames["processed"]) <= 1  # one a result; one may lie across the warm-up's end
    assert 0 < result["audio"]["windows"] <= frames["inferences"] + 1  # never more than one a frame
    assert result["age_ms"]["p99"] is None
    assert any(note.startswith("p99: n/a (n=") for note in result["notes"])
    assert "p99: n/a" in out
    _check_schema(result)
    lines = [json.loads(line) for line in (tmp_path / "out.samples.jsonl").read_text().splitlines()]
    assert len(lines) == frames["offered"] == result["samples"]["rows"]
    assert {path.name for path in (tmp_path / "plots").iterdir()} >= {"report.html", "cdf.png", "timeline.svg"}
    page = (tmp_path / "plots/report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")  # self-contained: nothing is loaded from elsewhere


def _check_schema(result: dict[str, Any]) -> None:
    """The names that others read."""
    assert result["schema"] == report.SCHEMA
    assert {"n", "p50_ms", "p95_ms", "p99_ms", "max_ms", "ci95", "n_eff"} <= set(result["stages"]["image"])
    assert {"p50", "p90", "p95", "p99", "max", "ci95"} <= set(result["age_ms"])
    for block in ("machine", "software", "bundle", "run", "cold_start_ms", "resources", "overhead", "parity"):
        assert block in result
    assert {"cpu", "flags", "kernel"} <= set(result["machine"])
    assert {"temp_c", "mhz", "throttled", "p50_ms"} <= set(result["sustained"][0])
    assert result["run"]["provider"] == "CPUExecutionProvider"


def test_an_interrupted_run_writes_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy_path: Path, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of an hour: as if it came while the feeder waits for its 250th moment."""
    target, waits, sleep = tmp_path / "cut.json", count(), clocks.RealClock.sleep_until_ns

    def until(clock: clocks.RealClock, moment_ns: int) -> None:
        if next(waits) == 250:  # 130 a second: past the warm-up
            raise KeyboardInterrupt
        sleep(clock, moment_ns)

    monkeypatch.setattr(clocks.RealClock, "sleep_until_ns", until)
    code, out, _ = call(
        monkeypatch, capsys, "camera", "--bundle", toy_path, "--seconds", "3600", "--threads", "1", "--json", target
    )
    assert code == 130
    result = json.loads(target.read_text(encoding="utf-8"))
    assert result["partial"] is True
    assert 20 < result["frames"]["offered"] < 40
    assert len((tmp_path / "cut.samples.jsonl").read_text().splitlines()) == result["frames"]["offered"]
    assert "PARTIAL" in out


def made(tmp_path: Path, name: str, ages_ms: list[float], **changes: Any) -> Path:
    """A result as the commands write it, small."""
    lines = [
        json.dumps({"k": k, "due_ns": 0, "out_ns": round(age * 1e6), "drop": None}) for k, age in enumerate(ages_ms)
    ]
    result: dict[str, Any] = {
        "schema": "lvs-bench/1", "topic": "camera", "seconds": 10.0, "partial": False, "disturbed": False,
        "run": {"mode": "camera", "input_sha256": "i", "fps": 30.0}, "machine": {"id_hash": "m"},
        "bundle": {"precision": {"image": "int8"}},
        "samples": writing.write_samples("--json", tmp_path / f"{name}.samples.jsonl", lines),
    }  # fmt: skip
    result |= changes
    writing.write_json("--json", tmp_path / f"{name}.json", result)
    return tmp_path / f"{name}.json"


def test_compare_tells_the_ratio_with_its_interval(tmp_path: Path) -> None:
    ages = [10 + (k * 7919 % 97) / 97 for k in range(300)]
    a, b = made(tmp_path, "a", ages), made(tmp_path, "b", [2 * age for age in ages])
    found = compare.compare(a, b)
    assert found["p50"]["ratio"] == pytest.approx(2.0)
    assert found["verdict"] == "B is 2.00 times slower than A"
    assert any("one after the other" in warning for warning in found["warnings"])
    assert "no difference" in compare.compare(a, a)["verdict"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": "lvs-bench/2"}, "newer"),
        ({"schema": "other/1"}, "lvs-bench"),
        ({"topic": "live"}, "topic differs"),
        ({"topic": "performance"}, "B is a result of performance, which keeps no raw samples"),
        ({"run": {"mode": "camera", "input_sha256": "x", "fps": 30.0}}, "input_sha256 differs"),
        ({"bundle": {"precision": {"image": "fp32"}}}, "across-precision"),
        ({"samples": None}, "no raw samples"),
    ],
)
def test_compare_refuses_what_cannot_be_compared(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    a, b = made(tmp_path, "a", [1.0] * 200), made(tmp_path, "b", [1.0] * 200, **changes)
    with pytest.raises(ConfigError, match=said):
        compare.compare(a, b)


def test_compare_warns_of_another_machine(tmp_path: Path) -> None:
    a = made(tmp_path, "a", [1.0] * 200)
    b = made(tmp_path, "b", [1.0] * 200, machine={"id_hash": "other"}, disturbed=True)
    warnings = compare.compare(a, b)["warnings"]
    assert any(warning.startswith("different machines") for warning in warnings)
    assert "B was disturbed by other work on its machine" in warnings
