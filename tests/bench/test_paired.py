"""Ratios: a known factor comes out, drift cancels, noise is not called a difference."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.bench import paired
from lvs_runtime.errors import ConfigError


class Machine:
    """Gets slower all the time; two arms run on it, B `factor` times as long as A."""

    def __init__(self, factor: float, drift: float = 0.0005) -> None:
        self.rng, self.factor, self.speed, self.drift = np.random.default_rng(0), factor, 1.0, drift
        self.order: list[str] = []

    def arm(self, name: str, factor: float) -> paired.Timed:
        def run() -> float:
            self.order.append(name)
            self.speed *= 1 + self.drift / 10
            return 5.0 * factor * self.speed * float(self.rng.lognormal(0, 0.05))

        return run


def test_a_known_factor_comes_out_in_spite_of_drift() -> None:
    machine = Machine(1.25)
    arms = [machine.arm("A", 1.0), machine.arm("B", 1.25), machine.arm("A'", 1.0)]
    a, b, again = paired.interleave(arms, rounds=120)
    ratio, control = paired.paired_ratio(a, b), paired.paired_ratio(a, again)
    assert ratio.low < 1.25 < ratio.high
    assert ratio.high - ratio.low < 0.02
    assert control.says_no_difference
    assert paired.verdict(ratio, control).startswith(f"B is {ratio.value:.2f} times slower than A")
    # one after the other the same data are off by the drift
    sequential = float(np.median(np.concatenate(b[60:])) / np.median(np.concatenate(a[:60])))
    assert sequential > 1.35


def test_the_order_turns_round() -> None:
    machine = Machine(1.0)
    paired.interleave([machine.arm("A", 1), machine.arm("B", 1)], rounds=2, runs=2, warmup=0)
    assert machine.order == ["A", "A", "B", "B", "B", "B", "A", "A"]


def test_verdicts() -> None:
    quiet, noisy = paired.Ratio(1.0, 0.995, 1.004), paired.Ratio(1.0, 0.9, 1.2)
    assert "no difference" in paired.verdict(paired.Ratio(1.01, 0.99, 1.02), quiet)
    assert paired.verdict(paired.Ratio(0.5, 0.49, 0.51), quiet) == "B is 2.00 times faster than A"
    assert paired.verdict(paired.Ratio(1.03, 1.02, 1.04), quiet) == "B is 3.0 % slower than A"
    assert "no verdict" in paired.verdict(paired.Ratio(1.03, 1.02, 1.04), noisy)
    assert "more than the noise" in paired.verdict(paired.Ratio(3.0, 2.5, 3.5), noisy)


def test_separate_runs_get_a_block_bootstrap() -> None:
    rng = np.random.default_rng(0)
    a = rng.lognormal(1, 0.3, 600)
    ratio = paired.block_bootstrap_ratio(a, a * 1.5, 50, block=30)
    assert ratio.value == pytest.approx(1.5)
    assert ratio.low < 1.5 < ratio.high
    assert paired.block_bootstrap_ratio(a, rng.permutation(a), 50, block=30).says_no_difference


def test_too_few_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        paired.paired_ratio([np.ones(3)], [np.ones(3)])
