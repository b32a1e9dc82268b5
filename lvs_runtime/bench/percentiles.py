"""Percentiles that were really observed, and only where there are enough samples to tell.

Nearest rank: the p-quantile of n sorted samples is number ceil(p * n), a value that occurred. Interpolation turns two
stalls into a value that nobody saw. A percentile is printed from the smallest n at which its upper bound means
something (two-sided 95 %); below, it is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from . import intervals

# percentile -> samples from which it is printed
MIN_SAMPLES = {50: 20, 90: 50, 95: 100, 99: 500}
Values = Sequence[float] | npt.NDArray[np.float64]


def nearest_rank(values: Values, percent: int) -> float:
    """The `percent`-th percentile (1...100) of `values`, unsorted, at least one; an element of `values`."""
    if len(values) == 0 or not 1 <= percent <= 100:
        raise ConfigError(f"nearest_rank: {len(values)} values, percent {percent}; want at least one value, 1...100")
    return float(np.sort(np.asarray(values, np.float64))[_rank(percent, len(values)) - 1])


def summary(values_ms: Values, unit: str = "_ms") -> dict[str, Any]:
    """n, min, p50, p90, p95, p99, max, mean in ms, to the microsecond; None below `MIN_SAMPLES`.

    `ci95` holds [low, high] of each printed percentile (high None: no upper bound in so few samples), `n_eff` the
    number of independent samples that they rest on. `values_ms` stand in the order in which they were measured.
    `unit` ends the keys; "" inside a group that carries the unit.
    """
    n = len(values_ms)
    ordered = np.sort(np.asarray(values_ms, np.float64))
    worth = intervals.effective_samples(values_ms) if n else 0.0
    figures: dict[str, Any] = {"n": n, f"min{unit}": _round(ordered[0]) if n else None}
    told = [percent for percent, needed in MIN_SAMPLES.items() if n >= needed]
    for percent in MIN_SAMPLES:
        figures[f"p{percent}{unit}"] = _round(ordered[_rank(percent, n) - 1]) if percent in told else None
    figures[f"max{unit}"] = _round(ordered[-1]) if n else None
    figures[f"mean{unit}"] = _round(ordered.mean()) if n else None
    bounds = {f"p{p}": intervals.interval(ordered, p / 100, worth) for p in told}
    figures["ci95"] = {name: [None if b is None else _round(b) for b in pair] for name, pair in bounds.items()}
    figures["n_eff"] = round(worth)
    return figures


def notes(n: int) -> list[str]:
    """Why percentiles are missing at `n` samples."""
    return [f"p{p}: n/a (n={n}, needs {needed})" for p, needed in MIN_SAMPLES.items() if n < needed]


def _rank(percent: int, n: int) -> int:
    return int(-(-Fraction(percent * n, 100) // 1))  # exact: in floats 0.95 * 20 is above 19


def _round(value: float) -> float:
    return round(float(value), 3)
