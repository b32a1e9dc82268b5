from __future__ import annotations

import numpy as np

from lvs_runtime.sinks.soundtrack import Soundtrack

RATE = 1000  # a sample is a millisecond
MS = 1_000_000


def ramp(first: int, count: int) -> np.ndarray:
    """Samples whose value is their own time in ms."""
    return np.arange(first, first + count, dtype=np.float32)


def test_sound_before_the_first_picture_is_cut_and_the_rest_placed_to_the_sample() -> None:
    track = Soundtrack(RATE)
    track.push(ramp(0, 50), 0)
    track.push(ramp(50, 50), 50 * MS)
    track.start(70 * MS)
    track.push(ramp(100, 20), 100 * MS)
    np.testing.assert_array_equal(track.rest(), ramp(70, 50))
    assert track.end_ns == 120 * MS


def test_sound_that_begins_after_the_first_picture_is_preceded_by_silence() -> None:
    track = Soundtrack(RATE)
    track.start(0)
    track.push(ramp(5, 10), 5 * MS)
    np.testing.assert_array_equal(track.rest(), np.concatenate([np.zeros(5), ramp(5, 10)]))


def test_stamps_that_wobble_are_joined_without_a_seam() -> None:
    track = Soundtrack(RATE)
    track.start(0)
    for index, wobble in enumerate([0, 7, -9, 15, -15]):
        track.push(ramp(100 * index, 100), (100 * index + wobble) * MS)
    np.testing.assert_array_equal(track.rest(), ramp(0, 500))
    assert (track.gap_s, track.cut_s) == (0, 0)


def test_a_gap_is_silence_and_an_overlap_is_cut() -> None:
    track = Soundtrack(RATE)
    track.start(0)
    track.push(ramp(0, 100), 0)
    track.push(ramp(200, 100), 200 * MS)
    track.push(ramp(250, 100), 250 * MS)
    sound = track.rest()
    np.testing.assert_array_equal(sound[:100], ramp(0, 100))
    assert not sound[100:200].any()
    np.testing.assert_array_equal(sound[200:], ramp(200, 150))
    assert (track.gap_s, track.cut_s) == (0.1, 0.05)


def test_drift_is_followed_in_small_steps() -> None:
    track = Soundtrack(RATE)
    track.start(0)
    stamp_ms = 0.0
    for _ in range(1000):  # each block of 100 samples lasts 100.03 ms: 300 ppm
        track.push(np.ones(100, np.float32), int(stamp_ms * MS))
        stamp_ms += 100.03
        assert abs(track.end_ns / MS - stamp_ms) < 21


def test_an_hour_of_nothing_costs_no_memory() -> None:
    track = Soundtrack(48_000)
    track.start(0)
    track.push(np.ones(10, np.float32), 3600 * 1000 * MS)
    assert {id(block.base if block.base is not None else block) for block in list(track._waiting)[:-1]} == {
        id(track._zeros)
    }
    assert track.end_ns >= 3600 * 1000 * MS


def test_take_gives_whole_pieces_in_order() -> None:
    track = Soundtrack(RATE)
    track.start(0)
    track.push(ramp(0, 70), 0)
    track.push(ramp(70, 70), 70 * MS)
    np.testing.assert_array_equal(track.take(64), ramp(0, 64))
    np.testing.assert_array_equal(track.take(64), ramp(64, 64))
    assert track.take(64) is None
    np.testing.assert_array_equal(track.rest(), ramp(128, 12))
    assert len(track.rest()) == 0


def test_silence_is_filled_up_to_a_stamp_once() -> None:
    track = Soundtrack(RATE)
    track.start(0)
    track.fill_to(30 * MS)
    track.fill_to(20 * MS)
    assert len(track.rest()) == 30
