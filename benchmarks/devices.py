"""lvs-live on a camera and a microphone for a while, as a robot would run it: rates, ages, skew, clean stop.

    python benchmarks/devices.py --clip clip.mp4 --seconds 30 --json benchmarks/results/devices_<device>_<date>.json

Plays a clip into a V4L2 device (a preloaded shim) and into PulseAudio (a pipe source), runs
`lvs-live --camera 0 --mic default` on them, ends it with SIGINT or SIGTERM, and reads back what it wrote.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "devices"))
from virtual_devices import VirtualDevices, build_shim, wait_until

SIZE, FPS = "640x480", 30
WARM_UP = 30  # results left out: devices open and the clock settles


def run(clip: Path | None, seconds: float, stop: signal.Signals, options: list[str]) -> dict[str, object]:
    """One run; returns what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        devices = VirtualDevices(Path(folder), build_shim(Path(folder) / "fakev4l2.so"))
        try:
            devices.start_pulse()
            devices.environment |= {"FAKEV4L2_SIZE": SIZE, "FAKEV4L2_FPS": str(FPS)}
            feed = ["--size", SIZE, "--fps", str(FPS), *(["--clip", clip.resolve()] if clip else [])]
            devices.feed("--camera", devices.camera_fifo, "--mic", devices.mic_fifo, *feed)
            log = Path(folder) / "feeder.log"
            wait_until("the feeder has its clip", lambda: "feeding" in log.read_text())
            live = devices.live(
                "--camera", "0", "--mic", "default", "--headless", "--sink", f"jsonl:{folder}/results.jsonl",
                "--sink", f"{folder}/out.mp4", "--stats-json", f"{folder}/stats.json", *options,
            )  # fmt: skip
            wait_until("first results", lambda: len(devices.results()) > WARM_UP, live, devices.log)
            time.sleep(seconds)
            asked = time.monotonic()
            code = devices.end(live, stop)
            return report(devices, code, time.monotonic() - asked, Path(folder)) | {
                "clip": clip.name if clip else "flash"
            }
        finally:
            for process in reversed(devices.processes):
                devices.end(process)


def report(devices: VirtualDevices, code: int, stop_s: float, folder: Path) -> dict[str, object]:
    """Figures of one run, from its own records."""
    rows = devices.results()[WARM_UP:]
    span_s = (rows[-1]["capture_ns"] - rows[0]["capture_ns"]) / 1e9
    skew = np.array([r["av_skew_ms"] for r in rows if "no_audio" not in r["flags"]])
    age = np.array([r["age_ms"] for r in rows])
    stats = json.loads((folder / "stats.json").read_text())
    return {
        "exit_code": code,
        "stop_s": round(stop_s, 2),
        "seconds": round(span_s, 1),
        "results": len(rows),
        "fps": round((len(rows) - 1) / span_s, 2),
        "age_ms": {f"p{q}": round(float(np.percentile(age, q, method="inverted_cdf")), 1) for q in (50, 95)},
        "av_skew_ms": {f"p{q}": round(float(np.percentile(skew, q, method="inverted_cdf")), 1) for q in (5, 50, 95)},
        "share_with_sound": round(len(skew) / len(rows), 3),
        "audible_share": round(float(np.mean([r["audible"] for r in rows])), 3),
        "boxes_share": round(float(np.mean([bool(r["boxes_px"]) for r in rows])), 3),
        "provider": rows[-1]["provider"],
        "precision": rows[-1]["precision"],
        "frames": stats["frames"],
        "recording": recording(folder / "out.mp4"),
        "summary": devices.log.read_text().splitlines()[-5:],
    }


def recording(path: Path) -> dict[str, float]:
    """What the mp4 holds, decoded to its end."""
    import av

    with av.open(str(path)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        samples = [(frame.samples, frame.sample_rate) for frame in container.decode(audio=0)]
    return {
        "pictures": len(times),
        "picture_s": round(times[-1] - times[0], 2),
        "sound_s": round(sum(n for n, _ in samples) / samples[0][1], 2),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    args, options = parser.parse_known_args()
    runs = []
    for number, clip in enumerate(args.clip or [None]):
        runs.append(run(clip, args.seconds, (signal.SIGINT, signal.SIGTERM)[number % 2], options))
        print(json.dumps(runs[-1], indent=1))
    if args.json:
        context = {"date": datetime.date.today().isoformat(), "machine": platform.machine(), "cores": os.cpu_count()}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({**context, "cpu": cpu(), "options": options, "runs": runs}, indent=1) + "\n")


def cpu() -> str:
    """Model name, as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
