"""lvs-live as a command: a file through to recordings, exit codes, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lvs_runtime.cli import live as command
from lvs_runtime.cli import live_report
from lvs_runtime.cli.common import run_cli
from lvs_runtime.errors import CaptureError, ConfigError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lvs_live(monkeypatch, capsys, toy_path):
    """Runs the command in this process: (exit code, stdout, stderr). It leaves pytest's own logging alone."""
    pytest.importorskip("av")
    monkeypatch.setattr(command, "_prepare_logging", lambda debug: None)
    monkeypatch.setattr(command, "_leave", lambda code: pytest.fail("something did not close in time"))

    def run(*arguments, bundle=True):
        options = ["--headless", *map(str, arguments), *(["--bundle", str(toy_path)] if bundle else [])]
        monkeypatch.setattr(sys, "argv", ["lvs-live", *options])
        with pytest.raises(SystemExit) as ended:
            command.main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory, helpers):
    pytest.importorskip("av")
    return helpers.write_media(tmp_path_factory.mktemp("cli") / "clip.mp4", 2.0)


def test_help_needs_the_base_packages_alone():
    """The heavy packages are blocked, not merely unused."""
    code = (
        "import sys\n"
        "blocked = {'torch', 'cv2', 'onnxruntime', 'av', 'sounddevice', 'soundfile', 'soxr', 'starlette', 'scipy'}\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in blocked:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "sys.argv = ['lvs-live', '--help']\n"
        "from lvs_runtime.cli.live import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    for flag in ("--camera", "--mic", "--sink", "--list-devices", "--stats-json", "--av-offset-ms", "--no-pace"):
        assert flag in done.stdout


def test_a_file_to_a_recording_and_lines(lvs_live, clip, tmp_path):
    import av

    lines, recording = tmp_path / "r.jsonl", tmp_path / "out.mp4"
    code, out, err = lvs_live(
        "--camera", clip, "--no-pace", "--sink", f"jsonl:{lines}", "--sink", recording,
        "--stats-json", tmp_path / "stats.json",
    )  # fmt: skip
    assert (code, out) == (0, "")
    results = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(results) == 50
    for key in ("frame_index", "capture_ns", "age_ms", "av_skew_ms", "audible", "confidence", "peak_px", "boxes_px"):
        assert key in results[0]
    assert all(abs(r["av_skew_ms"]) < 0.1 for r in results[3:-3])
    assert results[40]["audible"]
    with av.open(str(recording)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    tail = err.splitlines()[-5:]
    assert [line.split(":")[0] for line in tail] == ["frames", "age", "sound", "ran on", "found"]
    assert "50 of 50" in tail[0]
    assert "CPUExecutionProvider, fp32" in tail[3]
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert stats["frames"] == {"offered": 50, "processed": 50, "in_flight": 0, "dropped": {}}
    assert not list(tmp_path.glob(".*part"))


def test_lines_on_stdout_are_nothing_but_lines(clip, toy_path):
    done = subprocess.run(
        [sys.executable, "-m", "lvs_runtime.cli.live", "--camera", str(clip), "--no-pace", "--headless",
         "--sink", "jsonl:-", "--bundle", str(toy_path), "--seconds", "0.4"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["frame_index"] for line in done.stdout.splitlines()] == list(range(10))
    assert "Traceback" not in done.stderr


def test_a_truncated_file_ends_with_1_and_keeps_what_came(lvs_live, helpers, tmp_path):
    whole = helpers.write_media(tmp_path / "w.mp4", 4.0, options={"movflags": "faststart"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    lines = tmp_path / "r.jsonl"
    code, _, err = lvs_live("--camera", tmp_path / "cut.mp4", "--no-pace", "--sink", f"jsonl:{lines}")
    assert code == 1
    assert "truncated" in err
    assert "frames:" in err
    assert 10 < len(lines.read_text().splitlines()) < 90


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--camera", "no.mp4"], "no such file"),
        (["--camera", "CLIP", "--resolution", "big"], "WIDTHxHEIGHT"),
        (["--camera", "CLIP", "--sink", "wibdow"], "not a sink"),
        (["--camera", "CLIP", "--json"], "--list-devices"),
        (["--camera", "CLIP", "--stats", "0"], "--stats"),
        (["--camera", "CLIP", "--policy", "latest", "--no-pace"], "--no-pace"),
        (["--camera", "synthetic:1", "--resolution", "4x4"], "16"),
        (["--camera", "CLIP", "--sink", "jsonl:/proc/no/r.jsonl"], "/proc/no"),
        (["--camera", "CLIP", "--bundle", "/nowhere"], "/nowhere"),
        (["--camera", "CLIP", "--device", "quantum"], "quantum"),
    ],
)
def test_what_the_user_must_repair_is_one_message_and_2(lvs_live, clip, arguments, told):
    arguments = [str(clip) if a == "CLIP" else a for a in arguments]
    code, _, err = lvs_live(*arguments, bundle="--bundle" not in arguments)
    assert code == 2
    assert told in err
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
    assert "Traceback" not in err


def test_debug_lets_the_error_through(monkeypatch):
    def fails():
        raise ConfigError("wrong")

    monkeypatch.setattr(sys, "argv", ["lvs-live", "--debug"])
    with pytest.raises(ConfigError):
        run_cli(fails)


def test_unknown_flags_are_refused_with_near_ones(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lvs-live", "--camra", "0"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "--camera" in capsys.readouterr().err


def test_default_sinks_say_why(monkeypatch):
    notes = []
    monkeypatch.setattr(sys, "platform", "linux")
    assert live_report.sinks_for([], False, {}, notes.append) == ["web"]
    assert "no display" in notes[0]
    assert live_report.sinks_for([], True, {}, notes.append) == []
    assert live_report.sinks_for(["jsonl:-"], False, {}, notes.append) == ["jsonl:-"]
    monkeypatch.setattr(live_report, "_opencv_has_windows", lambda: True)
    assert live_report.sinks_for([], False, {"DISPLAY": ":0"}, notes.append) == ["window"]
    monkeypatch.setattr(live_report, "_opencv_has_windows", lambda: False)
    assert live_report.sinks_for([], False, {"DISPLAY": ":0"}, notes.append) == ["web"]
    assert len(notes) == 2


def test_a_missing_camera_lists_what_there_is(lvs_live):
    pytest.importorskip("cv2")
    code, _, err = lvs_live("--camera", "93", "--mic", "none")
    assert code == 2
    assert "--camera 93: cannot be opened" in err


def test_capture_errors_are_user_errors():
    assert issubclass(CaptureError, Exception)
    with pytest.raises(SystemExit) as ended:
        run_cli(lambda: (_ for _ in ()).throw(CaptureError("gone")), debug=False)
    assert ended.value.code == 2
