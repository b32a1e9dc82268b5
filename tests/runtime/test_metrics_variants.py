"""The field's other numbers: golden toys, the published lines written out again, and the mistakes that are refused."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

from lvs_runtime import metrics as m
from lvs_runtime.errors import ConfigError

VISIBLE, CIOUS, CONF = [1, 1, 1, 0, 0, 1], [0.8, 0.6, 0.2, np.nan, np.nan, 0.9], [0.9, 0.7, 0.8, 0.6, 0.3, 0.5]


@pytest.mark.parametrize("name", ["baselines", "ciou", "detection", "interactive", "targets", "universal"])
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(f"lvs_runtime.metrics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(("protocol", "mode"), [("ez_vsl", "bilinear"), ("slavc", "bicubic")])
def test_masks_equal_the_lines_of_torch(protocol, mode):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    differing = 0
    for side in (7, 14) * 4:
        cells = rng.random((side, side)).astype(np.float32)
        heat = torch.nn.functional.interpolate(
            torch.from_numpy(cells)[None, None], size=(224, 224), mode=mode, align_corners=True
        )[0, 0].numpy()
        pred = (heat - heat.min()) / (heat.max() - heat.min())
        mask = pred >= np.sort(pred.flatten())[25088]
        differing += int((mask != m.protocol_mask(cells, protocol)).sum())
    assert differing <= 2  # of 400,000: rounding at the median


def test_fixed_threshold_of_slavc_is_zero_similarity():
    cells = np.where(np.arange(14)[:, None] < 7, 0.5, -0.5).repeat(14, 1)
    mask = m.protocol_mask(cells, "slavc_fixed")
    assert mask[:100].all()
    assert not mask[124:].any()
    assert not m.protocol_mask(np.full((14, 14), -0.1), "slavc_fixed").any()


def test_adaptive_mask_has_the_targets_size():
    target = m.boxes_to_target([(0.5, 0.5, 0.75, 1.0)])
    corner = np.hypot(*(np.indices((14, 14)) - np.array([10, 8])[:, None, None])) * -1.0
    mask = m.adaptive_mask(corner, target)
    heat = m.median_mask(corner)
    assert abs(int(mask.sum()) - int(target.sum())) < 200  # ties at the threshold are left out
    assert (mask <= heat).all()
    assert m.adaptive_ciou(corner, target) > m.ciou(corner, target)
    # by hand: 12 distinct rows of a ramp, target of 4 of 14 rows
    ramp = np.arange(14.0)[:, None].repeat(14, 1)
    wanted = np.zeros((224, 224))
    wanted[224 - 64 :] = 1
    assert m.adaptive_mask(ramp, wanted).sum() == pytest.approx(63 * 224, abs=224)
    assert m.adaptive_mask(ramp, np.zeros((224, 224))).sum() == m.median_mask(ramp).sum()


def test_half_weights_and_empty_targets():
    target = np.full((224, 224), 0.5)
    target[112:] = 0
    everything = np.ones((224, 224), bool)
    assert m.ciou_of_mask(everything, target) == pytest.approx(0.25 / (0.25 + 0.5))
    assert m.ciou_of_mask(everything, np.zeros((224, 224))) == 0
    assert np.isnan(m.ciou_of_mask(~everything, np.zeros((224, 224))))
    assert m.ciou_success([np.nan, 0.5], strict=True) == 0
    assert m.auc([np.nan, np.nan]) == 0


def test_auc_thresholds_are_products_not_decimals():
    assert m.AUC_THRESHOLDS[3] > 0.15
    assert m.AUC_THRESHOLDS[6] > 0.3
    assert m.AUC_THRESHOLDS[4] == 0.2
    cious = np.random.default_rng(1).random(300)
    success = [float((cious >= 0.05 * i).mean()) for i in range(21)]
    assert m.auc(cious) == pytest.approx(0.05 * (sum(success) - (success[0] + success[-1]) / 2), abs=1e-12)
    assert m.auc_by_clip(cious).mean() == m.auc(cious)


def test_detection_toy():
    assert m.average_precision(VISIBLE, CIOUS, CONF) == pytest.approx(0.42222, abs=1e-5)
    assert m.average_precision(VISIBLE, CIOUS, CONF, theirs=False) == pytest.approx(1 / 3 + 0.42222, abs=1e-5)
    assert m.max_f1(VISIBLE, CIOUS, CONF) == pytest.approx(0.75, abs=1e-12)
    assert m.precision_recall(VISIBLE, CIOUS, CONF, 0.8) == (0.5, pytest.approx(1 / 3))
    assert m.precision_recall(VISIBLE, CIOUS, CONF, 2.0) == (1.0, 0.0)


def test_their_average_precision_cannot_reach_one():
    for half, expected in ((4, 0.5), (5158, 0.9996)):
        conf = np.linspace(1, 0, 2 * half)
        visible = np.arange(2 * half) < half
        assert m.average_precision(visible, np.ones(2 * half), conf) == pytest.approx(expected, abs=5e-3)
        assert m.average_precision(visible, np.ones(2 * half), conf, theirs=False) == pytest.approx(1)
        assert m.max_f1(visible, np.ones(2 * half), conf) == 1


def test_max_f1_of_theirs_looks_at_ten_thresholds():
    rng = np.random.default_rng(0)
    visible, cious, conf = rng.random(200) < 0.5, rng.random(200), rng.random(200)
    ours, theirs = m.max_f1(visible, cious, conf), m.max_f1(visible, cious, conf, theirs=True)
    by_hand = []
    for c in sorted(conf)[::20]:
        p, r = m.precision_recall(visible, cious, conf, c)
        by_hand.append(2 * p * r / (p + r))
    assert theirs == pytest.approx(max(by_hand))
    assert ours >= theirs


def test_recall_is_not_monotone():
    # a mislocalised visible clip leaves the false negatives without joining the true positives
    recalls = [m.precision_recall([1, 1], [0.9, 0.1], [0.9, 0.5], c)[1] for c in (0.8, 0.4)]
    assert recalls == [0.5, 1.0]


def test_confidence_is_the_mean_of_the_top_quarter():
    cells = np.full((14, 14), -1.0)
    assert m.map_confidence(cells) == pytest.approx(0, abs=1e-6)
    assert m.map_confidence(-cells) == pytest.approx(1, abs=1e-6)
    half = np.repeat([1.0, -1.0], 112)[:, None].repeat(224, 1)
    assert m.map_confidence(half) == 1
    assert m.map_confidence(half * 0.5) == 0.75


def test_interactive():
    pictures = [m.picture_of(f"sub/dog_cat_3_{s}.jpg") for s in ("dog", "cat")] * 2
    assert pictures[0] == "dog_cat_3"
    assert m.iiou([0.9, 0.4, 0.8, 0.7], pictures) == 0
    assert m.iiou([0.9, 0.5, 0.9, np.nan], ["a", "a", "b", "b"]) == 0.5
    assert m.iauc([0.8, 0.5, 0.15, 0.0], list("abcd")) == pytest.approx(0.375)
    assert m.iauc([0.8, 0.5, 0.15, 0.0], list("aabb")) == pytest.approx(m.auc([0.5, 0.0]))


def test_universal_threshold_and_what_lights_up():
    cells = np.zeros((224, 224))
    cells[:56] = 0.6
    assert m.pia(cells, 0.5) == 0.25
    assert m.pia(cells, 0.6) == 0  # strictly above
    assert m.aoc([0.25]) == pytest.approx((0.05 * (20 - 5)) + 0.025)
    assert m.aoc([0.0, 1.0]) == pytest.approx((1 + 0.025) / 2)
    maxima = {"silence": [0.1, 0.2, 0.3, 0.4, 0.5], "noise": [0.1, 0.1, 0.2, 0.9, 0.9]}
    assert m.universal_threshold(maxima, "max") == pytest.approx(0.3)
    assert m.universal_threshold(maxima, "max10") == pytest.approx(0.33)
    assert m.universal_threshold(maxima, "maxq3") == pytest.approx(0.9)
    assert m.f_score(0.0, [0.0]) == 0
    assert m.f_score(0.0, [1.0]) == 0
    assert m.f_score(0.5, [0.5, 0.5, 0.5]) == 0.5
    empty = np.zeros((4, 4), bool)
    assert m.map_iou(empty, empty) == 1
    assert m.map_iou(empty, ~empty) == 0


def test_auroc():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 70) / 10, rng.integers(0, 9, 50) / 10
    brute = np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b])
    assert m.auroc(a, b) == pytest.approx(brute, abs=1e-12)
    assert m.auroc(b, a) == pytest.approx(1 - brute, abs=1e-12)


def test_targets():
    annotators = [[(0, 0, 128, 256), (64, 0, 192, 256)], [(0, 0, 64, 256)]]
    ours = m.consensus_target(annotators, frame_px=256)
    theirs = m.consensus_target(annotators, frame_px=256, union_first=False)
    assert ours[0, [10, 80, 150, 200]].tolist() == [1, 0.5, 0.5, 0]
    assert theirs[0, [10, 80, 150, 200]].tolist() == [1, 1, 0.5, 0]  # one annotator agrees with himself
    assert m.boxes_to_target([(29, 29, 57, 58)], frame_px=224).sum() == 28 * 29  # whole pixels stay whole
    assert m.boxes_to_target([(0, 0, 320, 90)], frame_px=(640, 360))[:56, :112].all()
    assert m.boxes_to_target([(0.6, 0.6, 0.5, 0.5)]).sum() == 0  # inverted
    assert [m.size_class(np.full((224, 224), n / 50176)) for n in (0, 1023.9, 1024.1, 9217, 20737)] == [
        "small", "small", "medium", "large", "huge",
    ]  # fmt: skip


def test_intervals_cover_and_clusters_widen_them():
    rng = np.random.default_rng(0)
    values = rng.random((400, 1)) < 0.34
    low, high = m.bootstrap_means(values)
    error = np.sqrt(0.34 * 0.66 / 400)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * error, rel=0.15)
    twice = np.repeat(values, 2, 0)
    names = np.repeat(np.arange(400).astype(str), 2)
    low2, high2 = m.bootstrap_means(twice, clusters=list(names))
    assert high2[0] - low2[0] == pytest.approx(high[0] - low[0], rel=0.15)
    assert m.bootstrap_means(values)[0] == m.bootstrap_means(values)[0]  # seeded


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: m.average_precision([1], [0.5], [0.1, 0.2]), "different length"),
        (lambda: m.average_precision([1, 0], [50.0, 0], [0.1, 0.2]), "not percent"),
        (lambda: m.max_f1([1, 0], [0.5, 0], [np.nan, 0.2]), "1 of 2 are NaN"),
        (lambda: m.auroc([], [0.1]), "at least one"),
        (lambda: m.aoc([10.0]), "shares in"),
        (lambda: m.universal_threshold({"noise": [0.1]}, "median"), "possible: max, max10, maxq3"),
        (lambda: m.universal_threshold({}), "no negatives"),
        (lambda: m.f_score(34.4, [0.1]), "not percent"),
        (lambda: m.map_iou(np.ones(3), np.ones(3, bool)), "want bool"),
        (lambda: m.map_iou(np.ones(3, bool), np.ones(4, bool)), "one size"),
        (lambda: m.iiou([0.1, 0.2], ["a"]), "different length"),
        (lambda: m.bootstrap_means(np.array([[np.nan]])), "all finite"),
        (lambda: m.bootstrap_means(np.ones((3, 1)), clusters=["a"]), "1 clusters for 3"),
        (lambda: m.boxes_to_target([(0, 0, np.nan, 1)]), "divide pixels"),
        (lambda: m.boxes_to_target([(0, 0, 300, 10)], frame_px=256), "within"),
        (lambda: m.protocol_mask(m.centre_disc(), "acl"), "possible: lvs"),
        (lambda: m.validate_map(np.ones((2, 14, 14))), "one clip of the batch"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ConfigError, match=message):
        call()
