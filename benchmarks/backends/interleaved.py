"""The same bundle on every back end of this machine, interleaved: ratios that bear a shared machine, ms that do not.

    python benchmarks/backends/interleaved.py [--bundle DIR] [--rounds 80] [--threads 1 2] [--json FILE]

Each round runs every back end once, image then audio; a disturbance then falls on all of them alike. Minima say what
the machine can do, medians what it did. Nothing is read from or written to the caches of the back ends.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path

os.environ["LVS_CACHE"] = "0"

from lvs_runtime.backends import Backend, open_named
from lvs_runtime.backends.auto import CPU_DEVICES, GPU_DEVICES, _inputs
from lvs_runtime.backends.host import cpu_model, nvidia_gpus, version_of
from lvs_runtime.bundle import Bundle

WARM_UP = 3


def open_all(path: str | None, threads: list[int]) -> dict[str, Backend]:
    """Back ends that are installed and that this machine can run, by "device/threads"; GPU engines once."""
    opened = {}
    for device, (distributions, _) in {**CPU_DEVICES, **GPU_DEVICES}.items():
        if version_of(*distributions) is None or (device in GPU_DEVICES and not nvidia_gpus()):
            continue
        for count in threads if device in CPU_DEVICES else threads[:1]:
            opened[f"{device}/{count}"] = open_named(Bundle.open(path), device, count)
    return opened


def measure(backends: dict[str, Backend], bundle: Bundle, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each run: part -> back end -> one value a round."""
    inputs = _inputs(bundle)
    for backend in backends.values():
        for part, array in inputs.items():
            for _ in range(WARM_UP):
                backend.run(part, array)
    times: dict[str, dict[str, list[float]]] = {part: {name: [] for name in backends} for part in inputs}
    for _ in range(rounds):
        for name, backend in backends.items():
            for part, array in inputs.items():
                start_ns = time.perf_counter_ns()
                backend.run(part, array)
                times[part][name].append((time.perf_counter_ns() - start_ns) / 1e6)
    return times


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="folder (default: the shipped bundle)")
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    bundle = Bundle.open(args.bundle)
    load_start = os.getloadavg()[0]
    backends = open_all(args.bundle, args.threads)
    times = measure(backends, bundle, args.rounds)
    stages = {}
    print(f"{bundle.name} on {cpu_model()}; {args.rounds} rounds; load {load_start:.1f} to {os.getloadavg()[0]:.1f}")
    for part, runs in times.items():
        for name, values in runs.items():
            base = runs[f"cpu/{name.partition('/')[2]}"]
            figures = {
                "min_ms": round(min(values), 3),
                "p50_ms": round(statistics.median(values), 3),
                "speed_against_cpu_min": round(min(base) / min(values), 2),
                "speed_against_cpu_p50": round(statistics.median(base) / statistics.median(values), 2),
            }
            stages.setdefault(part, {})[name] = figures
            print(f"{part:6}{name:12}" + "  ".join(f"{key} {value}" for key, value in figures.items()))
    if args.json:
        answer = {
            "schema": "lvs-backends/1",
            "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "cpu": cpu_model(),
            "gpus": nvidia_gpus(),
            "shared_machine_load_1min": [load_start, os.getloadavg()[0]],
            "bundle": bundle.name,
            "rounds": args.rounds,
            "backends": {name: backend.describe() for name, backend in backends.items()},
            "stages": stages,
        }
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
