"""Intervals against exact tables, against simulation, and what dependence between samples does to them."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from lvs_runtime.bench import intervals
from lvs_runtime.bench.percentiles import summary
from lvs_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("n", "p", "expected"),
    [
        # two-sided 95 %, computed apart
        (100, 0.50, (40, 61)),
        (100, 0.90, (84, 96)),
        (100, 0.95, (90, 100)),
        (100, 0.99, (97, None)),
        (300, 0.95, (277, 293)),
        (1000, 0.99, (983, 997)),
        (1800, 0.50, (858, 943)),
        (1800, 0.99, (1773, 1791)),
        (10_000, 0.95, (9457, 9543)),
    ],
)
def test_ranks_by_the_table(n: int, p: float, expected: tuple[int, int | None]) -> None:
    assert intervals.order_ranks(n, p) == expected


@pytest.mark.parametrize("n", [1, 7, 20, 72, 73, 150])
@pytest.mark.parametrize("p", [Fraction(1, 2), Fraction(9, 10), Fraction(19, 20)])
def test_ranks_agree_with_exact_arithmetic(n: int, p: Fraction) -> None:
    def at_most(k: int) -> Fraction:
        return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), Fraction(0))

    low, high = intervals.order_ranks(n, float(p))
    tail = Fraction(25, 1000)
    assert low is None or at_most(low - 1) <= tail
    assert at_most(low or 0) > tail  # no larger rank would do
    assert high is None or 1 - at_most(high - 1) <= tail
    assert 1 - at_most((high or n + 1) - 2) > tail  # no smaller rank would do


@pytest.mark.parametrize("percent", [50, 90, 95])
def test_intervals_cover_the_true_percentile_as_often_as_they_say(percent: int) -> None:
    rng = np.random.default_rng(1)
    truth = float(np.exp(1 + 0.8 * {50: 0.0, 90: 1.281552, 95: 1.644854}[percent]))  # of the lognormal
    covered = 0
    for _ in range(400):
        bounds = intervals.interval(np.sort(rng.lognormal(1, 0.8, 200)), percent / 100, 200)
        low, high = bounds
        covered += (low is None or low <= truth) and (high is None or truth <= high)
    assert covered / 400 > 0.93  # 95 % at least, less what 400 draws may miss by (3 sigma: 0.033)


def test_independent_samples_are_worth_their_number_and_dependent_ones_less() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(size=4000)
    assert intervals.effective_samples(noise) > 3000
    walk = np.empty(4000)
    walk[0] = 0
    for i in range(1, 4000):  # correlation 0.9 a step: worth n * (1 - 0.9) / (1 + 0.9)
        walk[i] = 0.9 * walk[i - 1] + noise[i]
    assert intervals.effective_samples(walk) == pytest.approx(4000 / 19, rel=0.35)
    narrow, wide = summary(rng.permutation(walk))["ci95"]["p95"], summary(walk)["ci95"]["p95"]
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_one_stall_does_not_hide_dependence() -> None:
    values = np.tile(np.repeat([1.0, 2.0], 50), 20)
    values[3] = 1e6
    assert intervals.effective_samples(values) < 200


def test_too_few_samples_have_no_upper_bound() -> None:
    assert intervals.order_ranks(367, 0.99)[1] is None
    assert intervals.order_ranks(368, 0.99)[1] == 368
    assert intervals.interval(np.arange(100.0), 0.99, 100) == [96.0, None]


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
def test_degenerate_samples(values: list[float]) -> None:
    assert 0 <= intervals.effective_samples(values) <= len(values)


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (10, 0.0), (10, 1.0)])
def test_bad_input_is_refused(n: int, p: float) -> None:
    with pytest.raises(ConfigError, match="order_ranks"):
        intervals.order_ranks(n, p)


def test_wilson_by_hand() -> None:
    low, high = intervals.wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert intervals.wilson(0, 10)[0] == 0
    assert intervals.wilson(10, 10)[1] == 1
