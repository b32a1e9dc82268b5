"""The rivals' heads and losses: shapes, unit maps, finite gradients, masks, and that they come back from a file."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import CheckpointError, ConfigError
from lvs_train.checkpoint import Checkpoint, load, save
from lvs_train.distributed import World
from lvs_train.model import DualResNet
from lvs_train.rivals import OBJECTIVES, Pairs, make_heads
from lvs_train.rivals.dmc import centres

OPTIONS = {"coarse2fine": {"classes": ["a", "b", "c"]}}
RIVALS = [name for name in OBJECTIVES if name != "trimap"]


def pairs(labels=("a", "b", "c", "a")):
    names = np.array(labels)
    same = torch.from_numpy(names[:, None] == names[None])
    return Pairs(torch.arange(len(labels)), same, list(labels), np.random.default_rng(0), World())


def features(number=4):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(number, 512, 3, 3, generator=generator, requires_grad=True)
    return image, torch.rand(number, 512, 5, 2, generator=generator, requires_grad=True)


@pytest.mark.parametrize("name", RIVALS)
def test_loss_and_maps(name):
    torch.manual_seed(0)
    heads, (image, audio) = make_heads(name, **OPTIONS.get(name, {})), features()
    loss, figures = heads.loss(image, audio, pairs())
    loss.backward()
    assert torch.isfinite(loss)
    assert 0 <= figures["hit"] <= 1
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0
    assert torch.isfinite(audio.grad).all()
    assert audio.grad.abs().sum() > 0
    cells, sounds = heads.image(image), heads.audio(audio)
    torch.testing.assert_close(cells.square().sum(1), torch.ones(4, 3, 3))
    torch.testing.assert_close(sounds.square().sum(1), torch.ones(4))
    assert cells.shape[1] == sounds.shape[1]


@pytest.mark.parametrize("name", RIVALS)
def test_a_loss_can_be_learnt_from(name):
    """Thirty steps on four fixed pairs: the loss falls."""
    torch.manual_seed(0)
    heads = make_heads(name, **OPTIONS.get(name, {}))
    image, audio = (x.detach() for x in features(3))
    optimiser = torch.optim.Adam(heads.parameters(), lr=1e-3)
    values = []
    for _ in range(30):
        loss, _ = heads.loss(image, audio, pairs(("a", "b", "c")))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert np.mean(values[-5:]) < 0.9 * np.mean(values[:5])


@pytest.mark.parametrize("name", RIVALS)
def test_batches_without_a_negative_stay_finite(name):
    heads, (image, audio) = make_heads(name, **OPTIONS.get(name, {})), features(2)
    loss, _ = heads.loss(image, audio, pairs(("a", "a")))
    loss.backward()
    assert torch.isfinite(loss)


def test_negatives_are_of_another_class():
    rows, columns = pairs(("a", "b", "a", "a")).negatives()
    assert rows.tolist() == [0, 1, 2, 3]
    assert columns[[0, 2, 3]].tolist() == [1, 1, 1]
    assert columns[1].item() in (0, 2, 3)


def test_routing_finds_clusters_of_votes():
    votes = torch.zeros(1, 6, 2, 4)
    votes[0, :, 0, 0] = 1.0
    votes[0, :, 1, 2] = 1.0
    centre = centres(votes)
    assert centre[0, 0, 0] == pytest.approx(1)
    assert centre[0, 1, 2] == pytest.approx(1)


def test_heads_come_back_from_a_file(tmp_path):
    torch.manual_seed(0)
    model = DualResNet(make_heads("coarse2fine", classes=["x", "y"])).eval()
    save(tmp_path / "m.safetensors", Checkpoint(model))
    again = load(tmp_path / "m.safetensors").model.eval()
    assert again.heads.options() == {"classes": ["x", "y"]}
    cells = torch.rand(1, 512, 2, 2)
    assert torch.equal(again.heads.audio(cells), model.heads.audio(cells))


def test_unknown_objective_and_missing_classes(tmp_path):
    with pytest.raises(ConfigError, match="possible: trimap, attention"):
        make_heads("none")
    with pytest.raises(ConfigError, match="needs class names"):
        make_heads("coarse2fine", classes=["one"])
    model = DualResNet()
    model.heads.objective = "of tomorrow"
    save(tmp_path / "m.safetensors", Checkpoint(model))
    with pytest.raises(CheckpointError, match="pip install -U lvs"):
        load(tmp_path / "m.safetensors")


def test_rivals_are_not_exported(tmp_path):
    pytest.importorskip("onnxscript", reason="pip install lvs[export]")
    from lvs_export.export import export_bundle

    with pytest.raises(ConfigError, match="'maxmil' has layers behind its trunks"):
        export_bundle(Checkpoint(DualResNet(make_heads("maxmil"))), tmp_path / "bundle")
