"""Each shipped recipe says what it is, and runs for two steps on a small stand-in of the layout that it reads."""

import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")
cv2 = pytest.importorskip("cv2", reason="pip install lvs[train]")
soundfile = pytest.importorskip("soundfile", reason="pip install lvs[train]")

import msgspec

from lvs_train.checkpoint import Checkpoint, load, save
from lvs_train.config import load_recipe
from lvs_train.loop import Trainer
from lvs_train.model import DualResNet

RECIPES = sorted((Path(__file__).parents[2] / "lvs_train" / "recipes").glob("*.toml"))
HEADS = ("Hardware: ", "Hours: ", "Expected score: ", "Not to be concluded: ")
PAPER = ("flickr10k", "flickr144k", "vggsound10k", "vggsound144k", "vggsound_full")


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    root = tmp_path_factory.mktemp("stand-in")
    for kind in ("clips/frames", "clips/audio"):
        (root / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"abcdefghij{i}_0000{i}0" for i in range(8)]
    for i, name in enumerate(names):
        cv2.imwrite(str(root / "clips" / "frames" / f"{name}.jpg"), rng.integers(0, 255, (60, 80, 3), np.uint8))
        soundfile.write(root / "clips" / "audio" / f"{name}.wav", 0.2 * np.sin(np.arange(8000) * (i + 1) / 9), 16000)
    (root / "train.txt").write_text("\n".join(names) + "\n")
    (root / "test.csv").write_text("zbcdefghijk_000001,0\n")
    return root


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_headers(path):
    head = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    assert re.search(r"^#\s{3,}(lvs-train|torchrun) ", head, re.M)
    if path.stem not in ("default", "drawn", "clips"):
        assert all(f"# {word}" in head for word in HEADS)
    assert path.stem not in PAPER or "not run at full scale" in " ".join(head.replace("#", "").split())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", [p for p in RECIPES if p.stem != "default"], ids=lambda p: p.stem)
def test_runs_two_steps(path, stand_in, tmp_path):
    recipe = load_recipe(path)
    lists = {
        "clip_list": str(stand_in / "train.txt") if recipe.data.clip_list else "",
        "cache": str(tmp_path / "cache"),
    }
    tests = {name: str(stand_in / "test.csv") for name in recipe.data.tests}
    clips = [str(stand_in / "clips")] if recipe.data.clips else []
    data = msgspec.structs.replace(recipe.data, clips=clips, tests=tests, **lists)
    stages = [
        msgspec.structs.replace(s, steps=2, batch_size=4, chunk_size=min(s.chunk_size, 3), seconds=(0.5, 0.5))
        for s in recipe.stages
    ]
    start = ""
    if recipe.init.checkpoint:
        start = str(tmp_path / "start.safetensors")
        save(start, Checkpoint(DualResNet()))
    init = msgspec.structs.replace(recipe.init, torchvision=False, checkpoint=start)
    small = msgspec.structs.replace(
        recipe, data=data, stages=stages, init=init, image={"size_px": 64}, workers=1, samples=0, save_every_s=1e9
    )
    checkpoint = load(Trainer(small, tmp_path / "run", torch.device("cpu"), False).run())
    assert checkpoint.meta["recipe"]["loss"]["objective"] == "trimap"
    if tests:
        assert checkpoint.meta["leaks"]["shared_clips"] == {"vggss": 0, "flickr": 0}
