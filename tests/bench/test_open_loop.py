"""The tool against itself: a model with known delays, in virtual time, must come out as it is; no test here waits."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bench_helpers import MS, VirtualClock

from lvs_runtime.bench import analysis, open_loop, rows
from lvs_runtime.bench.percentiles import nearest_rank, summary

PERIOD_NS = 33_333_333


def measure(delays_ms, *, fps_period_ns=PERIOD_NS, latest=True, streams=1, overshoot_ns=0, spread=True):
    """Run a model that takes `delays_ms[i]` at its i-th call."""
    clock = VirtualClock(overshoot_ns)
    delays = iter(delays_ms)

    def work(k, stream):
        clock.spend_ms(next(delays, delays_ms[-1]))

    schedule = open_loop.Schedule(
        period_ns=fps_period_ns, frames=len(delays_ms), latest=latest, streams=streams, spread=spread
    )
    return open_loop.run(work, schedule, clock)


def frames(done, deadline_ms=PERIOD_NS / MS):
    offered = analysis.Offered(
        total=done.offered, dropped_by=analysis.count_reasons(done.dropped), in_flight=0, start_ns=done.start_ns,
        end_ns=done.end_ns, deadline_ms=deadline_ms,
    )  # fmt: skip
    return analysis.frames_block(done.rows, offered)


def test_a_fixed_delay_is_measured_right() -> None:
    done = measure([7.25] * 1800)
    figures = summary(done.rows.age_ms, unit="")
    assert {figures[key] for key in ("min", "p50", "p95", "p99", "max")} == {7.25}
    assert frames(done)["processed"] == 1800


@pytest.mark.parametrize("latest", [True, False])
def test_a_heavy_tail_is_measured_right_to_a_millisecond(latest: bool) -> None:
    """Lognormal delays that never fill a period: ages must be the delays themselves, tail included."""
    delays = np.random.default_rng(0).lognormal(2.0, 0.6, 3000).clip(max=33).tolist()
    figures = summary(measure(delays, latest=latest).rows.age_ms, unit="")
    for percent in (50, 95, 99):
        assert figures[f"p{percent}"] == pytest.approx(nearest_rank(delays, percent), abs=1.0)


def test_a_thread_that_wakes_late_is_inside_the_age() -> None:
    done = measure([5.0] * 300, overshoot_ns=2 * MS)
    assert nearest_rank(done.rows.age_ms, 50) == pytest.approx(7.0)
    assert nearest_rank(done.rows.stage_ms("wait"), 50) == pytest.approx(2.0)


def stalled(k=600, n=1800):
    return [1000.0 if i == k else 5.0 for i in range(n)]


def test_a_stall_of_a_second_is_thirty_late_frames() -> None:
    done = measure(stalled())
    block = frames(done)
    assert block["late"] + block["dropped"] == 30  # one late result, and those that came meanwhile
    assert (block["late"], block["dropped_by"]) == (1, {"superseded": 29})
    assert block["max_gap_ms"] == pytest.approx(1000 + 33.3, abs=34)
    assert block["over_deadline_share"] > 1 / 60 * 0.9  # a second of the minute had no fresh result


def test_the_same_stall_with_every_frame_served() -> None:
    done = measure(stalled(), latest=False)
    block = frames(done)
    assert block["dropped"] == 0
    assert block["late"] == 35  # the stalled one, those that came meanwhile, and those behind the draining queue
    assert summary(done.rows.age_ms, unit="")["p99"] > 400


def test_a_closed_loop_would_have_hidden_it() -> None:
    """The same delays without a schedule: p99 says 5 ms. This is what the open loop is for."""
    figures = summary(stalled(), unit="")
    assert (figures["p50"], figures["p95"], figures["p99"], figures["max"]) == (5.0, 5.0, 5.0, 1000.0)


def test_several_cameras_are_served_in_turn() -> None:
    done = measure([9.3] * 4000, streams=8)
    counts = np.bincount(done.rows["stream"], minlength=8)
    assert counts.max() - counts.min() <= 1
    assert frames(done)["offered"] == 8 * 4000
    # more cameras cost rate, not age: still the service time and up to a period of waiting
    ages = done.rows.age_ms[:-8]  # nothing newer replaces the very last frames
    assert ages.min() >= 9.3
    assert ages.max() <= 9.3 + 33.4
    order = done.rows["stream"][100:108]
    assert sorted(order.tolist()) == list(range(8))


def test_ctrl_c_keeps_what_was_measured() -> None:
    clock = VirtualClock()

    def work(k, stream):
        if k == 50:
            raise KeyboardInterrupt
        clock.spend_ms(5)

    done = open_loop.run(work, open_loop.Schedule(period_ns=PERIOD_NS, frames=1000), clock)
    assert done.partial
    assert len(done.rows) == 50


def test_one_inference_a_frame_one_wake_up_a_frame_and_no_growing() -> None:
    """Counts guard what times cannot: of 500 frames 500 inferences, 500 sleeps, and rows laid out beforehand."""
    clock, calls, sleeps = VirtualClock(), [], []
    sleep = clock.sleep_until_ns
    clock.sleep_until_ns = lambda moment_ns: (sleeps.append(moment_ns), sleep(moment_ns))[1]

    def work(k, stream):
        calls.append(k)
        clock.spend_ms(5)

    open_loop.run(work, open_loop.Schedule(period_ns=PERIOD_NS, frames=500), clock)
    assert calls == list(range(500))
    assert len(sleeps) == 499  # the first frame is due at once


def test_recording_allocates_nothing_that_stays() -> None:
    import tracemalloc

    recorder = rows.Recorder(5000)
    stages = {"wait": 1.0, "image": 2.0}
    recorder.add(0, 1, 2, 3, stages_ms=stages)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for k in range(4000):
        recorder.add(k, 1, 2, 3, stages_ms=stages)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 4000  # bytes: less than one a frame
    assert recorder.grown == 0


def test_more_rows_than_laid_out_are_kept_and_counted() -> None:
    recorder = rows.Recorder(16)
    for k in range(40):
        recorder.add(k, k, k, k)
    assert recorder.rows()["k"].tolist() == list(range(40))
    assert recorder.grown == 2


def test_raw_rows_as_json_lines_with_the_dropped_among_them() -> None:
    done = measure(stalled(k=3, n=60))
    lines = [json.loads(line) for line in rows.as_jsonl(done.rows, done.dropped)]
    assert [line["k"] for line in lines] == list(range(60))
    assert [line["k"] for line in lines if line["drop"] == "superseded"] == list(range(4, 33))
    assert lines[3]["out_ns"] - lines[3]["due_ns"] == 1000 * MS
