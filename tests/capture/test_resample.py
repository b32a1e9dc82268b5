"""The streaming resamplers against each other and against a whole-signal method."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lvs_runtime.capture.resample import stream_resampler
from lvs_runtime.errors import CaptureError, ConfigError


def chirp(rate, seconds=2.0, top_hz=6800.0):
    t = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * (50 * t + (top_hz - 50) * t * t / (2 * seconds)))).astype(np.float32)


def in_blocks(resampler, wave, sizes):
    out, position, i = [], 0, 0
    while position < len(wave):
        size = sizes[i % len(sizes)]
        out.append(resampler.process(wave[position : position + size]))
        position, i = position + size, i + 1
    return np.concatenate(out)


def positions(resampler, num_out, rate):
    """True time of each output sample, s."""
    return (np.arange(num_out) * resampler.ratio - resampler.shift_in) / rate


@pytest.mark.parametrize("rate", [48_000, 32_000, 96_000])
def test_fir_is_exact_in_place_and_value(rate):
    resampler = stream_resampler(rate)
    out = in_blocks(resampler, chirp(rate), [rate // 100])
    t = positions(resampler, len(out), rate)
    true = 0.5 * np.sin(2 * np.pi * (50 * t + (6800 - 50) * t * t / 4))
    inside = slice(400, -400)
    error = out[inside] - true[inside]
    assert 20 * np.log10(np.abs(error).max() / 0.5) < -55


@pytest.mark.parametrize("sizes", [[1], [7, 480, 1, 1000], [479], [193]])
def test_block_lengths_do_not_matter(sizes):
    wave = chirp(48_000, 0.2)
    whole = stream_resampler(48_000).process(wave)
    np.testing.assert_allclose(in_blocks(stream_resampler(48_000), wave, sizes), whole, atol=1e-6)


def test_fir_stops_what_would_alias():
    for hz, limit_db in ((1000, 0.1), (7000, 0.5)):
        wave = np.sin(2 * np.pi * hz * np.arange(48_000) / 48_000).astype(np.float32)
        level = 20 * np.log10(np.sqrt(2 * np.mean(stream_resampler(48_000).process(wave)[500:] ** 2)))
        assert abs(level) < limit_db
    wave = np.sin(2 * np.pi * 9000 * np.arange(48_000) / 48_000).astype(np.float32)
    assert np.abs(stream_resampler(48_000).process(wave)[500:]).max() < 1e-3


def test_soxr_and_fir_agree_with_the_whole_signal():
    soxr = pytest.importorskip("soxr")
    wave = chirp(48_000)
    fir = stream_resampler(48_000)
    out = fir.process(wave)
    whole = soxr.resample(wave, 48_000, 16_000, quality="HQ")
    shifted = out[int(fir.shift_in / fir.ratio) :]
    n = min(len(shifted), len(whole)) - 800
    error = shifted[800:n] - whole[800:n]
    assert 20 * np.log10(np.abs(error).max() / 0.5) < -55


def test_odd_rates_go_through_soxr_in_place():
    pytest.importorskip("soxr")
    resampler = stream_resampler(44_100)
    out = in_blocks(resampler, chirp(44_100), [441])
    t = positions(resampler, len(out), 44_100)
    true = 0.5 * np.sin(2 * np.pi * (50 * t + (6800 - 50) * t * t / 4))
    # LQ's pass band ends below the chirp's top: compare where it is flat.
    low = slice(400, len(out) // 2)
    assert np.abs(out[low] - true[low]).max() < 0.01


def test_without_soxr_odd_rates_are_refused_with_the_repair(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(CaptureError, match=r"pip install 'lvs\[live\]'"):
        stream_resampler(44_100)
    assert stream_resampler(48_000).ratio == 3


@pytest.mark.parametrize("rate", [0, -1, 999, 1_000_000])
def test_impossible_rates(rate):
    with pytest.raises(ConfigError, match="Hz"):
        stream_resampler(rate)
