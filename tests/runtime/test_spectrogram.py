"""The numpy oracle against scipy, against the torch front end and against values made by an independent program."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.errors import DataError
from lvs_runtime.spec import AudioSpec
from lvs_runtime.spectrogram import fit_length, log_spectrogram, tukey

RATE = 16_000


def sounds() -> dict[str, np.ndarray]:
    n = np.arange(3 * RATE)
    rng = np.random.default_rng(0)
    return {
        "silence": np.zeros(3 * RATE),
        "sine": 0.5 * np.sin(2 * np.pi * 440 * n / RATE),
        "full_scale_square": np.sign(np.sin(2 * np.pi * 100.3 * n / RATE)),
        "offset_with_faint_noise": 0.9 + 1e-4 * rng.standard_normal(len(n)),
        "noise": 0.2 * rng.standard_normal(len(n)),
        "ramp": ((7919 * n) % 1001) / 1000 - 0.5,
    }


def scipy_reference(x: np.ndarray, hop_length: int) -> np.ndarray:
    signal = pytest.importorskip("scipy.signal")
    _, _, power = signal.spectrogram(np.clip(x, -1, 1), RATE, nperseg=512, noverlap=512 - hop_length)
    return np.log(power + 1e-7) / 12


@pytest.mark.parametrize("name", sounds())
@pytest.mark.parametrize(("hop_length", "frames"), [(238, 200), (159, 299)])
def test_equals_scipy(name, hop_length, frames):
    x = sounds()[name]
    got = log_spectrogram(x, AudioSpec(hop_length=hop_length))
    assert got.shape == (257, frames)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, scipy_reference(x, hop_length), rtol=0, atol=2e-7)


@pytest.mark.parametrize("name", sounds())
def test_torch_front_end_equals_it(name):
    torch = pytest.importorskip("torch")
    frontend = pytest.importorskip("lvs_train.frontend")
    x = sounds()[name].astype(np.float32)
    with torch.no_grad():
        got = frontend.LogSpectrogram()(torch.from_numpy(x)[None])[0, 0].numpy()
    np.testing.assert_allclose(got, log_spectrogram(x), rtol=0, atol=1e-5)


def test_golden_values():
    silence, sine, ramp = (log_spectrogram(sounds()[name]).astype(np.float64) for name in ("silence", "sine", "ramp"))
    np.testing.assert_allclose(silence, -1.3431746376, atol=1e-7)
    assert sine[:, 0].argmax() == 14
    expected = {(14, 0): -0.4695762035, (0, 0): -1.3339280087, (128, 100): -1.3431746012}
    assert {at: sine[at] for at in expected} == pytest.approx(expected, abs=1e-6)
    assert sine.sum() == pytest.approx(-67742.921147, abs=1e-2)
    expected = {(0, 0): -1.3384188672, (10, 50): -1.2012921744, (100, 100): -1.3150007452, (256, 199): -1.3431615950}
    assert {at: ramp[at] for at in expected} == pytest.approx(expected, abs=1e-6)
    assert ramp.sum() == pytest.approx(-61635.888945, abs=1e-2)


def test_window_is_scipys_periodic_tukey():
    windows = pytest.importorskip("scipy.signal.windows")
    np.testing.assert_allclose(tukey(512), windows.tukey(512, 0.25, sym=False), atol=1e-15)
    assert np.square(tukey(512)).sum() == pytest.approx(432)
    assert tukey(512)[0] == 0


def test_long_sound_in_blocks_equals_the_whole():
    x = 0.1 * np.random.default_rng(1).standard_normal(20 * RATE)
    got = log_spectrogram(x)
    assert got.shape[1] == AudioSpec().num_spec_frames(len(x)) > 1024
    np.testing.assert_allclose(got, scipy_reference(x, 238), rtol=0, atol=2e-7)


def test_loud_samples_are_clipped():
    x = sounds()["sine"] * 6
    np.testing.assert_array_equal(log_spectrogram(x), log_spectrogram(np.clip(x, -1, 1)))


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(511), r"511 samples.*needs 512.*fit_length"),
        (np.zeros((2, 48_000)), r"shape \(2, 48000\).*average the channels"),
        (np.zeros(48_000, np.int16), r"int16.*32768"),
        (np.full(48_000, np.nan), r"48000 samples that are NaN"),
    ],
)
def test_refuses(waveform, message):
    with pytest.raises(DataError, match=message):
        log_spectrogram(waveform)


@pytest.mark.parametrize("length", [1, 8_000, 47_999, 48_000, 48_001, 100_000])
def test_fit_length_is_the_official_tiling(length):
    x = np.arange(length, dtype=np.float32)
    copies = int(48_000 / length) + 1
    np.testing.assert_array_equal(fit_length(x, 48_000), np.tile(x, copies)[:48_000])
    assert fit_length(x, 48_000).dtype == np.float32


@pytest.mark.parametrize("waveform", [np.zeros(0), np.zeros((1, 5))])
def test_fit_length_needs_one_channel_with_a_sample(waveform):
    with pytest.raises(DataError, match="at least one sample"):
        fit_length(waveform, 10)
