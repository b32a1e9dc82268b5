"""`lvs-train finetune`: what is held out, what is refused, and a short run with figures before and after."""

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")
pytest.importorskip("cv2", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError, DataError
from lvs_train import finetune
from lvs_train.checkpoint import Checkpoint, load, save
from lvs_train.config import from_mapping
from lvs_train.data.clips import write_clips
from lvs_train.data.lists import Entry
from lvs_train.model import DualResNet


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "clips"
    write_clips(from_mapping({"seed": 9, "stages": [{"name": "a", "steps": 1, "batch_size": 5}]}), root, 10)
    return root


def test_a_tenth_is_held_out_by_its_ids():
    ids = [f"clip{i}" for i in range(40)]
    trained, held = finetune.split(ids)
    assert (len(trained), len(held)) == (36, 4)
    assert sorted(trained + held) == sorted(ids)
    assert finetune.split(ids[::-1]) == (trained, held)
    with pytest.raises(DataError, match="want at least 8"):
        finetune.split(ids[:7])


def test_plan_trains_on_the_rest_with_labels_when_all_have_one(clips, tmp_path):
    from lvs_train.data.stores import open_store

    ids = open_store(clips).ids
    recipe, held = finetune.plan(clips, tmp_path, tmp_path / "m.pt", [Entry(i, label="x, y") for i in ids], "", 7, 3)
    assert recipe.data.labels
    assert recipe.stages[0].steps == 7
    assert len(held) == 2
    listed = (tmp_path / "trained.csv").read_text()
    assert listed.count('"x, y"') == 8
    assert not any(e.id in listed for e in held)
    assert not finetune.plan(clips, tmp_path, tmp_path / "m.pt", None, "bell", 7, 3)[0].data.labels


def test_without_float_weights_it_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.setattr(finetune, "SHIPPED", tmp_path / "none")
    with pytest.raises(ConfigError, match="--ckpt"):
        finetune.start_of(None)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_command(clips, tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "start.safetensors", Checkpoint(DualResNet(), thresholds={"box_similarity": 0.31}))
    done = subprocess.run(
        [
            sys.executable, "-m", "lvs_train.cli", "finetune", str(clips), "--out", str(tmp_path / "out"),
            "--ckpt", str(tmp_path / "start.safetensors"), "--steps", "3", "--device", "cpu",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "held-out clips" in done.stdout
    assert "->" in done.stdout
    result = load(tmp_path / "out" / "model.safetensors")
    assert result.thresholds == {"box_similarity": 0.31}
    assert set(json.loads(json.dumps(result.meta["finetune"]["after"]))) == {
        "clips", "own_against_other_clips", "own_against_other_sounds", "drawn_peak_in_box",
    }  # fmt: skip
    start = load(tmp_path / "start.safetensors").model
    assert torch.equal(result.model.image.layer2[0].conv1.weight, start.image.layer2[0].conv1.weight)
    assert torch.equal(result.model.audio.bn1.running_mean, start.audio.bn1.running_mean)
    assert not torch.equal(result.model.image.layer4[0].conv1.weight, start.image.layer4[0].conv1.weight)
