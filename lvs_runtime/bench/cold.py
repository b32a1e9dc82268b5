"""Cold start: a new process from its start to its first result. A figure of its own, not something to throw away."""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from typing import Any

CODE = "from lvs_runtime.bench.cold import main\nmain()"


def measure(bundle: str | None, device: str, threads: int | None) -> dict[str, Any]:
    """Milliseconds of import, bundle check, session creation, first inference, and start to first result.

    Runs a new interpreter; its start is part of `first_result`. Raises `DeviceError` when it fails.
    """
    from ..doctor import isolate
    from ..errors import DeviceError

    arguments = json.dumps({"bundle": bundle, "device": device, "threads": threads, "start_ns": time.monotonic_ns()})
    try:
        answer: dict[str, Any] = isolate.run(CODE, arguments, timeout_s=300.0)
    except isolate.ProbeError as error:
        raise DeviceError(f"cold start of the bench failed: {error}; see lvs-doctor") from error
    return answer


def main() -> None:
    """Entry point in the new process: one JSON argument, one JSON line."""
    asked = json.loads(sys.argv[1])
    marks = [time.monotonic_ns()]
    import numpy as np

    from ..backends import open_backend
    from ..bundle import Bundle
    from ..localizer import Localizer

    marks.append(time.monotonic_ns())
    bundle = Bundle.open(asked["bundle"])
    marks.append(time.monotonic_ns())
    localizer = Localizer(bundle, open_backend(bundle, asked["device"], asked["threads"]), asked["device"])
    marks.append(time.monotonic_ns())
    frame = np.full((480, 640, 3), 128, np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    localizer.localize(frame, noise, 16_000)
    marks.append(time.monotonic_ns())
    names = ("import", "bundle_check", "session", "first_inference")
    spans = {name: round((b - a) / 1e6, 3) for name, (a, b) in zip(names, pairwise(marks), strict=True)}
    # CLOCK_MONOTONIC is one clock for all processes: the interpreter's own start counts.
    print(json.dumps({**spans, "first_result": round((marks[-1] - asked["start_ns"]) / 1e6, 3)}))
