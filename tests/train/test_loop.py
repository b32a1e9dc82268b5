"""The loop on the drawn world: it learns to fall, resumes to the same numbers after SIGKILL, refuses what it must."""

import json
import signal
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError
from lvs_train.checkpoint import load
from lvs_train.config import from_mapping
from lvs_train.loop import Trainer, schedule

STAGES = [
    {"name": "classes", "kind": "classes", "steps": 1, "batch_size": 2, "image_px": 64, "seconds": [0.5, 0.6]},
    {"name": "trimap", "steps": 3, "batch_size": 2, "seconds": [0.5, 0.6], "extra_negatives": 1, "average": 0.9},
]
RECIPE = {"seed": 3, "save_every_s": 0.0, "workers": 1, "loss": {"directions": "both"}, "stages": STAGES}
SCRIPT = """
import json, sys, torch
from pathlib import Path
from lvs_train.config import from_mapping
from lvs_train.loop import Trainer
torch.set_num_threads(1)
Trainer(from_mapping(json.loads(sys.argv[1])), Path(sys.argv[2]), torch.device("cpu"), sys.argv[3] == "resume").run()
"""


def start(recipe, out, resume="fresh"):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(recipe), str(out), resume])


def losses(out):
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {(row["stage"], row["step"]): row["loss"] for row in rows}


def test_kill_and_resume_gives_the_same_losses(tmp_path):
    whole = start(RECIPE, tmp_path / "whole")
    assert whole.wait(100) == 0
    killed = start(RECIPE, tmp_path / "killed")
    for _ in range(600):
        path = tmp_path / "killed" / "metrics.jsonl"
        if path.is_file() and path.read_text().count("\n") >= 2:
            break
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    again = start(RECIPE, tmp_path / "killed", "resume")
    assert again.wait(100) == 0
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    first, second = (load(tmp_path / name / "model.safetensors").model.state_dict() for name in ("whole", "killed"))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_existing_run_and_changed_recipe_are_refused(tmp_path):
    recipe = from_mapping({**RECIPE, "stages": STAGES[:1]})
    Trainer(recipe, tmp_path, torch.device("cpu"), resume=False).run()
    with pytest.raises(ConfigError, match="--resume"):
        Trainer(recipe, tmp_path, torch.device("cpu"), resume=False)
    with pytest.raises(ConfigError, match=r"\['seed'\]"):
        Trainer(from_mapping({**RECIPE, "seed": 4}), tmp_path, torch.device("cpu"), resume=True)


def test_nothing_to_train_on_is_an_error(tmp_path):
    recipe = from_mapping({**RECIPE, "data": {"drawn_weight": 0}})
    with pytest.raises(ConfigError, match="nothing to train on"):
        Trainer(recipe, tmp_path, torch.device("cpu"), resume=False).run()


def test_schedule_rises_then_falls():
    values = [schedule(step, 100, 10) for step in range(100)]
    assert values[9] == 1.0
    assert values[0] == pytest.approx(0.1)
    assert values[-1] < 0.02
    assert values[10:] == sorted(values[10:], reverse=True)
