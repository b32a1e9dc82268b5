"""Queueing on paper against the open loop itself, in virtual time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bench_helpers import VirtualClock

from lvs_runtime.bench import open_loop, prediction
from lvs_runtime.bench.percentiles import nearest_rank

PERIOD_MS = 100 / 3


def loop(services_ms, cameras=1):
    clock, source = VirtualClock(), itertools.cycle(services_ms)
    schedule = open_loop.Schedule(period_ns=round(PERIOD_MS * 1e6), frames=len(services_ms) // 2, streams=cameras)
    return open_loop.run(lambda k, stream: clock.spend_ms(next(source)), schedule, clock)


@pytest.mark.parametrize("service_ms", [5.0, 20.0, 30.0])
def test_below_full_load_age_is_the_service_time(service_ms: float) -> None:
    said = prediction.formula(service_ms, service_ms, PERIOD_MS)
    done = loop([service_ms] * 4000)
    assert (said.age_p50_ms, said.age_p95_ms, said.drop_share) == (service_ms, service_ms, 0.0)
    assert nearest_rank(done.rows.age_ms, 95) == pytest.approx(service_ms, abs=0.01)


@pytest.mark.parametrize("service_ms", [41.3, 70.7, 103.9])  # no simple ratio to the period: the phase wanders
def test_above_it_age_jumps_by_half_a_period_and_stays_bounded(service_ms: float) -> None:
    said = prediction.formula(service_ms, service_ms, PERIOD_MS)
    done = loop([service_ms] * 8000)
    assert nearest_rank(done.rows.age_ms, 50) == pytest.approx(said.age_p50_ms, rel=0.03)
    assert nearest_rank(done.rows.age_ms, 95) == pytest.approx(said.age_p95_ms, rel=0.03)
    assert done.rows.age_ms[:-1].max() <= service_ms + PERIOD_MS  # nothing newer replaces the last frame
    assert len(done.dropped) / done.offered == pytest.approx(said.drop_share, abs=0.01)


def test_varying_service_near_full_load_needs_the_simulation() -> None:
    """Waiting behind a slow predecessor: the two numbers say too little, the simulation does not."""
    services = np.random.default_rng(0).lognormal(np.log(29), 0.2, 12_000)
    done = loop(services.tolist())
    measured = nearest_rank(done.rows.age_ms, 95)
    simulated = prediction.simulate(services.tolist(), PERIOD_MS, 6000)
    assert simulated.age_p95_ms == pytest.approx(measured, rel=0.06)
    assert simulated.drop_share == pytest.approx(len(done.dropped) / done.offered, abs=0.01)


def test_more_cameras_cost_rate_not_age() -> None:
    done = loop([9.3] * 12_000, cameras=8)
    said = prediction.formula(9.3, 9.3, PERIOD_MS, cameras=8)
    assert nearest_rank(done.rows.age_ms, 95) == pytest.approx(said.age_p95_ms, rel=0.06)
    assert len(done.dropped) / done.offered == pytest.approx(said.drop_share, abs=0.01)


@pytest.mark.parametrize(("predicted", "measured", "expected"), [(50, 51, "agrees"), (50, 62, "contention")])
def test_verdict(predicted: float, measured: float, expected: str) -> None:
    assert prediction.verdict(predicted, measured) == expected
