"""Our pipelines against what a user would pick instead: one machine, one interleaved run, outputs compared first.

    python -m benchmarks.scenarios.performance [--scale 0.3] [--only ours_int8 ...]

1 parity       maps of every pipeline against torch eager, on the same frames and sound, before anything is timed
2 cost         blocks of half a second in turn, order reversed each round; ratios per round, bootstrap over rounds
3 ages         open loop at 30 fps for each
4 sustainable  highest rate with p95 age <= 50 ms, with (freshest) and without (every frame) drops
5 load         age against load and where it breaks, with what queueing predicts from two numbers
6 scaling      cameras on one model; threads; pictures at once; length of the audio window
7 session      the product's own loop (lvs-bench camera) with sound

Pipelines for a GPU run where one is usable, else the result says why not. Writes
benchmarks/results/performance_<device>_<date>.json, <device> named by CPU (or GPU), vector units and cores.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.bench import camera, cold, machine, paired, percentiles, plots, report, scaling, single, writing
from lvs_runtime.bench.resources import Meter
from lvs_runtime.localizer import Localizer

from . import loads, pipelines
from .loads import BUDGET_MS, say
from .worker import Worker

BASE, REFERENCE = "upstream", "courtesy"  # ratios are against the first, maps against the second
PARITY_FRAMES = 6
phases_s: dict[str, float] = {}  # how long each part took


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Say what goes on, and keep how long it took."""
    say(f"{name} ...")
    begin_s = time.monotonic()
    yield
    phases_s[name] = round(time.monotonic() - begin_s, 1)


SHIPPED = ("--ckpt", str(pipelines.CHECKPOINT), "--split", "--dynamic", "--name", "lvs-default")
BUNDLES = {  # how each is exported
    pipelines.FP32: SHIPPED,
    pipelines.FP16: (*SHIPPED, "--fp16"),
    pipelines.TRT: (*SHIPPED, "--fp16", "--format", "engine"),
}


def make_bundle(path: Path) -> None:
    """A bundle of the shipped weights, made again when they change."""
    if pipelines.is_fresh(path / "manifest.json"):
        return
    say(f"exporting {path.name}")
    command = [sys.executable, "-m", "lvs_export.cli", *BUNDLES[path], "--out", str(path)]
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


def threads(seconds: float, device: str) -> list[dict[str, Any]]:
    """Cost of one picture by CPU threads, interleaved."""
    counts = [count for count in (1, 2, 4, 8) if count <= (len(machine.affinity() or [0, 0]))]
    frame = single.drawn_inputs(16_000, 1.0)[0][0]
    localizers = [Localizer.from_bundle(None, device, count) for count in counts]
    arms = [paired.timed(lambda made=made: made.embed_image(frame)) for made in localizers]  # type: ignore[misc]
    once_ms = sum(arm() for arm in arms)
    blocks = paired.interleave(arms, max(5, round(seconds * 1e3 / (once_ms * 5))), runs=5)
    return [
        {"threads": count, **percentiles.summary(np.concatenate(block))}
        for count, block in zip(counts, blocks, strict=True)
    ]


def scaled(seconds: float, device: str, bundle: Path | None) -> dict[str, Any]:
    """Pictures at once and lengths of sound on one device; what goes to a GPU and comes back is inside."""
    localizer = Localizer.from_bundle(bundle, device)
    inputs = single.drawn_inputs(localizer.bundle.audio.sample_rate, 1.0)
    facts = {"device": device, "provider": localizer.provider, "precision": localizer.precision}
    return {**facts, **scaling.measure(localizer, inputs, seconds)}


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


def compared(workers: dict[str, Worker], scale: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of the table, and ages by name for the plot."""
    with phase("parity"):
        agree = parity(workers)
    with phase("cost"):
        costs = cost(workers, max(4, round(10 * scale)), 0.5)
    rows, ages = {}, {}
    for name, worker in workers.items():
        with phase(f"open loop: {name}"):
            done = worker.ask("open", 30.0, max(60, round(300 * scale)))
            ages[name] = done["ages_ms"]
            rows[name] = {
                "label": pipelines.PIPELINES[name].label, "facts": worker.facts, "parity": agree.get(name),
                "cost": costs[name], "open_30": loads.open_row(done, 30.0),
                "sustainable": loads.sustainable(worker, costs[name]["wall_min_ms"]),
                "rss_mb_peak": worker.ask("memory"),
            }  # fmt: skip
    return rows, ages


def start(names: list[str]) -> tuple[dict[str, Worker], dict[str, str], dict[str, str]]:
    """Workers by name; pipelines that failed, and those that this machine has nothing for, each with the reason."""
    workers, failed, skipped = {}, {}, {}
    for name in names:
        entry = pipelines.PIPELINES[name]
        if why := entry.lacks():
            skipped[name] = why
            continue
        try:
            if entry.bundle:
                make_bundle(entry.bundle)
            workers[name] = Worker(name)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            failed[name] = str(error).strip().splitlines()[-1]
            say(f"{name} cannot run: {failed[name]}")
    return workers, failed, skipped


def measure(names: list[str], scale: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Everything; `scale` 1 is the ten-minute run. Returns the report and ages by name for the plot."""
    meter = Meter().start()
    with phase("start"):
        workers, failed, skipped = start(names)
    rows, ages = compared(workers, scale)
    with phase("load"):
        curve = loads.load_curve(workers["ours_int8"], 4 * scale)
    with phase("cameras"):
        table = loads.cameras(workers["ours_int8"], 5 * scale)
    for worker in workers.values():
        worker.close()
    with phase("threads, batches, windows"):
        by_threads = threads(4 * scale, "cpu")
        by_device = [scaled(10 * scale, "cpu", None)]
        if "cuda_fp16" in rows:
            by_device.append(scaled(10 * scale, "cuda", pipelines.FP16))
    with phase("session"):
        own = session(30 * scale)
    meter.stop()
    result = {
        **report.envelope("performance", meter, False), "budget_ms": BUDGET_MS, "threads": pipelines.THREADS,
        "run": {"mode": "performance", "open_loop": True, "width": 640, "height": 360, "fps": 30.0,
                "audio_hz": 10.0, "scale": scale},
        "pipelines": rows, "failed": failed, "skipped": skipped, "load": curve, "cameras": table,
        "image_threads": by_threads, "scaling": by_device, "session": own, "phases_s": phases_s,
        "notes": ["one worker for picture and sound in every pipeline of the table",
                  "shared machine: see resources.load_1min_start and disturbed"],
        "not_covered": [*(f"{name}: {why}" for name, why in skipped.items()), *report.NOT_COVERED["camera"]],
    }  # fmt: skip
    return result, ages


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=pipelines.ROOT / "benchmarks/results")
    parser.add_argument("--device-name", help="in the file's name; default: e.g. epyc-avx2-2vcpu")
    parser.add_argument("--only", nargs="*", default=list(pipelines.PIPELINES), help="pipelines (all)")
    parser.add_argument("--scale", type=float, default=1.0, help="length of everything; 0.3 for a look")
    args = parser.parse_args()
    names = [name for name in pipelines.PIPELINES if name in {*args.only, BASE, REFERENCE, "ours_int8"}]
    result, ages = measure(names, args.scale)
    stem = (
        f"performance_{args.device_name or machine.device_name(result['machine'])}_{datetime.date.today().isoformat()}"
    )
    writing.write_json("--out", args.out / f"{stem}.json", result)
    for name, made in (
        ("load", plots.load(result["load"], "lvs int8, sound at 10 Hz: age against load")),
        ("ages", plots.cdf({pipelines.PIPELINES[n].label: a for n, a in ages.items()}, BUDGET_MS, "Age at 30 fps")),
    ):
        writing.write_bytes("--out", args.out / f"{stem}_{name}.png", plots.png(made))
    print(", ".join(f"{name} {took_s:.0f} s" for name, took_s in phases_s.items()), file=sys.stderr)
    print(f"written: {args.out / stem}.json ({result['seconds']:.0f} s)")


if __name__ == "__main__":
    main()
