"""Level and gate, with samples as the only clock."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.gate import SILENCE_DBFS, AudibleGate, level_dbfs

RATE = 16_000


def sine(seconds: float, gain: float = 1.0) -> np.ndarray:
    return gain * np.sin(2 * np.pi * 500 * np.arange(round(seconds * RATE)) / RATE)


@pytest.mark.parametrize(
    ("waveform", "level"),
    [
        (sine(1.0), -3.01),
        (sine(1.0, 0.1), -23.01),
        (np.sign(sine(1.0) + 1e-9), 0.0),
        (np.zeros(RATE), SILENCE_DBFS),
        (np.zeros(0), SILENCE_DBFS),
        (np.full(RATE, 0.5), SILENCE_DBFS),  # a constant offset is no sound
        (np.full(RATE, 1e-20), SILENCE_DBFS),
    ],
)
def test_level(waveform, level):
    assert level_dbfs(waveform, RATE) == pytest.approx(level, abs=0.02)


def test_a_short_burst_counts_wherever_it_stands():
    for start in (0, 20_000, 48_000 - 800):  # 50 ms
        x = np.zeros(48_000)
        x[start : start + 800] = sine(0.05)
        assert level_dbfs(x, RATE) == pytest.approx(-3.01, abs=0.1)
    tail = np.concatenate([np.zeros(1_000), sine(0.05)])  # the last block ends with the last sample
    assert level_dbfs(tail, RATE) == pytest.approx(-3.01, abs=0.1)


def test_fewer_samples_than_a_block():
    assert level_dbfs(sine(0.01), RATE) == pytest.approx(-3.01, abs=0.1)


@pytest.mark.parametrize("bad", [np.array([0.1, np.nan]), np.array([np.inf])])
def test_not_finite(bad):
    with pytest.raises(ConfigError, match="NaN or infinite"):
        level_dbfs(bad, RATE)


def test_hysteresis():
    gate = AudibleGate(-45.0, -51.0)
    levels = [-60, -46, -45, -48, -51, -51.1, -46, -44]
    assert [gate.update(level) for level in levels] == [False, False, True, True, True, False, False, True]


def test_off_above_on_is_refused():
    with pytest.raises(ConfigError, match=r"off -40.*on -45"):
        AudibleGate(-45.0, -40.0)
    with pytest.raises(ConfigError):
        AudibleGate(float("nan"), -40.0)
