"""Is B faster than A? Asked so that the machine's moods cancel: A B | B A | A B ..., with A against itself beside it.

Measured one after the other, identical code differs by 2 % with an interval that excludes "no difference" (samples of
a minute depend on each other). In interleaved blocks of a fraction of a second it differs by 0.1 %.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .percentiles import nearest_rank

BLOCK_RUNS = 25
DRAWS = 2000
CONTROL = 0.01  # A against itself must lie within this of 1
Floats = npt.NDArray[np.float64]
Timed = Callable[[], float]  # one run; returns what it took, ms


@dataclass(frozen=True)
class Ratio:
    """B / A with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def says_no_difference(self) -> bool:
        """1 lies in the interval."""
        return self.low <= 1 <= self.high

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"ratio": round(self.value, 4), "ci95": [round(self.low, 4), round(self.high, 4)]}


def timed(work: Callable[[], object], clock: Callable[[], int] = time.perf_counter_ns) -> Timed:
    """A `Timed` of any call."""

    def run() -> float:
        begin_ns = clock()
        work()
        return (clock() - begin_ns) / 1e6

    return run


def interleave(arms: Sequence[Timed], rounds: int, runs: int = BLOCK_RUNS, warmup: int = 5) -> list[list[Floats]]:
    """Per arm its blocks, (rounds) arrays of (runs,) ms. The order turns round each time. Ctrl-C ends it early."""
    for arm in arms:
        for _ in range(warmup):
            arm()
    blocks: list[list[Floats]] = [[] for _ in arms]
    try:
        for number in range(rounds):
            order = range(len(arms)) if number % 2 == 0 else range(len(arms) - 1, -1, -1)
            done = {index: np.array([arms[index]() for _ in range(runs)]) for index in order}
            for index, values in done.items():
                blocks[index].append(values)
    except KeyboardInterrupt:
        if not blocks[0]:
            raise
    return blocks


def paired_ratio(a: Sequence[Floats], b: Sequence[Floats], percent: int = 50, seed: int = 0) -> Ratio:
    """exp(median over pairs of log(b / a)) of the percentile within each block; bootstrap over pairs."""
    if len(a) != len(b) or len(a) < 2:
        raise ConfigError(f"paired_ratio: {len(a)} and {len(b)} blocks; want as many of both, at least 2")
    logs = np.array([np.log(nearest_rank(y, percent) / nearest_rank(x, percent)) for x, y in zip(a, b, strict=True)])
    rng = np.random.default_rng(seed)
    medians = np.median(logs[rng.integers(len(logs), size=(DRAWS, len(logs)))], axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return Ratio(float(np.exp(np.median(logs))), float(np.exp(low)), float(np.exp(high)))


def block_bootstrap_ratio(a: Floats, b: Floats, percent: int, block: int, seed: int = 0) -> Ratio:
    """Percentile of `b` over that of `a`, two separate runs; moving blocks of `block` samples in the order measured."""
    rng = np.random.default_rng(seed)
    ratios = [
        nearest_rank(_resampled(b, block, rng), percent) / nearest_rank(_resampled(a, block, rng), percent)
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Ratio(nearest_rank(b, percent) / nearest_rank(a, percent), float(low), float(high))


def _resampled(values: Floats, block: int, rng: np.random.Generator) -> Floats:
    size = max(1, min(block, len(values)))
    starts = rng.integers(0, len(values) - size + 1, size=-(-len(values) // size))
    index = (starts[:, None] + np.arange(size)).ravel()[: len(values)]
    return np.asarray(values[index], np.float64)


def verdict(ratio: Ratio, control: Ratio | None) -> str:
    """One sentence: which is faster, by how much, or why that cannot be said."""
    if control is not None and not (control.low >= 1 - CONTROL and control.high <= 1 + CONTROL):
        noise = f"A against itself came out at {control.value:.3f} [{control.low:.3f}, {control.high:.3f}]"
        if not (ratio.low > control.high or ratio.high < control.low):
            return f"no verdict: {noise}, not within 1 % of 1; measure longer or on a quieter machine"
        return f"{_difference(ratio)}, by more than the noise ({noise})"
    if ratio.says_no_difference:
        return "no difference shown: the interval contains 1"
    return _difference(ratio)


def _difference(ratio: Ratio) -> str:
    word = "slower" if ratio.value > 1 else "faster"
    factor = max(ratio.value, 1 / ratio.value)
    return (
        f"B is {factor:.2f} times {word} than A" if factor >= 1.1 else f"B is {(factor - 1) * 100:.1f} % {word} than A"
    )
