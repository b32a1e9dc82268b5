"""The microphone clock against simulated arrivals whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.live.clock import EnvelopeClock, TimeLine

RATE, BLOCK = 48_000, 480
BASE_NS = 3_600_000_000_000
FIXED_S = 0.0003


def simulate(seconds, *, ppm=0.0, tail=0.01, bunch=1, stalls=(), losses=(), seed=0):
    """(count_end, arrival_ns, true_ns) per block. `ppm` > 0: the card is slow. A stall delays, a loss skips samples."""
    rng = np.random.default_rng(seed)
    blocks, count, last = [], 0, 0
    num = int(seconds * RATE / BLOCK)
    for i in range(num):
        true_s = (i + 1) * BLOCK / RATE * (1 + ppm * 1e-6)
        if any(a <= true_s < b for a, b in losses):
            continue
        count += BLOCK
        arrival_s = true_s + FIXED_S + rng.exponential(0.001) + (rng.random() < tail) * 0.020
        if bunch > 1:
            arrival_s += (bunch - 1 - i % bunch) * BLOCK / RATE
        for a, b in stalls:
            if a <= true_s < b:
                arrival_s = b + 0.0001
        last = max(last, BASE_NS + round(arrival_s * 1e9))
        blocks.append((count, last, BASE_NS + round(true_s * 1e9)))
    return blocks


def run(blocks):
    clock, errors, events = EnvelopeClock(RATE), [], []
    for count, arrival_ns, true_ns in blocks:
        event = clock.add(count, arrival_ns)
        if event:
            events.append((event, true_ns))
        errors.append(((true_ns - BASE_NS) / 1e9, (clock.timeline.ns_at(count) - true_ns) / 1e6))
    return clock, np.array(errors), events


@pytest.mark.parametrize(
    ("case", "limit_ms"),
    [
        ({}, 0.5),
        ({"ppm": 300}, 0.9),
        ({"ppm": -300}, 0.9),
        ({"tail": 0.10}, 0.6),
        ({"ppm": 300, "bunch": 4}, 1.2),
        ({"stalls": [(37.5, 40.0)]}, 0.6),
        ({"stalls": [(20.0, 22.5)], "ppm": -300}, 1.0),
    ],
)
def test_error_stays_under_a_millisecond(case, limit_ms):
    clock, errors, events = run(simulate(40, **case))
    late = errors[errors[:, 0] > 15]
    assert np.abs(late[:, 1]).max() < limit_ms
    assert not events
    assert clock.settled


def test_drift_is_found():
    clock, _, _ = run(simulate(40, ppm=300))
    assert clock.slope * 1e6 == pytest.approx(300, abs=15)


def test_backlog_at_the_start_is_forgotten():
    """Half a second of old sound lay in the daemon and drains in the first two seconds: later stamps are right."""
    blocks = [
        (count, arrival + round(max(0.0, 0.5 - (true - BASE_NS) / 4e9) * 1e9), true)
        for count, arrival, true in simulate(12)
    ]
    _, errors, events = run(blocks)
    assert np.abs(errors[errors[:, 0] > 3][:, 1]).max() < 1.0
    assert not events


def test_stamps_never_fall_once_settled():
    for case in ({"ppm": 300, "bunch": 4}, {"tail": 0.1}, {"stalls": [(20.0, 22.5)]}):
        clock, stamps = EnvelopeClock(RATE), []
        for count, arrival_ns, _ in simulate(30, **case):
            clock.add(count, arrival_ns)
            if clock.settled:
                stamps.append(clock.timeline.ns_at(count))
        assert (np.diff(stamps) > 0).all()


def test_lost_sound_is_found_measured_and_placed():
    lost_s = 0.3
    blocks = simulate(30, losses=[(20.0, 20.0 + lost_s)], ppm=100)
    _, errors, events = run(blocks)
    assert len(events) == 1
    event, seen_ns = events[0]
    assert event.kind == "gap"
    assert event.lost == pytest.approx(lost_s * RATE, abs=RATE * 0.002)
    assert event.count == pytest.approx(20.0 * RATE, abs=2 * BLOCK)
    assert (seen_ns - BASE_NS) / 1e9 < 25
    assert np.abs(errors[errors[:, 0] > 25][:, 1]).max() < 1.0


def test_an_overflow_flag_shortens_the_wait():
    clock, found_s = EnvelopeClock(RATE), None
    for count, arrival_ns, true_ns in simulate(30, losses=[(20.0, 20.2)]):
        t = (true_ns - BASE_NS) / 1e9
        if clock.add(count, arrival_ns, overflow=20.2 < t < 20.22) and found_s is None:
            found_s = t
    assert found_s is not None
    assert found_s < 22.5


def test_another_stream_is_a_new_start():
    first = simulate(12)
    early = [(count, arrival - 400_000_000, true - 400_000_000) for count, arrival, true in simulate(20)[len(first) :]]
    _, errors, events = run(first + early)
    assert [event.kind for event, _ in events] == ["replaced"]
    assert np.abs(errors[-100:, 1]).max() < 1.0


def test_timeline_maps_both_ways_and_through_a_resampler():
    line = TimeLine(1000.0, BASE_NS, 1e9 / RATE)
    assert line.count_at(line.ns_at(98_765)) == pytest.approx(98_765, abs=1e-3)
    out = line.resampled(3.0, 96.0, 50.0)
    # Output sample 50 + k lies at input sample 3 k - 96.
    for k in (0, 7, 1000):
        assert out.ns_at(50 + k) == pytest.approx(line.ns_at(3 * k - 96), abs=1)
