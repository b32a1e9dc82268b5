"""Blocks in, a stamped ring out: the whole sound path without a device, time as an argument."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.capture.base import SoundBlock
from lvs_runtime.live.track import SoundTrack

START_NS = 7_000_000_000_000
SECOND = 1_000_000_000


def mic_blocks(wave, rate, *, start_ns=START_NS, delay_ns=300_000, lose=(), ppm=0.0):
    """10 ms blocks with arrivals; indices in `lose` never come."""
    size = rate // 100
    for i in range(len(wave) // size):
        if i in lose:
            continue
        end_ns = start_ns + round((i + 1) * size / rate * 1e9 * (1 + ppm * 1e-6))
        yield SoundBlock(samples=wave[i * size : (i + 1) * size], sample_rate=rate, arrival_ns=end_ns + delay_ns)


def pulses(seconds, rate):
    """One sharp pulse at each whole second, otherwise faint noise (never digital zero)."""
    wave = np.random.default_rng(0).normal(0, 1e-4, round(seconds * rate)).astype(np.float32)
    wave[::rate][1:] = 1.0
    return wave


def pulse_times(track, seconds):
    window = track.ring.window(track.ring.newest_ns, round(seconds * 16_000))
    found = np.flatnonzero(np.abs(window.waveform) > 0.2)
    groups = np.split(found, np.flatnonzero(np.diff(found) > 100) + 1)
    peaks = [g[np.abs(window.waveform[g]).argmax()] for g in groups if len(g)]
    return [window.start_ns + round(p * 1e9 / 16_000) for p in peaks]


@pytest.mark.parametrize("rate", [16_000, 48_000, 44_100])
def test_a_pulse_keeps_its_time_through_clock_and_resampler(rate):
    if rate == 44_100:
        pytest.importorskip("soxr")
    track = SoundTrack()
    for block in mic_blocks(pulses(9, rate), rate):
        track.add(block)
    for stamp_ns in pulse_times(track, 3):
        off_s = (stamp_ns - START_NS) / 1e9
        assert abs(off_s - round(off_s)) < 0.0005
    assert track.settled


def test_drift_of_the_card_does_not_move_a_pulse():
    track = SoundTrack(keep_s=40)
    for block in mic_blocks(pulses(30, 16_000), 16_000, ppm=300):
        track.add(block)
    for stamp_ns in pulse_times(track, 4):
        true_s = (stamp_ns - START_NS) / 1e9 / (1 + 300e-6)
        assert abs(true_s - round(true_s)) < 0.001
    assert track.drift_ppm == pytest.approx(300, abs=20)


def test_lost_blocks_become_a_known_gap_and_later_sound_keeps_its_time():
    track = SoundTrack()
    for block in mic_blocks(pulses(20, 48_000), 48_000, lose=range(1250, 1280)):
        track.add(block)
    assert track.gaps == 1
    for stamp_ns in pulse_times(track, 2):
        off_s = (stamp_ns - START_NS) / 1e9
        assert abs(off_s - round(off_s)) < 0.002
    around = track.ring.window(START_NS + 13 * SECOND, 16_000)
    assert around.gap_samples == pytest.approx(0.3 * 16_000, abs=64)


def test_a_reopened_microphone_leaves_a_gap_of_the_outage():
    track = SoundTrack()
    for block in mic_blocks(pulses(3, 48_000), 48_000):
        track.add(block)
    track.restart()
    for block in mic_blocks(pulses(3, 16_000), 16_000, start_ns=START_NS + 5 * SECOND):
        track.add(block)
    window = track.ring.window(track.ring.newest_ns, 6 * 16_000)
    assert window.gap_samples == pytest.approx(2 * 16_000, abs=100)
    assert track.ring.newest_ns == pytest.approx(START_NS + 8 * SECOND, abs=2_000_000)


def test_stated_sound_is_exact_to_the_sample():
    track = SoundTrack()
    wave = np.arange(16_000, dtype=np.float32) / 16_000
    for i in range(50):
        start_ns = START_NS + i * 20_000_000
        track.add(SoundBlock(samples=wave[i * 320 : (i + 1) * 320], sample_rate=16_000, start_ns=start_ns))
    window = track.ring.window(START_NS + SECOND // 2, 1600)
    np.testing.assert_array_equal(window.waveform, wave[8000 - 1600 : 8000])
    assert window.end_ns == START_NS + SECOND // 2


def test_a_leap_in_stated_stamps_is_a_gap():
    track = SoundTrack()
    ones = np.ones(1600, np.float32)
    track.add(SoundBlock(samples=ones, sample_rate=16_000, start_ns=START_NS))
    track.add(SoundBlock(samples=ones, sample_rate=16_000, start_ns=START_NS + SECOND // 2))
    window = track.ring.window(START_NS + SECOND, 16_000)
    assert window.gap_samples == 6400
    assert window.end_ns == START_NS + SECOND // 2 + SECOND // 10


def test_wandering_stated_stamps_are_followed_without_gaps():
    track = SoundTrack()
    rng = np.random.default_rng(1)
    for i in range(300):
        start_ns = START_NS + i * 10_000_000 + int(rng.integers(0, 5_000_000))
        track.add(SoundBlock(samples=np.ones(160, np.float32), sample_rate=16_000, start_ns=start_ns))
    assert track.gaps == 0
    assert track.ring.newest_ns == pytest.approx(START_NS + 3 * SECOND, abs=5_000_000)


def test_offset_moves_every_stamp():
    plain, moved = SoundTrack(), SoundTrack(offset_ms=40)
    for track in (plain, moved):
        for block in mic_blocks(pulses(1, 48_000), 48_000):
            track.add(block)
    assert moved.ring.newest_ns - plain.ring.newest_ns == 40_000_000


def test_digital_silence_is_told_from_quiet_and_asks_for_a_reopen():
    track = SoundTrack()
    quiet = np.random.default_rng(2).normal(0, 3 / 32768, 48_000).astype(np.float32)
    for block in mic_blocks(quiet, 16_000):
        track.add(block)
    assert not track.digital_silence
    zeros = np.zeros(6 * 16_000, np.float32)
    seen = []
    for block in mic_blocks(zeros, 16_000, start_ns=START_NS + 3 * SECOND):
        track.add(block)
        seen.append((track.digital_silence, track.dead))
    assert seen.index((True, False)) == pytest.approx(100, abs=2)
    assert seen.index((True, True)) == pytest.approx(500, abs=2)
    track.restart()
    assert track.digital_silence, "still silent until something is heard"
    assert not track.dead
    for block in mic_blocks(quiet, 16_000, start_ns=START_NS + 10 * SECOND):
        track.add(block)
    assert not track.digital_silence


def test_bad_values_are_counted_and_silenced():
    track = SoundTrack()
    wave = np.ones(160, np.float32)
    wave[3], wave[7] = np.nan, np.inf
    track.add(SoundBlock(samples=wave, sample_rate=16_000, start_ns=START_NS))
    assert track.bad_samples == 2
    window = track.ring.window(track.ring.newest_ns, 160)
    assert np.isfinite(window.waveform).all()
    assert window.waveform.sum() == 158
