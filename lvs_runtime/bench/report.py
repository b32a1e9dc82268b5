"""The result of a benchmark: one JSON object of schema lvs-bench/1, with everything needed to do it again."""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import analysis, machine, percentiles, prediction, single
from .resources import Meter
from .rows import Recorder
from .sessions import SessionRun

if TYPE_CHECKING:
    from ..localizer import Localizer

SCHEMA = "lvs-bench/1"
NOT_COVERED = {
    "single": ["camera", "microphone", "waiting between stages", "display"],
    "camera": ["exposure, transfer and decoding of a camera", "the sound card's buffers", "display"],
    "live": ["exposure and what the camera does before its stamp", "display"],
    "loopback": ["display of the result"],
}


def envelope(topic: str, meter: Meter, partial: bool) -> dict[str, Any]:
    """Who measured, where, with what, and what else went on."""
    git_commit, dirty = machine.commit()
    return {
        "schema": SCHEMA,
        "topic": topic,
        "started_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round((meter.end_ns - meter.start_ns) / 1e9, 3),
        "partial": partial,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": git_commit,
        "dirty": dirty,
        "machine": machine.machine(),
        "software": machine.software(),
        "resources": meter.block(),
        "disturbed": meter.disturbed,
    }


def single_report(
    localizer: Localizer, timings: single.Timings, inputs: list[Any], meter: Meter, cold: dict[str, Any] | None
) -> dict[str, Any]:
    """Closed loop: what each stage costs."""
    total = np.array(timings.stages_ms["total"])
    width, height = single.FRAME_PX
    notes = [*percentiles.notes(len(total)), *filter(None, [analysis.steadiness(total)])]
    return {
        **envelope("single", meter, timings.partial),
        "bundle": bundle_block(localizer),
        "run": {
            **run_block(localizer),
            "mode": "single",
            "open_loop": False,
            "width": width,
            "height": height,
            "warmup": {"runs": single.WARMUP_RUNS, "ms": round(timings.warmup_ms, 3)},
            "input_sha256": single.digest(inputs),
        },
        "cold_start_ms": cold,
        "stages": {name: percentiles.summary(values) for name, values in timings.stages_ms.items()},
        "parity": parity_block(localizer),
        "accuracy": None,
        "notes": notes,
        "not_covered": NOT_COVERED["single"],
    }


def session_report(
    topic: str,
    localizer: Localizer,
    run: SessionRun,
    meter: Meter,
    settings: dict[str, Any],
    cold: dict[str, Any] | None,
    deadline_ms: float,
) -> dict[str, Any]:
    """Open loop: ages, frames, outage, skew, minutes. `settings` complete the `run` block (fps, size, cameras ...)."""
    ages = run.rows.age_ms
    dropped_by = {**analysis.count_reasons(run.dropped), **run.unusable}
    offered = analysis.Offered(
        total=run.offered, dropped_by=dropped_by, in_flight=run.in_flight, start_ns=run.start_ns, end_ns=run.end_ns,
        deadline_ms=deadline_ms,
    )  # fmt: skip
    consumed = analysis.age_consumed_ms(run.rows, run.start_ns, run.end_ns)
    rest = analysis.unexplained_ms(run.rows)
    notes = [*run.notes, *percentiles.notes(len(ages)), *filter(None, [analysis.steadiness(ages)])]
    if rest is not None and rest > analysis.STAGES_ADD_UP_MS:
        notes.append(f"stages do not add up: {rest:g} ms of an age are in no stage (p95)")
    return {
        **envelope(topic, meter, run.partial),
        "bundle": bundle_block(localizer),
        "run": {
            **run_block(localizer), "mode": topic, "open_loop": True, "policy": "latest",
            "stamp_source": run.stamp_source, "sources": run.sources,
            "warmup": {"runs": run.warmup_frames, "ms": round(run.warmup_ms, 3)}, **settings,
        },
        "cold_start_ms": cold,
        "stages": analysis.stages_block(run.rows, run.audio_ms),
        "unexplained_p95_ms": rest,
        "age_ms": percentiles.summary(ages, unit=""),
        "age_consumed_ms": _grid_summary(consumed),
        "skew_ms": analysis.skew_block(run.rows),
        "frames": {**analysis.frames_block(run.rows, offered), "inferences": run.inferences},
        "audio": run.audio,
        "sustained": analysis.minutes(run.rows, run.start_ns, meter.sensors.samples),
        "parity": parity_block(localizer),
        "accuracy": None,
        "prediction": predict(run, settings),
        "overhead": overhead_block(run),
        "notes": notes,
        "not_covered": NOT_COVERED[topic],
    }  # fmt: skip


def _grid_summary(consumed: Any) -> dict[str, Any]:
    """Percentiles over moments, a millisecond apart: no interval, such moments are anything but independent."""
    if not len(consumed):
        return {"n": 0, "p50": None, "p95": None, "p99": None, "max": None}
    figures = {f"p{p}": round(percentiles.nearest_rank(consumed, p), 3) for p in (50, 95, 99)}
    return {"n": len(consumed), **figures, "max": round(float(consumed.max()), 3)}


def predict(run: SessionRun, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What queueing on paper makes of the service times measured in this very run."""
    service = (run.rows["out_ns"] - run.rows["taken_ns"]) / 1e6
    if len(service) < 100 or not settings.get("fps"):
        return None
    cameras = settings.get("streams", 1)
    if cameras > 1:
        return None  # a session each: not one worker in turn
    period_ms = 1000 / settings["fps"]
    paper = prediction.formula(percentiles.nearest_rank(service, 50), percentiles.nearest_rank(service, 95), period_ms)
    drawn = prediction.simulate(service.tolist(), period_ms)
    ages = run.rows.age_ms
    return {
        "age_p50_ms": round(paper.age_p50_ms, 3),
        "age_p95_ms": round(paper.age_p95_ms, 3),
        "drop_share": round(paper.drop_share, 4),
        "simulated_p50_ms": round(drawn.age_p50_ms, 3),
        "simulated_p95_ms": round(drawn.age_p95_ms, 3),
        "simulated_drop_share": round(drawn.drop_share, 4),
        "verdict": prediction.verdict(drawn.age_p95_ms, percentiles.nearest_rank(ages, 95)),
    }


def overhead_block(run: SessionRun) -> dict[str, Any]:
    """What the tool itself takes: a row costs this much, and the feeder's thread used this share of a CPU."""
    import time

    recorder, stages = Recorder(2000), dict.fromkeys(("wait", "pre", "image", "audio", "head", "post", "publish"), 1.0)
    begin_ns = time.perf_counter_ns()
    for k in range(2000):
        recorder.add(k, 0, 1, 2, audio_end_ns=3, stages_ms=stages)
    per_frame_us = (time.perf_counter_ns() - begin_ns) / 2000 / 1e3
    seconds = (run.end_ns - run.start_ns + run.warmup_ms * 1e6) / 1e9
    recording = per_frame_us * len(run.rows) / 1e6
    return {
        "per_frame_us": round(per_frame_us, 2),
        "recording_cpu_percent": round(100 * recording / seconds, 3) if seconds > 0 else None,
        "feeder_cpu_percent": round(100 * run.feeder_cpu_ns / 1e9 / seconds, 3) if seconds > 0 else None,
        "feeder_late_p95_ms": round(percentiles.nearest_rank(run.feeder_late_ms, 95), 3)
        if len(run.feeder_late_ms)
        else None,
        "feeder_includes": "what the session does when it is handed a frame or sound",
        "null_model_cpu_percent": None,  # benchmarks/scenarios/self_check.py measures it
    }


def bundle_block(localizer: Localizer) -> dict[str, Any]:
    """Which model: the manifest's hash names the hash of every file."""
    bundle = localizer.bundle
    manifest = (bundle.path / "manifest.json").read_bytes()
    precision = {name: part.precision for name, part in bundle.manifest.parts.items()}
    return {"sha256": hashlib.sha256(manifest).hexdigest(), "name": bundle.name, "precision": precision}


def run_block(localizer: Localizer) -> dict[str, Any]:
    """How the model runs."""
    engine = localizer.backend.describe()
    return {
        "window_s": localizer.bundle.live_seconds,
        "streams": 1,
        "device": localizer.device,
        "provider": localizer.provider,
        "precision": localizer.precision,
        "threads": engine.get("threads"),
        "engine": engine,
        "affinity": machine.affinity(),
        "seed": 0,
    }


def parity_block(localizer: Localizer) -> dict[str, Any] | None:
    """How far the maps are from torch in float32, as measured at export and stated in the manifest."""
    stated = localizer.bundle.manifest.parity
    both = (stated or {}).get("map_errors", {}).get("both")
    if not both:
        return None
    keys = {"max_abs": "worst", "mean_abs": "mean", "correlation": "correlation", "clips": "clips"}
    return {"reference": stated.get("against"), **{ours: both.get(theirs) for ours, theirs in keys.items()}}
