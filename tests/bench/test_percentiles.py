"""Nearest rank against hand values, and the rule of when a percentile is told at all."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.bench.percentiles import MIN_SAMPLES, nearest_rank, notes, summary
from lvs_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([15, 20, 35, 40, 50], 5, 15),
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),  # 0.4 * 5 = 2 exactly: the second, not between the second and third
        ([15, 20, 35, 40, 50], 50, 35),
        ([15, 20, 35, 40, 50], 100, 50),
        ([3, 1, 2], 50, 2),  # unsorted
        ([7], 1, 7),
        (list(range(1, 21)), 95, 19),  # 0.95 * 20 is 19.000000000000004 in floats
        (list(range(1, 1001)), 99, 990),
    ],
)
def test_nearest_rank_by_hand(values: list[float], percent: int, expected: float) -> None:
    assert nearest_rank(values, percent) == expected


def test_agrees_with_numpy_inverted_cdf_and_never_interpolates() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 19, 100, 997):
        values = rng.lognormal(1, 1, n)
        for percent in (1, 50, 90, 95, 99, 100):
            found = nearest_rank(values.tolist(), percent)
            assert found in values
            # numpy computes the rank in floats: where p * n is whole it may stand one too high
            rank = int(np.flatnonzero(np.sort(values) == found)[0]) + 1
            assert rank == -(-percent * n // 100)


def test_one_stall_does_not_move_p95_but_is_the_maximum() -> None:
    figures = summary([5.0] * 1799 + [1000.0])
    assert (figures["p50_ms"], figures["p95_ms"], figures["p99_ms"], figures["max_ms"]) == (5.0, 5.0, 5.0, 1000.0)


@pytest.mark.parametrize(("percent", "needed"), MIN_SAMPLES.items())
def test_a_percentile_is_told_from_its_number_of_samples_on(percent: int, needed: int) -> None:
    assert summary([1.0] * (needed - 1))[f"p{percent}_ms"] is None
    assert summary([1.0] * needed)[f"p{percent}_ms"] == 1.0
    assert f"p{percent}: n/a (n={needed - 1}, needs {needed})" in notes(needed - 1)
    assert not [note for note in notes(needed) if note.startswith(f"p{percent}:")]


def test_no_samples_give_no_figures() -> None:
    figures = summary([])
    assert figures.pop("n") == 0
    assert (figures.pop("ci95"), figures.pop("n_eff")) == ({}, 0)
    assert set(figures.values()) == {None}


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_bad_input_is_refused(values: list[float], percent: int) -> None:
    with pytest.raises(ConfigError, match="percent"):
        nearest_rank(values, percent)
