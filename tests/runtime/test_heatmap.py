"""Cells to pixels: bit-equal to OpenCV, peak equal to the heat map's own arg-max, boxes around the right cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_runtime.errors import ConfigError
from lvs_runtime.heatmap import CELL_SHIFT, MAX_BOXES, argmax_px, boxes_px, heatmap, mask, peak_px, resize_bilinear

SIZES = [(224, 224), (640, 360), (333, 217), (1920, 1080), (5, 9), (1, 1), (14, 14), (8000, 6), (7, 7), (17, 500)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cells", [(14, 14), (7, 14), (28, 28)])
def test_resize_is_bit_equal_to_opencv(cells, size):
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(cells[0] * 10_000 + size[0])
    for scale in (1.0, 1e-3, -40.0):
        m = (rng.random(cells) * scale).astype(np.float32)
        np.testing.assert_array_equal(resize_bilinear(m, size), cv2.resize(m, size, interpolation=cv2.INTER_LINEAR))


def test_minmax_spans_0_to_1_and_a_constant_map_becomes_0():
    m = np.linspace(0.2, 0.9, 196, dtype=np.float32).reshape(14, 14)
    heat = heatmap(m, (64, 48), "minmax")
    assert heat.shape == (48, 64)
    assert (heat.min(), heat.max()) == (0.0, 1.0)
    assert not heatmap(np.full((14, 14), 0.7), (64, 48), "minmax").any()


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_argmax_is_the_largest_pixel_of_the_stretched_map(width, height, seed):
    m = np.random.default_rng(seed).random((14, 14)).astype(np.float32)
    x, y = argmax_px(m, (width, height))
    heat = resize_bilinear(m, (width, height))
    # Across a stretch the sum of two rounded lerps may exceed its ends by one unit in the last place, never more.
    assert heat[y, x] >= heat.max() - np.spacing(heat.max())


def test_peak_of_a_constant_map_is_where_the_first_cell_looks():
    assert peak_px(np.ones((14, 14)), (640, 360)) == (1, 0)
    assert argmax_px(np.ones((14, 14)), (640, 360)) == (0, 0)


@pytest.mark.parametrize("size", [(640, 360), (1, 1), (8000, 6000), (13, 200)])
@pytest.mark.parametrize(("row", "col"), [(0, 0), (13, 13), (3, 9)])
def test_peak_lies_in_the_strongest_cell(size, row, col):
    m = np.zeros((14, 14), np.float32)
    m[row, col] = 1
    x, y = peak_px(m, size)
    cell_w, cell_h = size[0] / 14, size[1] / 14
    assert abs((x + 0.5) - (col + 0.5 - CELL_SHIFT) * cell_w) <= 1.0
    assert abs((y + 0.5) - (row + 0.5 - CELL_SHIFT) * cell_h) <= 1.0


def test_cells_stand_where_the_trunk_looks():
    """An impulse in the input moves the trunk's centre of response by 16 px a cell, starting at pixel 0."""
    torch = pytest.importorskip("torch")
    from lvs_train.model import Trunk

    trunk = Trunk(3).double().eval()
    for module in trunk.modules():  # all weights alike: the response is then centred on what a cell looks at
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    picture = torch.zeros(1, 3, 224, 224, dtype=torch.double, requires_grad=True)
    trunk(picture + 1)[0, :, 7, 6].sum().backward()
    weight = picture.grad[0].sum(0)
    centre_x = (weight.sum(0) * torch.arange(224)).sum() / weight.sum()
    centre_y = (weight.sum(1) * torch.arange(224)).sum() / weight.sum()
    assert centre_x == pytest.approx(16 * 6, abs=2.5)  # the pooling takes the first of equals: 2 pixels early
    assert centre_y == pytest.approx(16 * 7, abs=2.5)
    m = np.zeros((14, 14), np.float32)
    m[7, 6] = 1
    assert peak_px(m, (224, 224)) == (96, 112)
    assert np.unravel_index(heatmap(m, (224, 224)).argmax(), (224, 224)) == (112, 96)


@pytest.mark.parametrize(("neighbours", "offset"), [((0.5, 0.5), 0.0), ((0.2, 0.8), 0.3), ((0.9, 0.3), -3 / 8)])
def test_peak_is_refined_within_the_cell(neighbours, offset):
    m = np.zeros((14, 14), np.float32)
    m[5, 4], m[5, 5], m[5, 6] = neighbours[0], 1.0, neighbours[1]
    x, y = peak_px(m, (22400, 224))
    assert x == pytest.approx((5 + offset) * 1600 + 50, abs=1)
    assert y == 80


def test_boxes_surround_components_strongest_first():
    m = np.zeros((14, 14), np.float32)
    m[1, 2] = m[2, 3] = 0.7  # touch at a corner: one component
    m[10:12, 8:11] = 0.9
    m[5, 13] = 0.59
    assert boxes_px(m, (1400, 1400), 0.6) == ((753, 953, 1054, 1154), (153, 53, 354, 254))
    assert boxes_px(m, (1400, 1400), 0.95) == ()
    assert boxes_px(np.ones((14, 14)), (640, 360), 0.6) == ((0, 0, 640, 360),)


def test_at_most_eight_boxes():
    m = np.zeros((14, 14), np.float32)
    m[::2, ::2] = np.linspace(0.6, 0.9, 49, dtype=np.float32).reshape(7, 7)
    boxes = boxes_px(m, (140, 140), 0.6)
    assert len(boxes) == MAX_BOXES
    assert boxes[0] == (115, 115, 126, 126)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_boxes_are_never_empty_and_stay_inside(width, height, seed):
    m = np.random.default_rng(seed).random((14, 14)).astype(np.float32)
    for x0, y0, x1, y1 in boxes_px(m, (width, height), 0.9):
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height


def _looks_at(span, pixels=140, cells=14):
    low = 0 if span.start == 0 else int(np.floor((span.start - CELL_SHIFT) * pixels / cells))
    high = pixels if span.stop == cells else int(np.ceil((span.stop - CELL_SHIFT) * pixels / cells))
    return low, high


def test_components_equal_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(3)
    for _ in range(50):
        m = rng.random((14, 14)).astype(np.float32)
        m[m < 0.7] = 0
        labels, _ = ndimage.label(m >= 0.7, structure=np.ones((3, 3)))
        spans = [_looks_at(c) + _looks_at(r) for r, c in ndimage.find_objects(labels)]
        expected = sorted((-m[labels == k + 1].max(), x0, y0, x1, y1) for k, (x0, x1, y0, y1) in enumerate(spans))
        assert boxes_px(m, (140, 140), 0.7) == tuple(tuple(box[1:]) for box in expected[:MAX_BOXES])


def test_mask():
    m = np.zeros((14, 14), np.float32)
    m[:, 7:] = 1
    marked = mask(m, (140, 70), 0.5)
    assert marked.dtype == np.bool_
    assert marked.shape == (70, 140)
    edge = 65  # cells 6 and 7 look at input pixels 96 and 112: halfway is 104.5 of 224
    assert not marked[:, :edge].any()
    assert marked[:, edge + 1 :].all()


def test_refuses():
    with pytest.raises(ConfigError, match=r"shape \(3,\)"):
        resize_bilinear(np.ones(3), (4, 4))
    with pytest.raises(ConfigError, match="at least 1 pixel"):
        resize_bilinear(np.ones((14, 14)), (0, 4))
    with pytest.raises(ConfigError, match="'jet' is unknown; possible: raw, minmax"):
        heatmap(np.ones((14, 14)), (4, 4), "jet")
