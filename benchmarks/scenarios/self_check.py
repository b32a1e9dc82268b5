"""The tool against itself in real time: models with known delays through the product's session, and a null model.

    python -m benchmarks.scenarios.self_check [--seconds 20] [--json FILE]

The same in virtual time, exact and without waiting, is tested in tests/bench. Here real threads, sleeps and clocks take
part: what comes out beyond the known delay is what session and tool add on this machine, now.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.bench import camera, percentiles, report, writing
from lvs_runtime.bench.clocks import RealClock
from lvs_runtime.bench.resources import Meter
from lvs_runtime.localizer import Localizer


class Delayed:
    """A localizer whose encoders wait instead of computing: `delay_s()` for each picture, nothing for sound."""

    def __init__(self, real: Localizer, delays_s: Any) -> None:
        self._real, self._delays, self.calls = real, delays_s, 0
        rng = np.random.default_rng(0)
        cells = rng.random((512, 14, 14), np.float32)
        self._cells = cells / np.linalg.norm(cells, axis=0)
        self._sound = self._cells[:, 7, 7].copy()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def embed_prepared(self, _picture: Any) -> Any:
        """Wait."""
        end_s = time.monotonic() + self._delays[self.calls % len(self._delays)]
        self.calls += 1
        while (left_s := end_s - time.monotonic()) > 0:
            time.sleep(left_s)
        return self._cells

    def embed_audio(self, _waveform: Any) -> Any:
        """At once."""
        return self._sound


class Nothing:
    """A session that takes everything and does nothing."""

    def push_frame(self, frame_bgr: Any, capture_ns: int | None = None) -> None:
        """Take a frame."""

    def push_audio(self, samples: Any, sample_rate: int, capture_ns: int) -> None:
        """Take sound."""


def tool_alone(seconds: float) -> dict[str, Any]:
    """CPU of the feeder's own thread without anything of the session in it."""
    plan = camera.CameraPlan(fps=30.0, seconds=seconds)
    fed = camera.feed([Nothing()], plan, camera.material(plan), RealClock())
    return {"feeder_cpu_percent": round(fed.cpu_ns / (seconds + plan.warmup_s) / 1e7, 3), "frames": len(fed.due)}


def say(name: str, told: dict[str, Any]) -> None:
    """One line a case."""
    image, known, used = told["image"], told["known"], told["overhead"]
    pairs = "  ".join(f"{p} {image[f'{p}_ms']:.3f} (known {known[f'{p}_ms']:.3f})" for p in ("p50", "p95"))
    print(
        f"{name:14} image {pairs}  age p50 {told['age']['p50']:.3f}  late or dropped {told['late_or_dropped_33ms']}  "
        f"recording {used['recording_cpu_percent']} % of a CPU"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    real, rng = Localizer.from_bundle(None, "cpu", 1), np.random.default_rng(0)
    cases = {
        "null": np.zeros(1000),
        "fixed 10 ms": np.full(1000, 0.010),
        "lognormal": np.clip(rng.lognormal(np.log(0.008), 0.5, 1000), 0, 0.030),
        "stall of 1 s": np.where(np.arange(1000) == 90, 1.0, 0.005),
    }
    meter, rows = Meter().start(), {}
    for name, delays in cases.items():
        plan = camera.CameraPlan(fps=30.0, seconds=args.seconds)
        model: Any = Delayed(real, delays.tolist())
        inner = Meter().start()
        done = camera.run(model, plan, camera.material(plan))
        inner.stop()
        used = report.overhead_block(done)
        image, ages = done.rows.stage_ms("image"), done.rows.age_ms
        known = np.resize(delays, len(image) + 31)[31:] * 1e3
        rows[name] = {
            "known": percentiles.summary(known), "image": percentiles.summary(image),
            "age": percentiles.summary(ages, unit=""), "dropped": len(done.dropped),
            "late_or_dropped_33ms": int((ages > 1000 / 30).sum()) + len(done.dropped),
            "session_cpu_percent": inner.block()["cpu_percent"], "overhead": used,
        }  # fmt: skip
        say(name, rows[name])
    rows["tool alone"] = tool_alone(args.seconds)
    print(f"tool alone: feeder {rows['tool alone']['feeder_cpu_percent']} % of a CPU into a session that does nothing")
    meter.stop()
    if args.json:
        writing.write_json("--json", args.json, {**report.envelope("self_check", meter, False), "cases": rows})


if __name__ == "__main__":
    main()
