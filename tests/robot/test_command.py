"""lvs-live's geometry flags, and the whole loop of the example (slow)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lvs_runtime.cli.live import Live, live
from lvs_runtime.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"hfov": 200.0}, "--hfov 200"),
        ({"hfov": 60.0, "camera_info": Path("x.yaml")}, "give one"),
        ({"camera_info": Path("nowhere.yaml")}, "--camera-info nowhere.yaml: cannot be read"),
        ({"sink": ("mqtt://anna:geheim@host/x",)}, "LVS_MQTT_PASSWORD"),
    ],
)
def test_what_is_wrong_is_said_before_anything_opens(flags, says):
    with pytest.raises(ConfigError, match=says):
        live(Live(camera="synthetic:1", headless=True, **flags))


@pytest.mark.slow
def test_the_head_turns_towards_the_sound(tmp_path):
    """Real processes over Zenoh. Only what holds on a machine as busy as you like: results come, the head finds it."""
    pytest.importorskip("zenoh")
    pytest.importorskip("cv2")
    program = ROOT / "examples" / "robot" / "pan_tilt.py"
    command = [sys.executable, program, "--seconds", "20", "--json", tmp_path / "figures.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["results"] > 10
    assert figures["pointing_error_deg_from_2_s_into_a_turn"]["n"] > 5


@pytest.mark.slow
def test_results_of_a_drawn_clip_carry_tracks(tmp_path):
    command = [sys.executable, "-m", "lvs_runtime.cli.live", "--camera", "synthetic:7", "--headless", "--no-pace"]
    command += ["--seconds", "3", "--hfov", "70", "--sink", f"jsonl:{tmp_path / 'r.jsonl'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert len(rows) == 90
    assert all(len(row["bearings"]) == len(row["boxes_px"]) for row in rows)
    assert any(row["tracks"] for row in rows)
