"""Parity figures on maps whose error is known, and the gate's words."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_export.gate import Precision, judge
from lvs_export.maps import MapErrors, Reference, compare, similarity
from lvs_export.material import Clip
from lvs_runtime.errors import ParityError
from lvs_runtime.heatmap import argmax_px


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)
    images = rng.random((3, 8, 14, 14)).astype(np.float32)
    audios = rng.random((3, 8)).astype(np.float32)
    frame, sound = np.zeros((1, 224, 224, 3), np.uint8), np.zeros((1, 16), np.float32)
    clips = [Clip(f"clip{i}", frame, sound) for i in range(3)]
    x, y = argmax_px(similarity(images, audios)[0], (224, 224))
    box = (x, y, x + 1, y + 1)
    clips[0] = Clip("clip0", frame, sound, box)
    return Reference(tuple(clips), images, audios, similarity(images, audios))


def test_equal_maps(known):
    found = compare(known, known.maps)
    assert (found.worst, found.mean, found.peak_moved, found.clips) == (0, 0, 0, 3)
    assert found.correlation == pytest.approx(1)
    assert (found.peak_in_box, found.peak_in_box_torch, found.clips_with_box) == (1, 1, 1)
    assert found.ciou == found.ciou_torch


def test_a_known_error(known):
    maps = known.maps.copy()
    maps[1, 3, 4] += 0.25
    maps[0, :] = known.maps[0].min()
    maps[0, 0, 0] = known.maps[0].max()
    found = compare(known, maps)
    span = known.maps[0].max() - known.maps[0].min()
    assert found.worst == pytest.approx(float(span), rel=1e-5)
    assert found.worst_clip == "clip0"
    assert found.peak_moved >= 1
    assert (found.peak_in_box, found.peak_in_box_torch) == (0, 1)
    assert found.worst_correlation < 0.5


def test_the_metric_sees_a_map_beside_the_box(known):
    rows, columns = np.mgrid[:14, :14]
    blob = np.exp(-((rows - 4) ** 2 + (columns - 9) ** 2) / 8)[None].astype(np.float32)
    clip = Clip(
        "clip", known.clips[0].image, known.clips[0].waveform, (9 * 16 - 24, 4 * 16 - 24, 9 * 16 + 40, 4 * 16 + 40)
    )
    truth = Reference((clip,), known.images[:1], known.audios[:1], blob)
    moved = compare(truth, np.roll(blob, -7, axis=2))
    assert moved.ciou_torch > 0.7
    assert moved.ciou < 0.1
    assert (moved.peak_in_box, moved.peak_in_box_torch) == (0, 1)


def test_flat_maps_have_no_correlation(known):
    flat = Reference(known.clips, known.images, known.audios, np.full((3, 14, 14), 0.5, np.float32))
    found = compare(flat, flat.maps)
    assert (found.correlation, found.clips_with_contrast) == (None, 0)
    with pytest.raises(ParityError, match="no map of 3 clips has contrast"):
        judge({"image": found}, Precision.INT8)


def test_nan_is_refused(known):
    maps = known.maps.copy()
    maps[2, 0, 0] = np.nan
    with pytest.raises(ParityError, match="NaN or infinity on clip clip2"):
        compare(known, maps)


def errors(worst, correlation=0.999):
    return {"audio": MapErrors(worst, worst / 10, "dog_0131", correlation, correlation, 0, 4, 4)}


@pytest.mark.parametrize(
    ("precision", "found", "words"),
    [
        (
            Precision.FP32,
            errors(2e-4),
            r"audio, fp32: worst map error 0.0002 > 0.0001 on clip dog_0131; nothing",
        ),
        (Precision.FP16, errors(7.6e-3), r"audio, fp16: worst map error 0.0076 > 0.002 on clip dog_0131"),
        (Precision.INT8, errors(0.04, 0.981), r"audio, int8: map correlation 0.9810 < 0.99 .*; nothing written"),
    ],
)
def test_out_of_tolerance(precision, found, words):
    with pytest.raises(ParityError, match=words):
        judge(found, precision)
    judge(found, precision, tolerance=0.05)


def test_within_tolerance():
    judge(errors(9e-5), Precision.FP32)
    judge(errors(1.9e-3), Precision.FP16)
    judge(errors(0.04, 0.991), Precision.INT8)


def boxed(now, before, clips, overlap=(0.5, 0.5)):
    metric = {"peak_in_box": now, "peak_in_box_torch": before, "clips_with_box": clips}
    metric |= {"ciou": overlap[0], "ciou_torch": overlap[1]}
    return {"both": MapErrors(0.04, 0.01, "clip", 0.999, 0.99, 0, 100, 100, **metric)}


def test_the_metric_gates_int8():
    """One point may be lost, one clip always; what is gained is no fault."""
    judge(boxed(0.79, 0.80, 200), Precision.INT8)
    judge(boxed(0.75, 0.80, 20), Precision.INT8)
    judge(boxed(0.90, 0.80, 200, (0.9, 0.5)), Precision.INT8)
    judge(boxed(0.80, 0.80, 200, (0.491, 0.5)), Precision.INT8)
    judge(boxed(0.10, 0.80, 200), Precision.INT8, tolerance=0.02)
    with pytest.raises(ParityError, match=r"both, int8: peak-in-box falls from 80.0% to 78.5% on 200 clips"):
        judge(boxed(0.785, 0.80, 200), Precision.INT8)
    with pytest.raises(ParityError, match=r"cIoU falls from 50.0% to 48.5% on 20 clips"):
        judge(boxed(0.80, 0.80, 20, (0.485, 0.5)), Precision.INT8)
