"""Whose clock stamped a message, and what comes twice or late. Every time is an argument."""

from __future__ import annotations

import pytest

from lvs_runtime.buses.domain_clock import DomainClock, StampOrder

SECOND, MS = 1_000_000_000, 1_000_000
WALL = 1_700_000_000 * SECOND


def feed(clock, offset_ns, delays_ms, first=0, period_ms=40):
    """Events at k * period on the monotonic clock, stamped by a clock that is `offset_ns` ahead, late by `delays`."""
    told = []
    for k, delay in enumerate(delays_ms, first):
        event = 10 * SECOND + k * period_ms * MS
        arrival = event + round(delay * MS)
        clock.observe(event + offset_ns, arrival)
        told.append((*clock.capture_ns(event + offset_ns, arrival), event))
    return told


def test_our_own_wall_clock_is_taken_as_it_is():
    told = feed(DomainClock(WALL), WALL, [12, 3, 40, 5])
    assert all(capture == event for capture, _, event in told)
    assert {source for _, source, _ in told} == {"header"}


@pytest.mark.parametrize("offset", [0, WALL - 3600 * SECOND, WALL + 2 * SECOND, -5 * SECOND])
def test_another_clock_is_noticed_and_its_offset_is_the_fastest_message_s(offset):
    clock = DomainClock(WALL)
    told = feed(clock, offset, [30, 12, 2, 25, 9])
    assert clock.is_other
    assert {source for _, source, _ in told} == {"other_clock"}
    for capture, _, event in told[2:]:
        assert capture - event == 2 * MS  # the delay of the fastest message is what cannot be known


def test_no_capture_lies_after_its_arrival():
    clock = DomainClock(WALL)
    for capture, _, event in feed(clock, WALL + 3 * MS, [0, 0, 0]):  # a neighbour's clock, 3 ms ahead
        assert capture == event


def test_drift_of_a_foreign_clock_is_followed():
    clock = DomainClock(WALL)
    for k in range(60 * 25):  # 200 ppm for a minute: 12 ms
        event = 10 * SECOND + k * 40 * MS
        stamp = round((event - 10 * SECOND) * (1 - 200e-6)) + 7 * SECOND
        clock.observe(stamp, event + 5 * MS)
        capture, _ = clock.capture_ns(stamp, event + 5 * MS)
    assert abs(capture - event - 5 * MS) < 1.2 * MS


def test_picture_and_sound_are_shifted_alike():
    clock = DomainClock(WALL)
    for k in range(50):
        event = 10 * SECOND + k * 40 * MS
        clock.observe(event - 9 * SECOND, event + 60 * MS)  # pictures take 60 ms
        clock.observe(event - 9 * SECOND, event + 4 * MS)  # sound 4 ms
    picture, _ = clock.capture_ns(event - 9 * SECOND, event + 60 * MS)
    sound, _ = clock.capture_ns(event - 9 * SECOND, event + 4 * MS)
    assert picture == sound == event + 4 * MS


def test_a_clock_that_is_set_meanwhile_starts_anew():
    clock = DomainClock(WALL)
    feed(clock, 100 * SECOND, [5] * 20)
    told = feed(clock, 500 * SECOND, [5] * 5, first=20)
    assert all(capture - event == 5 * MS for capture, _, event in told)


def test_twice_and_late():
    order = StampOrder()
    verdicts = [order.check(s * MS) for s in (0, 40, 40, 80, 60, 120, 120)]
    assert verdicts == ["", "", "duplicate", "", "out_of_order", "", "duplicate"]
    assert not order.restarted


def test_a_simulation_that_is_reset():
    order = StampOrder()
    order.check(100 * SECOND)
    verdicts = [order.check(k * 40 * MS) for k in range(5)]
    assert verdicts == ["out_of_order", "out_of_order", "", "", ""]
    order = StampOrder()
    order.check(SECOND)
    assert [order.check(SECOND - k * MS) for k in range(1, 6)] == ["out_of_order"] * 5  # merely late
