"""The ring against a plain list that keeps everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_runtime.live.clock import TimeLine
from lvs_runtime.live.ring import AudioRing

RATE, START_NS = 1000, 5_000_000_000
LINE = TimeLine(0.0, START_NS, 1e9 / RATE)


def test_empty_ring_has_no_window():
    ring = AudioRing(RATE, 1.0)
    assert ring.window(START_NS, 10) is None
    assert ring.newest_ns is None


def test_window_ends_at_the_stamp_or_at_the_newest_sample():
    ring = AudioRing(RATE, 10.0)
    ring.append(np.arange(500, dtype=np.float32), LINE)
    window = ring.window(START_NS + 300_000_000, 100)
    np.testing.assert_array_equal(window.waveform, np.arange(200, 300))
    assert (window.start_ns, window.end_ns) == (START_NS + 200_000_000, START_NS + 300_000_000)
    late = ring.window(START_NS + 900_000_000, 100)
    assert late.end_ns == START_NS + 500_000_000
    early = ring.window(START_NS + 50_000_000, 100)
    assert len(early.waveform) == 50
    assert ring.window(START_NS - 1_000_000_000, 100) is None


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from(["sound", "gap", "insert"]), st.integers(1, 1500)), max_size=25),
    asked=st.integers(1, 2000),
    back=st.integers(0, 1500),
)
def test_equals_a_list_that_keeps_everything(steps, asked, back):
    ring, real, lost = AudioRing(RATE, 2.0), [], []
    value = 1
    for kind, n in steps:
        if kind == "sound":
            block = np.arange(value, value + n, dtype=np.float32)
            value += n
            ring.append(block, LINE)
            real += block.tolist()
            lost += [False] * n
        elif kind == "gap":
            ring.append_gap(n)
            real += [0.0] * n
            lost += [True] * n
        else:
            count = max(0, len(real) - 100)
            ring.insert_gap(count, n, LINE)
            real[count:count] = [0.0] * n
            lost[count:count] = [True] * n
    assert ring.end_count == len(real)
    end = len(real) - back
    window = ring.window(LINE.ns_at(end), asked) if any(k != "gap" for k, _ in steps) else None
    if window is None:
        return
    size = len(window.waveform)
    assert window.waveform.tolist() == real[end - size : end]
    assert window.gap_samples == sum(lost[end - size : end])
    assert size == min(asked, end) or end - size >= len(real) - 2 * 2 * RATE


def test_gap_samples_are_counted_after_a_long_time():
    ring = AudioRing(RATE, 1.0)
    for _ in range(50):
        ring.append(np.ones(300, np.float32), LINE)
        ring.append_gap(20)
    window = ring.window(ring.newest_ns, 640)
    assert window.gap_samples == 40
    assert window.waveform.sum() == pytest.approx(600)
