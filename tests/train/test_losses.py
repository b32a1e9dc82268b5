"""The loss against the hand-computed toy case (float64 values from an independent evaluation of the formula)."""

import math

import pytest

torch = pytest.importorskip("torch", reason="pip install lvs[train]")

from lvs_runtime.errors import ConfigError
from lvs_train.losses import TriMapConfig, paper_loss, trimap_logits, trimap_loss

TOY = torch.tensor(
    [
        [[[0.80, 0.50], [0.30, 0.10]], [[0.45, 0.20], [0.60, 0.05]]],
        [[[0.35, 0.15], [0.55, 0.25]], [[0.70, 0.66], [0.42, 0.38]]],
    ]
)


def test_toy_logits():
    logits = trimap_logits(TOY)
    expected = torch.tensor(
        [
            [11.3998266704, -math.inf, 8.5544099428, 2.9063907257],
            [9.7645615712, 7.8531715480, -math.inf, 5.6232789072],
        ]
    )
    torch.testing.assert_close(logits, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TriMapConfig(), 0.1041743746),
        (TriMapConfig(hard_negatives=False), 0.0971982408),
        (TriMapConfig(tri_map=False), 0.1153098725),
        (TriMapConfig(directions="audio"), 0.1508649120),
        (TriMapConfig(directions="both"), 0.1275196432),
        (TriMapConfig(form="paper", temperature=1.0), 0.6391437226),
        (TriMapConfig(form="paper"), 0.4980508761),
    ],
)
def test_toy_losses(config, expected):
    assert trimap_loss(TOY, config).item() == pytest.approx(expected, abs=2e-6)


def test_toy_gradient_flows_through_weight_and_value():
    toy = TOY.clone().requires_grad_()
    trimap_loss(toy).backward()
    expected = torch.tensor(
        [
            [[[-3.9112090641e-01, 2.3152303722e-02], [6.4602483066e-04, 6.9134140036e-04]],
             [[-1.2308169104e-02, -9.2102134240e-06], [4.0208308538e-01, -8.7297871227e-08]]],
            [[[-6.7577696801e-03, -1.8736430098e-05], [9.1447389736e-01, -3.8315523943e-04]],
             [[-6.4548623570e-01, -2.7673401868e-01], [1.6446188228e-02, 7.5209728227e-02]]],
        ]
    )  # fmt: skip
    torch.testing.assert_close(toy.grad, expected, rtol=1e-4, atol=2e-6)


def released_form_float64(similarity):
    """The released code's quotients, as written there, in float64 (which never divides by zero here)."""
    s = similarity.double()
    own = s.diagonal().permute(2, 0, 1)
    m_pos, m_neg = torch.sigmoid((own - 0.65) / 0.03), 1 - torch.sigmoid((own - 0.4) / 0.03)
    m_all = torch.sigmoid((s - 0.65) / 0.03)
    pos = (m_pos * own).sum((1, 2)) / m_pos.sum((1, 2))
    hard = (m_neg * own).sum((1, 2)) / m_neg.sum((1, 2))
    easy = (m_all * s).sum((2, 3)) / m_all.sum((2, 3))
    easy = easy * (1 - 100 * torch.eye(len(s), dtype=torch.float64))
    logits = torch.cat([pos[:, None], easy, hard[:, None]], 1) / 0.07
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(s), dtype=torch.long))


def test_equals_released_form_on_random_maps():
    similarity = torch.rand(5, 5, 14, 14, generator=torch.Generator().manual_seed(0)) * 0.7
    assert trimap_loss(similarity).item() == pytest.approx(released_form_float64(similarity).item(), rel=1e-5)


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.3, 0.65, 0.95, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_no_map_gives_nan(value, dtype):
    similarity = torch.full((3, 3, 14, 14), value, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = trimap_loss(similarity)
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert torch.isfinite(similarity.grad).all()


def test_batch_of_one_stays_finite():
    loss = trimap_loss(torch.rand(1, 1, 14, 14))
    assert torch.isfinite(loss)


def test_axis_order_is_image_audio():
    similarity = torch.rand(2, 3, 4, 4)
    assert trimap_logits(similarity, own_index=torch.tensor([1, 2])).shape == (2, 5)
    assert trimap_loss(TOY.transpose(0, 1)).item() == pytest.approx(0.1508649120, abs=2e-6)


def test_same_class_columns_are_no_negatives():
    same = torch.ones(2, 2, dtype=torch.bool)
    logits = trimap_logits(TOY, same_BK=same)
    assert torch.isinf(logits[:, 1:3]).all()
    assert trimap_loss(TOY, same_BK=same) < trimap_loss(TOY)


def test_paper_form_does_not_overflow():
    assert torch.isfinite(paper_loss(torch.ones(200, 200, 2, 2)))


def test_bad_shapes_and_options():
    with pytest.raises(ConfigError, match="expected"):
        trimap_logits(torch.rand(3, 14, 14))
    with pytest.raises(ConfigError, match="must be > 0"):
        TriMapConfig(tau=0)
    with pytest.raises(ConfigError, match="as many images"):
        trimap_loss(torch.rand(3, 2, 4, 4), TriMapConfig(directions="both"), own_index=torch.tensor([0, 1, 1]))
    with pytest.raises(ConfigError, match="no difference of cosines"):
        TriMapConfig(margin=3.0)


def test_extra_sounds_are_columns_of_the_image_anchor_only():
    extra = torch.cat([TOY, torch.full((2, 1, 2, 2), 0.5)], 1)
    by_image, by_audio = (trimap_loss(extra, TriMapConfig(directions=d)).item() for d in ("image", "audio"))
    assert by_image > 0.1041743746
    assert by_audio == pytest.approx(0.1508649120, abs=2e-6)
    assert trimap_loss(extra, TriMapConfig(directions="both")).item() == pytest.approx((by_image + by_audio) / 2)


def test_margin_moves_the_positive_logit_alone():
    plain, lenient = trimap_logits(TOY), trimap_logits(TOY, TriMapConfig(margin=-0.2))
    torch.testing.assert_close(lenient[:, 0], plain[:, 0] + 0.2 / 0.07)
    assert torch.equal(lenient[:, 1:], plain[:, 1:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_model_and_loss_in_half_precision_autocast_have_finite_gradients(dtype):
    from lvs_train.model import DualResNet

    torch.manual_seed(0)
    model = DualResNet()
    images, sounds = torch.zeros(2, 3, 32, 32), torch.full((2, 1, 257, 17), -1.3431746)  # black and silent
    images[1] = torch.randn(3, 32, 32)
    with torch.autocast("cpu", dtype):
        assert model(images, sounds).shape == (2, 2, 2)
        similarity = model.cross(images, torch.cat([sounds, sounds[:1]]))
    assert similarity.shape == (2, 3, 2, 2)
    loss = trimap_loss(similarity)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_dead_cells_have_zero_gradient_not_nan():
    from lvs_train.model import unit

    x = torch.zeros(1, 4, 1, 2)
    x[..., 1] = 0.5
    x.requires_grad_()
    unit(x).square().sum().backward()
    assert torch.isfinite(x.grad).all()
