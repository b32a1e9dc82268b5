"""The result of a benchmark: one JSON object (schema lvs-bench/1) and the table that is printed from it."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SinkError
from . import machine, percentiles, single

if TYPE_CHECKING:
    from ..localizer import Localizer

SCHEMA = "lvs-bench/1"
DISTURBED_SHARE = 0.02  # of the wall time waiting for a CPU


def run_single(localizer: Localizer, seconds: float, cold_start_ms: dict[str, Any] | None) -> dict[str, Any]:
    """Measure each stage for `seconds` and state everything that is needed to do so again."""
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    inputs = single.drawn_inputs(localizer.bundle.audio.sample_rate, localizer.bundle.live_seconds)
    load, waited, usage = machine.load_1min(), machine.waited_ns(), resource.getrusage(resource.RUSAGE_SELF)
    timings = single.measure(localizer, inputs, seconds)
    after, usage_after = machine.waited_ns(), resource.getrusage(resource.RUSAGE_SELF)
    waited_ms = None if waited is None or after is None else round((after - waited) / 1e6, 3)
    disturbed = None if waited_ms is None else waited_ms > DISTURBED_SHARE * timings.wall_ms
    git_commit, dirty = machine.commit()
    n = len(timings.stages_ms["total"])
    return {
        "schema": SCHEMA,
        "topic": "single",
        "started_utc": started,
        "seconds": round(timings.wall_ms / 1e3, 3),
        "partial": timings.partial,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "git_commit": git_commit,
        "dirty": dirty,
        "machine": machine.machine(),
        "software": machine.software(),
        "bundle": _bundle(localizer),
        "run": _run(localizer, inputs, timings),
        "cold_start_ms": cold_start_ms,
        "stages": {name: percentiles.summary(values) for name, values in timings.stages_ms.items()},
        "resources": {
            "rss_mb_end": _rss_mb(),
            "runqueue_wait_ms": waited_ms,
            "nivcsw": usage_after.ru_nivcsw - usage.ru_nivcsw,
            "load_1min_start": load,
            "load_1min_end": machine.load_1min(),
        },
        "disturbed": disturbed,
        "notes": percentiles.notes(n),
        "not_covered": ["camera", "microphone", "waiting between stages", "display"],
    }


def _bundle(localizer: Localizer) -> dict[str, Any]:
    bundle = localizer.bundle
    manifest = (bundle.path / "manifest.json").read_bytes()  # names the hash of every file
    precision = {name: part.precision for name, part in bundle.manifest.parts.items()}
    return {"sha256": hashlib.sha256(manifest).hexdigest(), "name": bundle.name, "precision": precision}


def _run(localizer: Localizer, inputs: list[Any], timings: single.Timings) -> dict[str, Any]:
    width, height = single.FRAME_PX
    engine = localizer.backend.describe()
    return {
        "mode": "single",
        "open_loop": False,
        "width": width,
        "height": height,
        "window_s": localizer.bundle.live_seconds,
        "streams": 1,
        "device": localizer.device,
        "provider": localizer.provider,
        "threads": engine.get("threads"),
        "engine": engine,
        "warmup": {"runs": single.WARMUP_RUNS, "ms": round(timings.warmup_ms, 3)},
        "seed": 0,
        "input_sha256": single.digest(inputs),
    }


def _rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def as_lines(report: dict[str, Any]) -> list[str]:
    """The report as a table: one row for each stage, what is missing said as n/a."""
    where, run, bundle = report["machine"], report["run"], report["bundle"]
    lines = [
        f"{where['cpu']}, {where['cores']} cores, {where['gpu'] or 'no NVIDIA GPU'}; {where['os']}",
        f"bundle {bundle['name']} ({bundle['sha256'][:12]}), {bundle['precision'].get('image')}, {run['provider']}, "
        f"threads {run['threads']}; {run['width']}x{run['height']}, {run['window_s']:g} s of sound",
        f"closed loop, {report['seconds']:.1f} s after {run['warmup']['runs']} warm-up runs; nearest rank, ms",
        "",
        f"{'stage':8}{'n':>7}" + "".join(f"{key:>10}" for key in ("min", "p50", "p90", "p95", "p99", "max")),
    ]
    for name, figures in report["stages"].items():
        cells = [figures[f"{key}_ms"] for key in ("min", "p50", "p90", "p95", "p99", "max")]
        lines.append(f"{name:8}{figures['n']:7}" + "".join(f"{'n/a' if c is None else f'{c:.3f}':>10}" for c in cells))
    if report["cold_start_ms"]:
        spans = ", ".join(f"{name} {ms:.0f}" for name, ms in report["cold_start_ms"].items())
        lines += ["", f"cold start, ms: {spans}"]
    lines += report["notes"]
    if report["disturbed"]:
        lines.append(f"disturbed: waited {report['resources']['runqueue_wait_ms']:.0f} ms for a CPU")
    return lines


def write(path: Path, report: dict[str, Any]) -> None:
    """Write the JSON to a temporary name, then rename; raises `SinkError` when that cannot be."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SinkError(f"--json {path}: cannot be written ({error.strerror}); choose another file") from error
