"""lvs-live beside the loop that one writes first: results a second, age, skew, CPU. Same devices, runs interleaved.

    python benchmarks/live/side_by_side.py --seconds 20 --rounds 3 --json benchmarks/results/live_<device>_<date>.json

A virtual camera (640x480 at 30 fps) and microphone play flashes and beeps, or a clip. Ages count from the moment a
frame was scheduled (open loop: a late frame is not excused), up to the result; lvs-live has a web viewer attached.
`rate10` is lvs-live with 10 shared audio windows a second, as it was before frames had their own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "devices"))
from virtual_devices import VirtualDevices, build_shim, wait_until

from benchmarks.live.context import context

HERE = Path(__file__).parent
SIZE, FPS = "640x480", 30
WARM_UP_S = 4.0  # devices open, the clock settles, 10 s spectrograms have something to see
PROGRAMS = ("lvs", "rate10", "upstream")


def run(program: str, seconds: float, clip: Path | None) -> dict[str, Any]:
    """One program for a while."""
    with tempfile.TemporaryDirectory() as folder:
        devices = VirtualDevices(Path(folder), build_shim(Path(folder) / "fakev4l2.so"))
        devices.environment |= {"FAKEV4L2_SIZE": SIZE, "FAKEV4L2_FPS": str(FPS)}
        try:
            devices.start_pulse()
            feed = ["--size", SIZE, "--fps", str(FPS), *(["--clip", clip.resolve()] if clip else [])]
            devices.feed("--camera", devices.camera_fifo, "--mic", devices.mic_fifo, *feed)
            wait_until("the feeder is ready", lambda: "feeding" in (Path(folder) / "feeder.log").read_text())
            process = start(devices, program, Path(folder))
            wait_until("first results", lambda: len(devices.results()) > 5, process, devices.log)
            time.sleep(WARM_UP_S)
            begin_ns, before_s = time.monotonic_ns(), cpu_s(process.pid)
            time.sleep(seconds)
            end_ns, after_s = time.monotonic_ns(), cpu_s(process.pid)
            rss_mb = memory_mb(process.pid)
            devices.end(process, signal.SIGKILL if program == "upstream" else signal.SIGINT)  # torch hangs there
            figures = report(devices.results(), begin_ns, end_ns)
            return {"program": program, **figures, "cpu_cores": (after_s - before_s) * 1e9 / (end_ns - begin_ns)} | {
                "rss_mb": rss_mb,
                "load_average_1min": os.getloadavg()[0],
            }
        finally:
            for process in reversed(devices.processes):
                devices.end(process)


def start(devices: VirtualDevices, program: str, folder: Path) -> Any:
    """Start it with its results going to results.jsonl."""
    results = folder / "results.jsonl"
    if program == "upstream":
        shim = {"LD_PRELOAD": str(devices.shim), "FAKEV4L2_SRC": str(devices.camera_fifo)}
        return devices.spawn([sys.executable, HERE / "upstream_loop.py", results], "live.log", **shim)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rate = ["--audio-rate", "10"] if program == "rate10" else []
    process = devices.live(
        "--camera", "0", "--mic", "default", "--headless", "--sink", f"jsonl:{results}", "--sink", f"web:{port}", *rate
    )
    devices.spawn([sys.executable, HERE / "viewer.py", port], "viewer.log")
    return process


def report(rows: list[dict[str, Any]], begin_ns: int, end_ns: int) -> dict[str, Any]:
    """Figures of the rows whose result came between the two moments."""
    rows = [row for row in rows if begin_ns <= row["output_ns"] < end_ns]
    capture = np.array([row["capture_ns"] for row in rows])
    age_ms = (np.array([row["output_ns"] for row in rows]) - scheduled(capture)) / 1e6
    figures: dict[str, Any] = {
        "results": len(rows),
        "results_hz": len(rows) * 1e9 / (end_ns - begin_ns),
        "age_ms": quantiles(age_ms, 50, 95),
        "age_from_driver_stamp_ms": quantiles(age_ms - (capture - scheduled(capture)) / 1e6, 50, 95),
    }
    heard = [row for row in rows if "audio_end_ns" in row and "no_audio" not in row["flags"]]
    if heard:
        skew = np.array([row["av_skew_ms"] for row in heard])
        figures["av_skew_ms"] = quantiles(skew, 5, 50, 95)
        figures["abs_skew_p95_ms"] = quantiles(np.abs(skew), 95)["p95"]
        windows = len({row["audio_end_ns"] for row in heard})
        figures["audio_windows_hz"] = windows * 1e9 / (end_ns - begin_ns)
        stages = [row["stages_ms"] for row in heard]
        figures["stages_p50_ms"] = {k: float(np.median([s[k] for s in stages])) for k in stages[0]}
    return figures


def scheduled(capture_ns: np.ndarray) -> np.ndarray:
    """When each frame was due: the camera's grid begins where most stamps follow within 1 ms; others came late.

    The feeder skips a frame that is late by a whole interval, so lateness is less than that.
    """
    period_ns = 1e9 / FPS
    since_ns = (capture_ns - capture_ns[0]).astype(np.float64)
    phase = since_ns % period_ns
    followers = ((phase[None, :] - phase[:, None]) % period_ns < 1e6).sum(axis=1)
    start_ns = phase[followers.argmax()] - 0.2e6  # a stamp of the few that are earlier still is on time
    index = np.floor((since_ns - start_ns) / period_ns)
    return capture_ns[0] + np.round(start_ns + index * period_ns).astype(np.int64)


def quantiles(values: np.ndarray, *which: int) -> dict[str, float]:
    """Nearest rank."""
    return {f"p{q}": round(float(np.percentile(values, q, method="inverted_cdf")), 2) for q in which}


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    runs = []
    for _ in range(args.rounds):
        for program in PROGRAMS:
            runs.append(run(program, args.seconds, args.clip))
            print(json.dumps(runs[-1]), flush=True)
    summary = {}
    for program in PROGRAMS:
        mine = [r for r in runs if r["program"] == program]
        summary[program] = {
            "results_hz": float(np.median([r["results_hz"] for r in mine])),
            "age_p50_ms": float(np.median([r["age_ms"]["p50"] for r in mine])),
            "age_p95_ms": float(np.median([r["age_ms"]["p95"] for r in mine])),
            "cpu_cores": float(np.median([r["cpu_cores"] for r in mine])),
        }
    summary["cpu_ratio_own_windows_to_rate10"] = summary["lvs"]["cpu_cores"] / summary["rate10"]["cpu_cores"]
    print(json.dumps(summary, indent=1))
    if args.json:
        record = {**context(), "size": SIZE, "fps": FPS, "seconds": args.seconds, "median_of_runs": summary}
        args.json.write_text(json.dumps({**record, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
