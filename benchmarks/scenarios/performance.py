"""Our pipelines against what a user would pick instead: one machine, one interleaved run, outputs compared first.

    python -m benchmarks.scenarios.performance [--scale 0.3] [--only ours_int8 ...]

1 parity       maps of every pipeline against torch eager, on the same frames and sound, before anything is timed
2 cost         blocks of half a second in turn, order reversed each round; ratios per round, bootstrap over rounds
3 ages         open loop at 30 fps for each
4 sustainable  highest rate with p95 age <= 50 ms, with (freshest) and without (every frame) drops
5 load         age against load and where it breaks, with what queueing predicts from two numbers
6 scaling      cameras on one model, threads, length of the audio window
7 session      the product's own loop (lvs-bench camera) with sound
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.bench import camera, cold, paired, percentiles, plots, prediction, report, sweep, writing
from lvs_runtime.bench.resources import Meter
from lvs_runtime.localizer import Localizer

from . import pipelines
from .worker import Worker

BUDGET_MS = 50.0
LADDER = (10, 15, 20, 30, 45, 60, 90, 120, 180)
LOADS = (10, 20, 30, 45, 60, 80, 100, 120, 160, 240)
BASE, REFERENCE = "upstream", "courtesy"  # ratios are against the first, maps against the second
PARITY_FRAMES = 6


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def make_bundle() -> None:
    """The float32 bundle of the shipped weights, made again when they change."""
    if pipelines.is_fresh(pipelines.FP32 / "manifest.json"):
        return
    say("exporting the float32 bundle")
    command = [sys.executable, "-m", "lvs_export.cli", "--ckpt", str(pipelines.CHECKPOINT), "--split", "--dynamic",
               "--out", str(pipelines.FP32), "--name", "lvs-default"]  # fmt: skip
    subprocess.run(command, check=True, cwd=pipelines.ROOT, stdout=subprocess.DEVNULL)


def parity(workers: dict[str, Worker]) -> dict[str, Any]:
    """Per pipeline: distance of its maps from torch eager's, same frames, same 3 s of sound."""
    maps = {name: worker.ask("maps", PARITY_FRAMES) for name, worker in workers.items()}
    reference, found = maps[REFERENCE], {}
    for name, own in maps.items():
        if own is not None:
            correlation = float(np.corrcoef(own.ravel(), reference.ravel())[0, 1])
            found[name] = {
                "max_abs": round(float(np.abs(own - reference).max()), 6),
                "correlation": round(correlation, 5),
                "peaks_moved": int(sum(a.argmax() != b.argmax() for a, b in zip(own, reference, strict=True))),
                "frames": PARITY_FRAMES,
            }
    return found


def cost(workers: dict[str, Worker], rounds: int, seconds: float) -> dict[str, Any]:
    """Per pipeline: wall and CPU ms of a frame (median of rounds), and base / it with its interval."""
    names = list(workers)
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            done = workers[name].ask("block", seconds, 30.0)
            wall[name].append(done["wall_ms"])
            cpu[name].append(done["cpu_ms"])
        say(f"cost: round {number + 1} of {rounds}")

    def times_less(figures: dict[str, list[float]], name: str) -> dict[str, Any]:
        blocks = [[np.array([value]) for value in figures[key]] for key in (name, BASE)]
        return paired.paired_ratio(blocks[0], blocks[1]).as_dict()

    return {
        name: {
            "wall_ms": round(float(np.median(wall[name])), 3),
            "wall_min_ms": round(min(wall[name]), 3),
            "cpu_ms": round(float(np.median(cpu[name])), 3),
            "rounds": rounds,
            "wall_times_less": times_less(wall, name),
            "cpu_times_less": times_less(cpu, name),
        }
        for name in names
    }


def open_row(done: dict[str, Any], fps: float) -> dict[str, Any]:
    """What an open loop came to."""
    ages = percentiles.summary(done["ages_ms"], unit="")
    share = done["dropped"] / done["offered"]
    return {
        "fps": fps, "offered": done["offered"], "drop_share": round(share, 4), "age_ms": ages,
        "results_hz": round(done["results_hz"], 2), "cpu_percent": round(done["cpu_percent"], 1),
    }  # fmt: skip


def sustainable(worker: Worker, frames: int) -> dict[str, Any]:
    """Highest rate of the ladder that holds: by bisection, every rate with about `frames` frames."""
    tried: dict[int, dict[str, Any]] = {}

    def holds(fps: int, every: bool) -> bool:
        if fps not in tried:
            tried[fps] = open_row(worker.ask("open", float(fps), frames), fps)
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
    once = worker.ask("open", 30.0, round(30 * seconds))["services_ms"]
    s50, s95 = percentiles.nearest_rank(once, 50), percentiles.nearest_rank(once, 95)
    points = []
    for fps in LOADS:
        done = worker.ask("open", float(fps), max(100, round(fps * seconds)))
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
    """1, 2, 4, 8 cameras of 30 fps on one model, one worker in turn."""
    table = []
    for streams in (1, 2, 4, 8):
        done = worker.ask("open", 30.0, round(30 * seconds), streams)
        row = open_row(done, 30.0)
        services = done["services_ms"]
        drawn = prediction.simulate(services.tolist(), 1000 / 30, cameras=streams)
        table.append(
            {
                "cameras": streams, **row, "results_hz_each": round(row["results_hz"] / streams, 2),
                "cpu_percent_each": round(row["cpu_percent"] / streams, 1),
                "simulated_p95_ms": round(drawn.age_p95_ms, 3),
                "simulated_drop_share": round(drawn.drop_share, 4),
            }
        )  # fmt: skip
    return table


def threads_and_windows(seconds: float) -> dict[str, Any]:
    """Image encoder over threads; audio encoder over the length of its window; interleaved."""
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    localizers = {count: Localizer.from_bundle(None, "cpu", count) for count in (1, 2)}
    pictures = {count: made.prepare_image(frame) for count, made in localizers.items()}
    arms = [paired.timed(lambda c=c: localizers[c].embed_prepared(pictures[c])) for c in localizers]  # type: ignore[misc]
    lengths = (0.5, 1.0, 3.0, 10.0)
    sound = np.random.default_rng(1).normal(0, 0.1, 160_000).astype(np.float32)
    arms += [paired.timed(lambda s=s: localizers[2].embed_audio(sound[: round(s * 16_000)])) for s in lengths]  # type: ignore[misc]
    once_ms = sum(arm() for arm in arms)
    rounds = max(3, round(seconds * 1e3 / (once_ms * 5)))
    blocks = paired.interleave(arms, rounds, runs=5)
    figures = [percentiles.summary(np.concatenate(b)) for b in blocks]
    return {
        "image_threads": [{"threads": c, **f} for c, f in zip(localizers, figures[:2], strict=True)],
        "audio_window": [{"window_s": s, **f} for s, f in zip(lengths, figures[2:], strict=True)],
    }


def session(seconds: float) -> dict[str, Any]:
    """The product's own session at 30 fps with sound, everything as lvs-live does by default."""
    localizer = Localizer.from_bundle(None, "cpu")
    plan = camera.CameraPlan(fps=30.0, seconds=seconds)
    shown = camera.material(plan)
    meter = Meter().start()
    done = camera.run(localizer, plan, shown)
    meter.stop()
    settings = {"width": 640, "height": 360, "fps": 30.0, "audio_hz": None, "streams": 1, "input_sha256": shown.sha256}
    started = cold.measure(None, "cpu", None)
    return report.session_report("camera", localizer, done, meter, settings, started, BUDGET_MS)


def measure(names: list[str], scale: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything; `scale` 1 is the ten-minute run. Returns the report and ages by name for the plot."""
    make_bundle()
    meter, workers, failed = Meter().start(), {}, {}
    for name in names:
        say(f"starting {name}")
        try:
            workers[name] = Worker(name)
        except RuntimeError as error:
            failed[name] = str(error).strip().splitlines()[-1]
            say(f"{name} cannot run: {failed[name]}")
    agree = parity(workers)
    costs = cost(workers, max(4, round(10 * scale)), 0.5)
    rows, ages = {}, {}
    for name, worker in workers.items():
        say(f"open loop: {name}")
        too_slow = costs[name]["wall_min_ms"] > BUDGET_MS
        done = worker.ask("open", 30.0, round(300 * scale))
        ages[name] = done["ages_ms"]
        rows[name] = {
            "label": pipelines.PIPELINES[name][0], "facts": worker.facts, "parity": agree.get(name),
            "cost": costs[name], "open_30": open_row(done, 30.0),
            "sustainable": {"every_frame_fps": None, "freshest_frame_fps": None, "tried": [],
                            "why": "one frame costs more than the budget"}
            if too_slow else sustainable(worker, max(110, round(150 * scale))),
            "rss_mb_peak": worker.ask("memory"),
        }  # fmt: skip
    curve = load_curve(workers["ours_int8"], 4 * scale)
    table = cameras(workers["ours_int8"], 5 * scale)
    for worker in workers.values():
        worker.close()
    say("threads, windows, session")
    extra = threads_and_windows(12 * scale)
    own = session(30 * scale)
    meter.stop()
    result = {
        **report.envelope("performance", meter, False), "budget_ms": BUDGET_MS, "threads": pipelines.THREADS,
        "run": {"mode": "performance", "open_loop": True, "width": 640, "height": 360, "fps": 30.0,
                "audio_hz": 10.0, "scale": scale},
        "pipelines": rows, "failed": failed, "load": curve, "cameras": table, **extra, "session": own,
        "notes": ["one worker for picture and sound in every pipeline of the table",
                  "shared machine: see resources.load_1min_start and disturbed"],
        "not_covered": ["GPU (not measured here)", "batches: the shipped graphs take one picture",
                        *report.NOT_COVERED["camera"]],
    }  # fmt: skip
    return result, ages


def device_name(machine: dict[str, Any]) -> str:
    """ "AMD EPYC", 2 virtual cores -> "epyc-2vcpu"."""
    words = re.findall(r"[a-z0-9]+", str(machine["cpu"]).lower().split(" with ")[0].split("@")[0])
    kept = [word for word in words if word not in ("amd", "intel", "r", "tm", "cpu", "processor", "core")]
    return f"{'-'.join(kept[:3]) or 'cpu'}-{machine['cores']}{'v' if machine['virtualized'] else ''}cpu"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=pipelines.ROOT / "benchmarks/results")
    parser.add_argument("--device-name", help="in the file's name; default: the CPU's, e.g. epyc-2vcpu")
    parser.add_argument("--only", nargs="*", default=list(pipelines.PIPELINES), help="pipelines (all)")
    parser.add_argument("--scale", type=float, default=1.0, help="length of everything; 0.3 for a look")
    args = parser.parse_args()
    names = [name for name in pipelines.PIPELINES if name in {*args.only, BASE, REFERENCE, "ours_int8"}]
    result, ages = measure(names, args.scale)
    stem = f"performance_{args.device_name or device_name(result['machine'])}_{datetime.date.today().isoformat()}"
    writing.write_json("--out", args.out / f"{stem}.json", result)
    for name, made in (
        ("load", plots.load(result["load"], "lvs int8, sound at 10 Hz: age against load")),
        ("ages", plots.cdf({pipelines.PIPELINES[n][0]: a for n, a in ages.items()}, BUDGET_MS, "Age at 30 fps")),
    ):
        writing.write_bytes("--out", args.out / f"{stem}_{name}.png", plots.png(made))
    print(json.dumps({name: row["cost"]["wall_ms"] for name, row in result["pipelines"].items()}))
    print(f"written: {args.out / stem}.json")


if __name__ == "__main__":
    main()
