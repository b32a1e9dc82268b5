"""How age grows with load, on paper: one worker, a slot that keeps the newest frame, frames every T, service S.

    rho = S / T <= 1    every frame meets an idle worker: age = S, nothing is dropped, rate 1 / T
    rho > 1             the worker never waits; the frame it takes has waited U(0, T):
                        p50 = S + T / 2, p95 = S + 0.95 T, rate 1 / S, share dropped 1 - T / S

The age jumps by T / 2 at rho = 1 and then rises with slope 1: it has a bound whatever the load. Near rho = 1 a service
time that varies makes frames wait behind a slow predecessor; `simulate` with the measured services covers that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .percentiles import nearest_rank

AGREES_SHARE, AGREES_MS = 0.10, 2.0  # formula and measurement further apart: contention


@dataclass(frozen=True, slots=True)
class Prediction:
    """Age at hand-over and what it costs in frames."""

    age_p50_ms: float
    age_p95_ms: float
    drop_share: float


def formula(service_p50_ms: float, service_p95_ms: float, period_ms: float, cameras: int = 1) -> Prediction:
    """From two numbers of the device (service p50 and p95) and the period of its cameras, spread over the period."""
    busy = service_p50_ms * cameras > period_ms
    drop = 1 - period_ms / (service_p50_ms * cameras) if busy else 0.0
    return Prediction(
        service_p50_ms + (period_ms / 2 if busy else 0.0),
        service_p95_ms + (0.95 * period_ms if busy else 0.0),
        drop,
    )


def latest_only(
    period_ms: float, services_ms: Sequence[float], frames: int, cameras: int = 1, jitter: float = 0.02, seed: int = 0
) -> tuple[list[float], int]:
    """Ages of the results and number of dropped frames; services are drawn from `services_ms` with their frequency.

    `jitter`: share of a period by which a real camera's arrivals wander (a whole ratio of S to T would otherwise lock).
    """
    rng = np.random.default_rng(seed)
    services = np.asarray(services_ms, np.float64)
    drawn = rng.choice(services, frames * cameras)
    wander = np.cumsum(rng.normal(0, jitter * period_ms / np.sqrt(10), frames))
    base = np.arange(frames) * period_ms + wander - wander.min()
    arrivals = [np.sort(base + period_ms * c / cameras) for c in range(cameras)]
    last, ages, dropped, now, turn = [-1] * cameras, [], 0, 0.0, 0
    for service in drawn:
        newest = [int(np.searchsorted(a, now, side="right")) - 1 for a in arrivals]
        waiting = [c for step in range(cameras) if newest[c := (turn + step) % cameras] > last[c]]
        if not waiting:
            following = [(a[k + 1], c) for c, (a, k) in enumerate(zip(arrivals, last, strict=True)) if k + 1 < frames]
            if not following:
                break
            now, camera = min(following)
            newest[camera] = last[camera] + 1
        else:
            camera = waiting[0]
        dropped += newest[camera] - last[camera] - 1
        last[camera], turn = newest[camera], (camera + 1) % cameras
        now += float(service)
        ages.append(now - float(arrivals[camera][newest[camera]]))
    return ages, dropped


def simulate(services_ms: Sequence[float], period_ms: float, frames: int = 4000, cameras: int = 1) -> Prediction:
    """The same from the whole distribution of services, as measured inside the loop."""
    ages, dropped = latest_only(period_ms, services_ms, frames, cameras)
    return Prediction(nearest_rank(ages, 50), nearest_rank(ages, 95), dropped / (dropped + len(ages)))


def verdict(predicted_ms: float, measured_ms: float) -> str:
    """ "agrees" or "contention": something beside the service time makes frames wait."""
    near = abs(predicted_ms - measured_ms) <= AGREES_SHARE * measured_ms + AGREES_MS
    return "agrees" if near else "contention"
