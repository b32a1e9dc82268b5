"""What one worker holds when frames come on schedule: sustainable rates, age against load, several cameras.

Every piece is bounded in time whatever a pipeline costs: a rate is run for so many frames that about `RESULTS` of them
come out, and a pipeline whose single frame costs more than the budget is not tried.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from lvs_runtime.bench import percentiles, prediction, sweep

from .worker import Worker

BUDGET_MS = 50.0
LADDER = (10, 15, 20, 30, 45, 60, 90, 120, 180)
LOADS = (10, 20, 30, 45, 60, 80, 100, 120, 160, 240)
CAMERAS = (1, 2, 4, 8)
RESULTS = 115  # p95 is told from 100 on


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def open_row(done: dict[str, Any], fps: float) -> dict[str, Any]:
    """What an open loop came to."""
    ages = percentiles.summary(done["ages_ms"], unit="")
    share = done["dropped"] / done["offered"]
    return {
        "fps": fps, "offered": done["offered"], "drop_share": round(share, 4), "age_ms": ages,
        "results_hz": round(done["results_hz"], 2), "cpu_percent": round(done["cpu_percent"], 1),
    }  # fmt: skip


def frames_for(results: int, fps: float, service_ms: float) -> int:
    """Frames to offer at `fps` so that about `results` come out of a worker that needs `service_ms` for one."""
    return math.ceil(results * max(1.0, fps * service_ms / 1000))


def sustainable(worker: Worker, service_ms: float) -> dict[str, Any]:
    """Highest rate of the ladder that holds, by bisection, for each meaning of holding."""
    if service_ms > BUDGET_MS:
        why = f"one frame costs {service_ms:.0f} ms back to back, more than the budget"
        return {"every_frame_fps": None, "freshest_frame_fps": None, "tried": [], "why": why}
    tried: dict[int, dict[str, Any]] = {}

    def holds(fps: int, every: bool) -> bool:
        if fps not in tried:
            tried[fps] = open_row(worker.ask("open", float(fps), frames_for(RESULTS, fps, service_ms)), fps)
        row = tried[fps]
        p95 = row["age_ms"]["p95"]
        fresh = p95 is not None and p95 <= BUDGET_MS
        return fresh and (not every or row["drop_share"] <= sweep.MOST_DROPPED)

    def highest(every: bool) -> int | None:
        low, high = -1, len(LADDER)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if holds(LADDER[middle], every) else (low, middle)
        return LADDER[low] if low >= 0 else None

    every = highest(True)
    return {"every_frame_fps": every, "freshest_frame_fps": highest(False), "tried": [tried[f] for f in sorted(tried)]}


def load_curve(worker: Worker, seconds: float) -> list[dict[str, Any]]:
    """Age over load, and two predictions: from S measured once at 30 fps, and from the services of each run."""
    worker.ask("open", 30.0, 60)
    once = worker.ask("open", 30.0, max(60, round(30 * seconds)))["services_ms"]
    s50, s95 = percentiles.nearest_rank(once, 50), percentiles.nearest_rank(once, 95)
    points = []
    for fps in LOADS:
        frames = max(round(fps * seconds), frames_for(RESULTS, fps, s50))
        done = worker.ask("open", float(fps), frames)
        services, ages, period_ms = done["services_ms"], done["ages_ms"], 1000 / fps
        paper = prediction.formula(s50, s95, period_ms)
        drawn = prediction.simulate(services.tolist(), period_ms)
        points.append(
            {
                "fps": fps, "rho": round(percentiles.nearest_rank(services, 50) / period_ms, 3),
                "n": len(ages), "service_p50_ms": round(percentiles.nearest_rank(services, 50), 3),
                "age_p50_ms": round(percentiles.nearest_rank(ages, 50), 3),
                "age_p95_ms": round(percentiles.nearest_rank(ages, 95), 3),
                "drop_share": round(done["dropped"] / done["offered"], 4),
                "predicted_p50_ms": round(paper.age_p50_ms, 3), "predicted_p95_ms": round(paper.age_p95_ms, 3),
                "predicted_drop_share": round(paper.drop_share, 4),
                "simulated_p50_ms": round(drawn.age_p50_ms, 3), "simulated_p95_ms": round(drawn.age_p95_ms, 3),
                "simulated_drop_share": round(drawn.drop_share, 4),
                "verdict": prediction.verdict(drawn.age_p95_ms, percentiles.nearest_rank(ages, 95)),
            }
        )  # fmt: skip
        say(f"load: {fps} fps, rho {points[-1]['rho']}, p95 {points[-1]['age_p95_ms']:.1f} ms")
    return points


def cameras(worker: Worker, seconds: float) -> list[dict[str, Any]]:
    """1, 2, 4, 8 cameras of 30 fps on one model, one worker in turn; what each costs, and what queueing predicts."""
    table = []
    for streams in CAMERAS:
        done = worker.ask("open", 30.0, max(RESULTS // streams, round(30 * seconds)), streams)
        row = open_row(done, 30.0)
        drawn = prediction.simulate(done["services_ms"].tolist(), 1000 / 30, cameras=streams)
        table.append(
            {
                "cameras": streams, **row, "results_hz_each": round(row["results_hz"] / streams, 2),
                "cpu_percent_each": round(row["cpu_percent"] / streams, 1),
                "cpu_ms_a_result": round(10 * row["cpu_percent"] / row["results_hz"], 2),
                "simulated_p95_ms": round(drawn.age_p95_ms, 3),
                "simulated_drop_share": round(drawn.drop_share, 4),
            }
        )  # fmt: skip
    return table
