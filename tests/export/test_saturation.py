"""16-bit sums counted against a plain loop over every product."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_export.saturation import LIMIT, Saturation, count


def by_hand(activation, weight, stride, pads):
    padded = np.pad(activation.astype(int), ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    outputs, _, rows, columns = weight.shape
    total = possible = saturating = 0
    for top in range(0, padded.shape[1] - rows + 1, stride[0]):
        for left in range(0, padded.shape[2] - columns + 1, stride[1]):
            patch = padded[:, top : top + rows, left : left + columns].transpose(1, 2, 0).ravel()
            for output in range(outputs):
                kernel = weight[output].astype(int).transpose(1, 2, 0).ravel()
                for k in range(0, len(kernel), 2):
                    a, b = int(kernel[k]), int(kernel[k + 1])
                    extremes = [x * a + y * b for x in (0, 255) for y in (0, 255)]
                    total += 1
                    possible += max(map(abs, extremes)) > LIMIT
                    saturating += abs(patch[k] * a + patch[k + 1] * b) > LIMIT
    return Saturation(total, possible, saturating)


@pytest.mark.parametrize(("stride", "pads"), [((1, 1), (1, 1, 1, 1)), ((2, 2), (1, 1, 1, 1)), ((1, 1), (0, 0, 0, 0))])
def test_the_count(stride, pads):
    rng = np.random.default_rng(2)
    activation = rng.integers(100, 256, (4, 6, 7)).astype(np.uint8)
    weight = rng.integers(-127, 128, (5, 4, 3, 3)).astype(np.int8)
    want = by_hand(activation, weight, stride, pads)
    assert 0 < want.saturating < want.possible < want.pairs
    assert count(activation, weight, stride, pads) == want


def test_seven_bits_cannot_overflow():
    activation, weight = np.full((2, 3, 3), 255, np.uint8), np.full((4, 2, 3, 3), 64, np.int8)
    assert count(activation, weight, (1, 1), (0, 0, 0, 0)) == Saturation(36, 0, 0)
    assert count(activation, weight + np.int8(63), (1, 1), (0, 0, 0, 0)).saturating == 36


def test_harm_is_a_share():
    assert not Saturation(10**9, 10**6, 10**3).harmful
    assert Saturation(10**9, 10**6, 2 * 10**4).harmful
