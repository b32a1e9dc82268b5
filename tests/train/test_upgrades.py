"""Upgrades one by one: what each does to pictures, sounds and weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError
from lvs_train.config import from_mapping, override
from lvs_train.data.augment import appearance, squash_crop
from lvs_train.upgrades import SlowCopy, Twin, draw_twin, drop_channels, equivariance_loss, mix_sounds

STAGE = {"name": "a", "steps": 1}


def test_twin_of_an_unturned_picture_is_the_picture():
    still = Twin(torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), 1.0)
    picture = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(still.warp(picture), picture)
    mirror = Twin(torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]), 1.0)
    torch.testing.assert_close(mirror.warp(picture), picture.flip(3))
    assert equivariance_loss(picture[:, 0], picture[:, 0].flip(2), mirror).item() == pytest.approx(0, abs=1e-10)
    assert equivariance_loss(picture[:, 0], picture[:, 0], mirror).item() > 0.01


def test_borders_of_a_turned_map_do_not_count():
    twin = draw_twin(np.random.default_rng(3), 5)
    inside = twin.inside((14, 14), torch.device("cpu"))
    assert inside.shape == (5, round(14 * twin.scale), round(14 * twin.scale))
    assert 0.3 < inside.float().mean() < 1
    whole = torch.ones(5, 14, 14)
    assert equivariance_loss(whole, twin.warp(whole[:, None])[:, 0].round(), twin).item() == pytest.approx(0, abs=1e-6)


def test_twins_are_drawn_from_the_generator_alone():
    first, again = (draw_twin(np.random.default_rng(5), 3) for _ in range(2))
    assert torch.equal(first.matrices, again.matrices)
    assert {draw_twin(np.random.default_rng(i), 1).scale for i in range(20)} == {0.5, 1.0}


def test_mixing_takes_the_likest_other_sound():
    waveforms = torch.eye(4, 8)
    spectra = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 0, 1], [0, 0.1, 0.9]])
    mixed = mix_sounds(waveforms, spectra, 0.999, np.random.default_rng(0))
    assert all(mixed[i, j] > 0 for i, j in ((0, 1), (1, 0), (2, 3), (3, 2)))
    assert mixed[0, 2] == 0
    assert (mixed.diagonal() >= 0.5).all()
    assert torch.equal(mix_sounds(waveforms, spectra, 0.0, np.random.default_rng(0)), waveforms)
    assert mix_sounds(waveforms[:1], spectra[:1], 0.9, np.random.default_rng(0)).shape == (1, 8)


def test_dropout_takes_whole_channels():
    cells = torch.ones(2, 50, 3, 3)
    dropped = drop_channels(cells, 0.5, np.random.default_rng(0))
    kept = dropped.mean((2, 3))
    assert set(kept.unique().tolist()) == {0.0, 1.0}
    assert 0.2 < kept.mean() < 0.8
    assert drop_channels(cells, 0.0, np.random.default_rng(0)) is cells


def test_slow_copy_follows_weights_and_statistics():
    model = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    slow = SlowCopy(model, 0.75)
    with torch.no_grad():
        before = model[0].weight.item()
        model[0].weight.add_(1.0)
        model[1].running_mean.add_(2.0)
    slow.follow(model)
    assert slow.model[0].weight.item() == pytest.approx(before + 0.25)
    assert slow.model[1].running_mean.item() == pytest.approx(0.5)
    assert not any(p.requires_grad for p in slow.parameters())


def test_pictures_of_the_paper_and_of_ssl_tie():
    picture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    for change in (lambda rng: squash_crop(rng, picture, 224), lambda rng: appearance(rng, picture)):
        first, again, other = (change(np.random.default_rng(i)) for i in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
    assert squash_crop(np.random.default_rng(0), picture, 224).shape == (224, 224, 3)
    assert appearance(np.random.default_rng(0), picture).shape == picture.shape


def test_looks_change_pictures_and_nothing_else():
    from lvs_runtime.spec import AudioSpec, ImageSpec
    from lvs_train.data.pairs import DrawnPairs, Mixture

    sources = [(DrawnPairs(ImageSpec(size_px=64), AudioSpec()), 1.0)]
    plain, looks = (Mixture(sources, 2, 0, AudioSpec(), (0.1, 0.1), looks=on).batch(3) for on in (False, True))
    assert np.array_equal(plain.waveforms, looks.waveforms)
    assert plain.labels == looks.labels
    assert not np.array_equal(plain.images, looks.images)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"augment": {"equivariance": 1.0}}, "geometric = true"),
        ({"augment": {"geometric": True}, "loss": {"objective": "dmc"}}, "work on objective 'trimap'"),
        ({"augment": {"visual_dropout": 1.0}}, "want 0 to below 1"),
        ({"augment": {"apearance": True}}, "did you mean 'appearance'"),
    ],
)
def test_switches_that_do_not_go_together(values, words):
    with pytest.raises(ConfigError, match=words):
        from_mapping({**values, "stages": [STAGE]})


def test_settings_on_the_command_line():
    values = override({"stages": [dict(STAGE)]}, ['data.clips=["x"]', "stages.0.steps=5", "loss.objective=maxmil"])
    recipe = from_mapping(values)
    assert (recipe.data.clips, recipe.stages[0].steps, recipe.loss.objective) == (["x"], 5, "maxmil")
    for bad in ("seed", "stages.7.steps=1", "=3"):
        with pytest.raises(ConfigError, match="want key=value"):
            override({"stages": [dict(STAGE)]}, [bad])
