"""The loop on the drawn world: golden losses, the same after SIGKILL, a clear end when something goes wrong."""

import json
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import CheckpointError, ConfigError, DataError
from lvs_train.checkpoint import load
from lvs_train.config import from_mapping
from lvs_train.loop import Trainer, schedule
from lvs_train.model import DualResNet
from lvs_train.precision import PrecisionWarning

STAGES = [
    {"name": "classes", "kind": "classes", "steps": 4, "batch_size": 2, "image_px": 32, "seconds": [0.1, 0.15]},
    {
        "name": "trimap", "steps": 16, "batch_size": 3, "seconds": [0.1, 0.15], "extra_negatives": 1, "average": 0.9,
        "learning_rate": 1e-4,
    },
]  # fmt: skip
RECIPE = {
    "seed": 3, "save_every_s": 1000.0, "workers": 1, "samples": 2, "image": {"size_px": 32},
    "loss": {"directions": "both"}, "stages": STAGES,
}  # fmt: skip
# torch 2.13, x86-64 with AVX512, one thread. The same machine and torch give the same bits (the test of SIGKILL);
# others sum in another order, and twenty steps of BatchNorm over two or three pictures carry that far.
GOLDEN = [
    4.286694, 4.337269, 4.325208, 4.066802, 1.478724, 1.45701, 1.487501, 1.373365, 1.415977, 1.277501,
    1.221665, 1.527028, 1.484598, 1.495402, 1.447391, 1.432586, 1.260176, 1.415413, 1.24804, 1.202498,
]  # fmt: skip
SCRIPT = """
import json, sys, torch
from pathlib import Path
from lvs_train.config import from_mapping
from lvs_train.loop import Trainer
torch.set_num_threads(1)
Trainer(from_mapping(json.loads(sys.argv[1])), Path(sys.argv[2]), torch.device("cpu"), False).run()
"""
CPU = torch.device("cpu")


def rows(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def losses(out):
    return [(row["stage"], row["step"], row["loss"]) for row in rows(out)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    Trainer(from_mapping(RECIPE), out, CPU, resume=False).run()
    return out


@pytest.mark.timeout(600)  # for busy machines: ten seconds of one core
def test_twenty_golden_losses(whole):
    got = [loss for _, _, loss in losses(whole)]
    assert len(got) == 20
    assert got[0] == pytest.approx(GOLDEN[0], rel=1e-4)
    np.testing.assert_allclose(got, GOLDEN, rtol=0.03)


def test_run_folder_holds_the_record(whole):
    assert json.loads((whole / "recipe.json").read_text())["loss"]["temperature"] == 0.07
    versions = json.loads((whole / "versions.json").read_text())
    assert (versions["torch"], versions["precision"]) == (torch.__version__, "fp32")
    assert (whole / "samples" / "trimap-000016.png").stat().st_size > 1000
    checkpoint = load(whole / "model.pt")
    assert checkpoint.meta["leaks"] == "no clips with ids"
    assert checkpoint.state == {"stage": 2, "step": 0, "world": 1}


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_kill_and_resume_gives_the_same_losses(whole, tmp_path):
    recipe = {**RECIPE, "save_every_s": 0.5}
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(recipe), str(tmp_path)])
    path, model = tmp_path / "metrics.jsonl", tmp_path / "model.pt"
    until = time.monotonic() + 300
    while time.monotonic() < until and not (model.is_file() and path.read_text().count('"trimap"') > 9):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with path.open("a") as file:
        file.write('{"stage": "trimap", "st')  # as a kill in the middle of a line leaves it
    Trainer(from_mapping(recipe), tmp_path, CPU, resume=True).run()
    assert losses(tmp_path) == losses(whole)
    first, second = (load(out / "model.safetensors").model.state_dict() for out in (whole, tmp_path))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_existing_run_and_changed_recipe_are_refused(whole):
    with pytest.raises(ConfigError, match="--resume"):
        Trainer(from_mapping(RECIPE), whole, CPU, resume=False)
    with pytest.raises(ConfigError, match=r"\['seed'\]"):
        Trainer(from_mapping({**RECIPE, "seed": 4}), whole, CPU, resume=True)


@pytest.mark.filterwarnings("ignore:precision = .bf16.. this cpu emulates it")  # as it should where it does
def test_resume_keeps_the_precision_or_says_so(whole):
    assert Trainer(from_mapping({**RECIPE, "precision": "auto"}), whole, CPU, resume=True).recipe.precision == "fp32"
    with pytest.warns(PrecisionWarning, match="computed in fp32 and goes on in bf16"):
        trainer = Trainer(from_mapping({**RECIPE, "precision": "bf16"}), whole, CPU, resume=True)
    assert trainer.checkpoint.meta["precision"] == "bf16"


def test_number_of_processes_may_not_change(whole):
    from lvs_train.distributed import World

    with pytest.raises(ConfigError, match="trained by 1 processes, now 2"):
        Trainer(from_mapping(RECIPE), whole, CPU, True, World(0, 2))


def test_recipes_of_before_new_keys_resume(whole):
    checkpoint = load(whole / "model.pt")
    for key in ("augment", "samples", "compile"):
        del checkpoint.meta["recipe"][key]
    Trainer(from_mapping(RECIPE), whole, CPU, True)._check_same_run(whole, checkpoint)


def test_nothing_to_train_on_is_an_error(tmp_path):
    recipe = from_mapping({**RECIPE, "data": {"drawn_weight": 0}})
    with pytest.raises(ConfigError, match="nothing to train on"):
        Trainer(recipe, tmp_path, CPU, resume=False).run()


def test_loss_that_is_no_number_stops_and_writes_nothing(tmp_path, monkeypatch):
    recipe = from_mapping({**RECIPE, "stages": [{**STAGES[1], "steps": 2}]})
    trainer = Trainer(recipe, tmp_path, CPU, resume=False)
    trainer.model.audio.bn1.weight.data.fill_(float("inf"))
    with pytest.raises(DataError, match=r"step 0: loss is nan.*last checkpoint stands"):
        trainer.run()
    assert not (tmp_path / "model.pt").exists()


def test_full_disk_leaves_the_last_checkpoint(whole, tmp_path):
    """A file may not grow beyond 1 MB, as on a disk that is full at that point."""
    recipe = {**RECIPE, "samples": 0, "stages": [*STAGES, {**STAGES[1], "name": "more", "steps": 1, "average": 0.0}]}
    for name in ("model.pt", "metrics.jsonl"):
        (tmp_path / name).write_bytes((whole / name).read_bytes())
    before = (tmp_path / "model.pt").stat()
    trainer = Trainer(from_mapping(recipe), tmp_path, CPU, resume=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"cannot write .*model\.pt"):
            trainer.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "model.pt").stat().st_mtime_ns == before.st_mtime_ns
    assert load(tmp_path / "model.pt").state["stage"] == 2
    assert not list(tmp_path.glob(".*tmp"))
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match=r"cannot write metrics\.jsonl .*No space left.*--resume"):
        Trainer(from_mapping(recipe), tmp_path, CPU, resume=True).run()


def test_schedule_rises_then_falls():
    values = [schedule(step, 100, 10) for step in range(100)]
    assert values[9] == 1.0
    assert values[0] == pytest.approx(0.1)
    assert values[-1] < 0.02
    assert values[10:] == sorted(values[10:], reverse=True)


def gradients(model, stage):
    from lvs_train.config import Augment, Recipe, Stage
    from lvs_train.data.pairs import DrawnPairs, Mixture
    from lvs_train.distributed import World
    from lvs_train.optim import make_optimiser
    from lvs_train.stages import Inputs, TriMapObjective
    from lvs_train.step import Stepper

    recipe, world = Recipe(image={"size_px": 32}), World()
    audio, image = load_specs()
    inputs = Inputs(audio, image, CPU)
    stage = Stage(name="a", steps=2, seconds=(0.1, 0.1), **stage)
    objective = TriMapObjective(recipe.loss, Augment(spectrogram="none"), inputs, model)
    stepper = Stepper(model, objective, make_optimiser(model, stage, objective), recipe, stage, CPU, world)
    batch = Mixture([(DrawnPairs(image, audio), 1.0)], 4, 0, audio, (0.1, 0.1)).batch(0)
    stepper(0, [batch] * stage.accumulate)
    return {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None}


def load_specs():
    from lvs_runtime.spec import AudioSpec, ImageSpec

    return AudioSpec(), ImageSpec(size_px=32)


def test_cached_embeddings_and_accumulation_have_the_whole_batch_s_gradient():
    """With BatchNorm by running statistics, chunks see what the batch sees; the same batch twice has its gradient."""
    torch.manual_seed(0)
    start = DualResNet().state_dict()
    found = []
    for extra in ({}, {"chunk_size": 3}, {"accumulate": 2}):
        model = DualResNet()
        model.load_state_dict(start)
        found.append(gradients(model, {"freeze_batchnorm": True, "freeze_image": 1, **extra}))
    assert "image.conv1.weight" not in found[0]
    assert "image.layer2.0.conv1.weight" in found[0]
    for other in found[1:]:
        for key, value in found[0].items():
            torch.testing.assert_close(other[key], value, rtol=1e-3, atol=1e-6)


def test_first_pass_over_chunks_leaves_statistics_alone():
    from lvs_train.step import _statistics_kept

    model = DualResNet().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad(), _statistics_kept(model):
        model.embed_image(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.image.bn1.momentum == 0.1
