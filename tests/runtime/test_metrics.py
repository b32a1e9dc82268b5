"""Metrics against golden values made by an independent program, and against the released arithmetic written out."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.metrics import (
    auc,
    boxes_to_target,
    centre_disc,
    ciou,
    ciou_of_mask,
    ciou_success,
    median_mask,
    peak_in_box,
)


def released_mask(cells: np.ndarray) -> np.ndarray:
    """The evaluator's lines as published, OpenCV and all."""
    cv2 = pytest.importorskip("cv2")
    heat = cv2.resize(cells, dsize=(224, 224), interpolation=cv2.INTER_LINEAR)
    v = -heat
    if v.max() != v.min():
        v = (v - v.min()) / (v.max() - v.min())
    pred = 1 - v
    threshold = np.sort(pred.flatten())[int(pred.shape[0] * pred.shape[1] / 2)]
    pred[pred > threshold] = 1
    pred[pred < 1] = 0
    return pred >= 0.5


def test_ciou_toy():
    target = np.zeros((4, 4))
    target[:2, :2] = 1
    target[2, :2] = 0.5
    mask = np.zeros((4, 4), bool)
    mask[:3, 0] = mask[0, 3] = True
    assert ciou_of_mask(mask, target) == pytest.approx(2.5 / 6, abs=1e-12)


def test_masks_equal_the_released_lines():
    rng = np.random.default_rng(0)
    maps = [rng.random((14, 14)).astype(np.float32) for _ in range(40)]
    maps += [np.round(m, 1) for m in maps[:20]]  # ties
    for cells in maps:
        np.testing.assert_array_equal(median_mask(cells), released_mask(cells))


def test_centre_disc():
    disc = centre_disc()
    assert disc.dtype == np.float32
    assert disc[0, 0] == np.float32(-np.hypot(6.5, 6.5))
    mask = median_mask(disc)
    assert mask.sum() == 25_084
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])
    assert median_mask(-np.square(disc)).sum() == 25_020


def test_constant_and_saturated_maps():
    assert median_mask(np.full((14, 14), 0.3)).all()
    assert median_mask(np.zeros((14, 14))).all()
    assert not median_mask(np.full((14, 14), -0.3)).any()
    ramp = np.arange(14, dtype=np.float32)[:, None].repeat(14, 1)
    assert median_mask(ramp).sum() == 24_864  # rows tie, so fewer than half


def test_ciou_of_the_disc():
    everything = np.ones((224, 224), np.float32)
    assert ciou(centre_disc(), everything) == pytest.approx(25_084 / 50_176)
    assert ciou(centre_disc(), median_mask(centre_disc()).astype(float)) == 1.0
    assert ciou(centre_disc(), np.zeros((224, 224))) == 0.0
    assert np.isnan(ciou(np.full((14, 14), -1.0), np.zeros((224, 224)), "lvs"))


def test_constant_and_nan_maps_raise_but_under_the_released_protocol():
    target = np.zeros((224, 224))
    target[:112] = 1
    nan = centre_disc()
    nan[3, 3] = np.nan
    assert ciou(np.full((14, 14), 0.3), target, "lvs") == 0.5  # the whole picture
    assert ciou(np.full((14, 14), -0.3), target, "lvs") == 0
    assert ciou(nan, target, "lvs") == 0  # silently
    for protocol in (None, "ez_vsl", "slavc"):
        with pytest.raises(ConfigError, match=r"0\.3 everywhere"):
            ciou(np.full((14, 14), 0.3), target, protocol)
        with pytest.raises(ConfigError, match="1 cells that are NaN"):
            ciou(nan, target, protocol)


def test_range_and_size_of_the_map_do_not_matter():
    cells = np.random.default_rng(3).random((14, 14)).astype(np.float32)
    target = boxes_to_target([(0.1, 0.3, 0.7, 0.8)])
    large = cv2_resize(cells)
    assert ciou(cells, target) == ciou(large, target)
    assert ciou(cells * 64 - 17, target) == pytest.approx(ciou(cells, target), abs=1e-4)


def cv2_resize(cells):
    cv2 = pytest.importorskip("cv2")
    return cv2.resize(cells, (224, 224), interpolation=cv2.INTER_LINEAR)


def test_success_and_auc():
    cious = [0.8, 0.5, 0.15, 0.0]
    assert ciou_success(cious) == 0.5
    assert auc(cious) == pytest.approx(0.375, abs=1e-12)  # 0.15 fails the third threshold, 0.15000000000000002
    assert auc([0.0] * 7) == pytest.approx(0.025, abs=1e-12)
    assert auc([0.5] * 7) == pytest.approx(0.525, abs=1e-12)
    assert ciou_success([np.nan, 1.0]) == 0.5


def test_peak_in_box():
    cells = np.zeros((14, 14), np.float32)
    cells[3, 10] = 1
    target = np.zeros((224, 224))
    target[48:64, 160:176] = 0.5
    assert peak_in_box(cells, target)
    assert not peak_in_box(cells.T, target)
    assert peak_in_box(cells, np.ones((360, 640)))


def test_boxes_truncate_and_survive_the_published_overflow():
    target = boxes_to_target([(0.1, 0.2, 0.5, 0.999)])
    assert target[44:223, 22:112].all()
    assert target.sum() == (223 - 44) * (112 - 22)
    assert boxes_to_target([(-2.88e16, 0.1, -2.88e16, 0.5)]).sum() == 0
    assert boxes_to_target([(0, 0, 0.5, 1), (0.25, 0, 1, 1)]).sum() == 224 * 224
    with pytest.raises(ConfigError, match="divide pixels"):
        boxes_to_target([(10, 20, 200, 210)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ciou(np.full((14, 14), np.nan), np.ones((224, 224))), "196 cells that are NaN"),
        (lambda: ciou(np.ones((1, 14, 14)), np.ones((224, 224))), r"shape \(1, 14, 14\)"),
        (lambda: ciou(centre_disc(), np.ones((14, 14))), r"want \(224, 224\)"),
        (lambda: ciou(centre_disc(), np.full((224, 224), 255)), "divide 8 bits by 255"),
        (lambda: ciou(centre_disc(), np.ones((224, 224)), protocol="best"), "possible: lvs, ssl_tie"),
        (lambda: ciou_of_mask(np.ones((4, 4)), np.ones((4, 4))), "want bool"),
        (lambda: auc([]), "at least one"),
        (lambda: ciou_success([33.9, 40.0]), "not percent"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
