"""How sure a percentile is, without assuming a distribution.

The number of samples below the true p-quantile is Binomial(n, p), so the l-th and the u-th smallest sample enclose it
with probability F(u - 1) - F(l - 1). There is no upper bound in the sample when even the largest may lie below: then
it is None, and "> x" is all that can be said.

Samples of one run depend on each other (throttling, a neighbour's burst), which makes such intervals too narrow.
`effective_samples` says how many independent ones the run is worth; intervals are computed for that number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError

LEVEL = 0.95


def order_ranks(n: int, p: float, level: float = LEVEL) -> tuple[int | None, int | None]:
    """Ranks (1...n) of the samples that enclose the p-quantile (0 < p < 1) with at least `level`; None: no bound."""
    if n < 1 or not 0 < p < 1 or not 0 < level < 1:
        raise ConfigError(f"order_ranks: n={n}, p={p}, level={level}; want n >= 1 and both between 0 and 1")
    tail = (1 - level) / 2
    below = np.cumsum(_binomial(n, p))  # below[k] = P(at most k samples below the quantile)
    # lower: largest l with P(fewer than l below) = F(l - 1) <= tail;  upper: smallest u with 1 - F(u - 1) <= tail
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return (low or None), (high if high <= n else None)


def interval(ordered: Sequence[float] | npt.NDArray[np.float64], p: float, n_eff: float) -> list[float | None]:
    """[low, high] around the p-quantile of sorted samples that are worth `n_eff` independent ones."""
    n = len(ordered)
    worth = max(1, min(n, round(n_eff)))
    low, high = order_ranks(worth, p)
    at_low = None if low is None else float(ordered[max(0, low * n // worth - 1)])
    at_high = None if high is None else float(ordered[min(n, -(-high * n // worth)) - 1])
    return [at_low, at_high]


def effective_samples(values: Sequence[float] | npt.NDArray[np.float64]) -> float:
    """n / (1 + 2 * sum of autocorrelations), up to the first pair of lags whose sum is not positive; 1...n.

    Of ranks, not values: one stall of a second would otherwise hide every other dependence.
    """
    n = len(values)
    if n < 4:
        return float(n)
    ranks = np.argsort(np.argsort(np.asarray(values, np.float64), kind="stable"), kind="stable").astype(np.float64)
    ranks -= ranks.mean()
    spectrum = np.fft.rfft(ranks, 2 * n)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    rho = covariance / covariance[0]
    pairs = rho[1 : n - (n - 1) % 2].reshape(-1, 2).sum(1)
    stop = np.flatnonzero(pairs <= 0)
    total = float(pairs[: stop[0]].sum()) if len(stop) else float(pairs.sum())
    return float(min(n, max(1.0, n / (1 + 2 * total))))


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share `hits / n` (n >= 1)."""
    share, square = hits / n, z * z
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _binomial(n: int, p: float) -> npt.NDArray[np.float64]:
    k = np.arange(n + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # log k!
    terms = logs[n] - logs[k] - logs[n - k] + k * math.log(p) + (n - k) * math.log1p(-p)
    return np.asarray(np.exp(terms), np.float64)
