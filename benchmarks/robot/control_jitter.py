"""A 1 kHz control thread in the same process as a session: how late its ticks are, alone and beside it, in turns.

    python benchmarks/robot/control_jitter.py --json benchmarks/results/control_jitter_<device>_<date>.json

Lateness of a tick: when it ran minus when it was due. Each segment alone is followed by one with a session that runs
ready-made pictures (640x360, 30 fps) and sound through the shipped model, pushed by a thread of its own as a robot's
program would; so what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lvs_runtime import LiveSession, Localizer
from lvs_runtime.bench import machine, percentiles
from lvs_runtime.drawn.scene import scene

PERIOD_NS = 1_000_000


def ticks(seconds: float) -> list[float]:
    """Lateness of each tick of a thread of its own, ms. A tick that came after the next was due skips that one."""
    late: list[float] = []

    def control() -> None:
        due = time.monotonic_ns() + PERIOD_NS
        end = due + round(seconds * 1e9)
        state = 0.0
        while due < end:
            wait = due - time.monotonic_ns()
            if wait > 0:
                time.sleep(wait / 1e9)
            now = time.monotonic_ns()
            late.append((now - due) / 1e6)
            for k in range(20):  # some arithmetic, as a controller has
                state = 0.9 * state + 0.1 * k
            due += PERIOD_NS * (1 + (now - due) // PERIOD_NS)

    thread = threading.Thread(target=control, name="control")
    thread.start()
    thread.join()
    return late


def feed(session: LiveSession, pictures: list[Any], sound: Any, stop: threading.Event) -> None:
    """30 pictures a second and the sound between them."""
    begin, index = time.monotonic_ns(), 0
    while not stop.is_set():
        stamp = begin + index * 1_000_000_000 // 30
        time.sleep(max(0.0, (stamp - time.monotonic_ns()) / 1e9))
        first = index * 16_000 // 30
        block = sound[first % 150_000 : first % 150_000 + 533]
        session.push_audio(block, 16_000, stamp - 33_312_500)
        session.push_frame(pictures[index % len(pictures)], stamp)
        index += 1


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--switch-interval-ms", type=float, default=5.0, help="sys.setswitchinterval; Python's own is 5"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    sys.setswitchinterval(args.switch_interval_ms / 1e3)
    localizer = Localizer.from_bundle(threads=1)
    drawn = scene(7)
    pictures, sound = [drawn.frame(0.3 * k, (640, 360)) for k in range(8)], drawn.sound(16_000)
    load = machine.load_1min()
    alone: list[float] = []
    beside: list[float] = []
    results = 0
    for _ in range(args.rounds):
        gc.collect()
        alone += ticks(args.seconds)
        with LiveSession("push", "push", localizer) as session:
            stop = threading.Event()
            feeder = threading.Thread(target=feed, args=(session, pictures, sound, stop))
            feeder.start()
            time.sleep(1.0)
            beside += ticks(args.seconds)
            stop.set()
            feeder.join()
            results += session.stats().processed
    figures: dict[str, Any] = {
        "alone": percentiles.summary(alone),
        "beside": percentiles.summary(beside),
        "share_later_than_1_ms": {
            "alone": round(sum(v > 1 for v in alone) / len(alone), 4),
            "beside": round(sum(v > 1 for v in beside) / len(beside), 4),
        },
        "ticks_of_those_due": {
            "alone": round(len(alone) / (args.rounds * args.seconds * 1000), 3),
            "beside": round(len(beside) / (args.rounds * args.seconds * 1000), 3),
        },
        "results_meanwhile": results,
    }
    print(json.dumps(figures, indent=1))
    if args.json:
        record = {
            "schema": "lvs-bench/1",
            "topic": "control_jitter",
            "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": ["benchmarks/robot/control_jitter.py", *sys.argv[1:]],
            "git_commit": machine.commit()[0],
            "machine": machine.machine(),
            "software": machine.software(),
            "run": {"period_ms": 1.0, "rounds": args.rounds, "segment_s": args.seconds,
                    "switch_interval_ms": args.switch_interval_ms},
            "resources": {"load_1min_start": load, "load_1min_end": machine.load_1min()},
            "figures": figures,
        }  # fmt: skip
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
