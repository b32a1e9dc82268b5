"""What a checkpoint file may be, and what every other file gets."""

import pickle

import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import CheckpointError
from lvs_train.checkpoint import Checkpoint, load, load_upstream, save
from lvs_train.model import DualResNet


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return DualResNet()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_round_trip(tmp_path, model, suffix):
    path = tmp_path / f"model{suffix}"
    save(path, Checkpoint(model, thresholds={"box_similarity": 0.31}, meta={"note": "ä"}, state={"step": 3}))
    again = load(path)
    assert again.thresholds == {"box_similarity": 0.31}
    assert again.meta == {"note": "ä"}
    assert again.state == ({"step": 3} if suffix == ".pt" else {})
    for key, value in model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], value)
    assert list(tmp_path.iterdir()) == [path]


def test_half_precision_halves_the_file_and_keeps_the_statistics(tmp_path, model):
    save(tmp_path / "full.safetensors", Checkpoint(model))
    save(tmp_path / "half.safetensors", Checkpoint(model), half=True)
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.51 * full
    again, before = load(tmp_path / "half.safetensors").model.state_dict(), model.state_dict()
    assert torch.equal(again["audio.bn1.running_var"], before["audio.bn1.running_var"])
    torch.testing.assert_close(again["image.conv1.weight"], before["image.conv1.weight"], rtol=1e-3, atol=1e-6)
    assert again["image.conv1.weight"].dtype == torch.float32


def test_pt_loads_with_weights_only(tmp_path, model):
    save(tmp_path / "m.pt", Checkpoint(model))
    assert set(torch.load(tmp_path / "m.pt", weights_only=True)) == {"lvs", "model", "state"}


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/lvs-pwned",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "HTML"),
        (bytes(range(256)) * 40, "refused|cannot be read"),
        (pickle.dumps({"model": 1}), "expected|another|no weights|refused|cannot|holds"),
        (pickle.dumps(Evil()), "refused"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_code_in_a_zip_checkpoint_is_named_and_not_run(tmp_path):
    torch.save({"lvs": "{}", "model": Evil()}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"(posix|os)\.system"):
        load(tmp_path / "model.pt")


def test_truncated(tmp_path, model):
    save(tmp_path / "model.pt", Checkpoint(model))
    data = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load(tmp_path / "model.pt")


def test_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(CheckpointError, match="lvs-train --config"):
        load(tmp_path / "none.pt")


def test_nan_and_other_architecture(tmp_path, model):
    state = {k: v.clone() for k, v in model.state_dict().items()}
    state["audio.layer3.0.conv1.weight"][0, 0] = float("nan")
    torch.save(
        {"lvs": __import__("json").dumps(Checkpoint(model).spec()), "model": state, "state": {}}, tmp_path / "a.pt"
    )
    with pytest.raises(CheckpointError, match=r"audio\.layer3\.0\.conv1\.weight holds 9 NaN"):
        load(tmp_path / "a.pt")
    del state["image.conv1.weight"]
    torch.save(
        {"lvs": __import__("json").dumps(Checkpoint(model).spec()), "model": state, "state": {}}, tmp_path / "b.pt"
    )
    with pytest.raises(CheckpointError, match=r"missing \['image\.conv1\.weight'\]"):
        load(tmp_path / "b.pt")


def official(model):
    weights = {}
    for key, value in model.state_dict().items():
        part, rest = key.split(".", 1)
        name = {"image": "imgnet", "audio": "audnet"}[part]
        stem = "conv1_a." if part == "audio" and rest.startswith("conv1.") else ""
        weights[f"module.{name}.{stem + rest[6:] if stem else rest}"] = value
    weights["module.imgnet.conv1_flow.weight"] = torch.zeros(64, 6, 7, 7)
    weights["module.audnet.fc.weight"] = torch.zeros(1000, 512)
    return weights


@pytest.mark.parametrize("zipped", [True, False])
def test_official_format(tmp_path, model, zipped):
    path = tmp_path / "lvs.pth.tar"
    torch.save({"model_state_dict": official(model), "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
    assert load(path).audio.seconds == 10.0
    upstream = load_upstream(path)
    assert torch.equal(upstream.audio.conv1.weight, model.audio.conv1.weight)
    assert not upstream.training
    with torch.inference_mode():
        images, sounds = torch.randn(2, 3, 64, 64), torch.randn(3, 1, 257, 60)
        cross = upstream.cross(images, sounds)
        assert cross.shape == (2, 3, 4, 4)
        torch.testing.assert_close(upstream(images, sounds[:2]), torch.stack([cross[0, 0], cross[1, 1]]))


def test_relatives_and_own_checkpoints_are_no_upstream_ones(tmp_path, model):
    torch.save({"model": {**official(model), "module.img_proj.weight": torch.zeros(1)}}, tmp_path / "ez.pth")
    with pytest.raises(CheckpointError, match="EZ-VSL"):
        load_upstream(tmp_path / "ez.pth")
    save(tmp_path / "own.pt", Checkpoint(model))
    with pytest.raises(CheckpointError, match=r"checkpoint\.load"):
        load_upstream(tmp_path / "own.pt")


def test_unwritable_folder_keeps_the_old_file(tmp_path, model):
    target = tmp_path / "file"
    target.write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot write"):
        save(target / "model.pt", Checkpoint(model))
    assert target.read_text() == "not a folder"
