"""Percentiles that were really observed, and only where there are enough samples to tell.

Nearest rank: the p-quantile of n sorted samples is number ceil(p * n), a value that occurred. Interpolation turns two
stalls into a value that nobody saw. A percentile is printed from the smallest n at which its upper bound means
something (two-sided 95 %); below, it is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..errors import ConfigError

# percentile -> samples from which it is printed
MIN_SAMPLES = {50: 20, 90: 50, 95: 100, 99: 500}


def nearest_rank(values: Sequence[float], percent: int) -> float:
    """The `percent`-th percentile (1...100) of `values`, unsorted, at least one; an element of `values`."""
    if not values or not 1 <= percent <= 100:
        raise ConfigError(f"nearest_rank: {len(values)} values, percent {percent}; want at least one value, 1...100")
    rank = -(-Fraction(percent * len(values), 100) // 1)  # exact: in floats 0.95 * 20 is above 19
    return sorted(values)[int(rank) - 1]


def summary(values_ms: Sequence[float]) -> dict[str, Any]:
    """n, min, p50, p90, p95, p99, max, mean of durations in ms, to the microsecond; None below `MIN_SAMPLES`."""
    n = len(values_ms)
    figures: dict[str, Any] = {"n": n, "min_ms": round(min(values_ms), 3) if n else None}
    for percent, needed in MIN_SAMPLES.items():
        figures[f"p{percent}_ms"] = round(nearest_rank(values_ms, percent), 3) if n >= needed else None
    figures["max_ms"] = round(max(values_ms), 3) if n else None
    figures["mean_ms"] = round(sum(values_ms) / n, 3) if n else None
    return figures


def notes(n: int) -> list[str]:
    """Why percentiles are missing at `n` samples."""
    return [f"p{p}: n/a (n={n}, needs {needed})" for p, needed in MIN_SAMPLES.items() if n < needed]
