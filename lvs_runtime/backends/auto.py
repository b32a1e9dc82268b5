"""`--device auto`: what is fastest here is measured once for each machine, bundle and set of versions, and remembered.

    first start   open what is installed ──► interleaved runs of image and audio, ~3 s ──► cache file ──► fastest
    later starts  cache file ──► that one; when it no longer opens: said, and measured anew

The cache is `probe/<key>.json` in the user's cache folder. LVS_DEVICE names a device instead of measuring.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import statistics
import sys
import time
from datetime import datetime, timezone
from typing import Any

import msgspec
import numpy as np

from ..bundle import LIVE_PARTS, Bundle
from ..errors import DeviceError, LvsError
from .base import Backend, GraphBackend, default_threads
from .host import cpu_model, nvidia_gpus, read_cached, version_of, write_cached

_LOG = logging.getLogger(__name__)
BUDGET_S = 3.0  # of the whole measurement; what is opened after OPEN_UNTIL_S is listed as not measured
OPEN_UNTIL_S = 2.0
DOCTORS_S = 60.0  # who asks lvs-doctor has time
ROUNDS, LEAST_ROUNDS, WARM_UP = 15, 3, 2
AUDIO_PER_IMAGE = 8 / 30  # live use: 30 pictures and 8 windows of sound in a second
ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu")
# What takes longest to open comes first: it is quick the next time, when its compiled graph is cached, and then the
# time of the measurement reaches the others. device -> (distributions, extra)
GPU_DEVICES = {"tensorrt": (("tensorrt",), "tensorrt"), "rtx": (("tensorrt-rtx",), "rtx")}
GPU_DEVICES["cuda"] = (("onnxruntime-gpu",), "gpu")
CPU_DEVICES = {"openvino": (("openvino",), "openvino"), "cpu": (ONNXRUNTIMES, "cpu")}


class _Late(DeviceError):
    """There was no time left to open this one."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One device: its medians in ms, or why it was not measured (with the repair)."""

    device: str
    image_ms: float | None = None
    audio_ms: float | None = None
    fused_ms: float | None = None  # of a bundle that holds only the fused graph, in place of the two
    provider: str = ""
    precision: str = ""
    why_not: str = ""
    late: bool = False  # not measured for want of time: the outcome is not kept

    @property
    def cost_ms(self) -> float:
        """Of one picture and its share of sound; infinite where nothing was measured."""
        if self.fused_ms is not None:
            return self.fused_ms
        if self.image_ms is None or self.audio_ms is None:
            return float("inf")
        return self.image_ms + AUDIO_PER_IMAGE * self.audio_ms

    @property
    def usable(self) -> bool:
        """Whether it was measured."""
        return self.cost_ms < float("inf")

    def in_words(self) -> str:
        """Device and medians."""
        if self.fused_ms is not None:
            return f"{self.device} {self.fused_ms:.1f} ms"
        return f"{self.device} {self.image_ms:.1f} + {self.audio_ms:.1f} ms"


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, where, when. `facts` are what the cache file is named by."""

    facts: dict[str, Any]
    rows: list[Row]
    rounds: int
    took_s: float
    measured: str  # UTC, ISO 8601

    @property
    def best(self) -> Row:
        """The usable row of least cost; `DeviceError` when no back end is usable."""
        row = min(self.rows, key=lambda row: row.cost_ms)
        if not row.usable:
            raise DeviceError("--device auto: no back end is usable. " + "; ".join(r.why_not for r in self.rows))
        return row

    def in_words(self) -> str:
        """One line: medians of what was measured, fastest first."""
        rows = sorted((row for row in self.rows if row.usable), key=lambda row: row.cost_ms)
        figures = ", ".join(row.in_words() for row in rows)
        return f"{figures} (picture + sound, medians of {self.rounds} interleaved runs)"


def open_fastest(bundle: Bundle, threads: int) -> Backend:
    """The back end that was measured to be fastest, now or earlier; or the one that LVS_DEVICE names."""
    from . import open_backend, open_named

    named = os.environ.get("LVS_DEVICE", "auto")
    if named != "auto":
        backend = open_backend(bundle, named, threads)
        assert isinstance(backend, GraphBackend)
        backend.why = f"auto: LVS_DEVICE={named}"
        return backend
    known = recall(bundle, threads)
    if known is not None:
        try:
            chosen = open_named(bundle, known.best.device, threads)
        except DeviceError as error:
            _LOG.warning("device auto: %s was fastest and no longer opens, measuring again: %s", known.best, error)
        else:
            return _told(chosen, known, f"measured {known.measured}")
    _LOG.warning("device auto: measuring once which engine is fastest here, about %.0f s at most", BUDGET_S)
    probe, opened = measure(bundle, threads)
    chosen = opened.pop(probe.best.device)
    for backend in opened.values():
        backend.close()
    _LOG.warning("device auto: %s: %s", probe.best.device, probe.in_words())
    return _told(chosen, probe, f"measured now in {probe.took_s:.1f} s")


def recall(bundle: Bundle, threads: int) -> Probe | None:
    """What was measured before under the same facts, or None."""
    facts = facts_of(bundle, threads)
    data = read_cached(_entry(facts))
    if data is None:
        return None
    try:
        probe = msgspec.json.decode(data, type=Probe)
    except msgspec.DecodeError:
        return None
    usable = any(row.usable for row in probe.rows)
    return probe if usable and probe.facts == facts else None


def measure(bundle: Bundle, threads: int, patience_s: float | None = None) -> tuple[Probe, dict[str, Backend]]:
    """Time every usable back end, interleaved, and remember it: (the figures, the back ends, still open).

    What would be opened more than `patience_s` (default 2) after the start is left out, and then nothing is remembered.
    """
    start_s = time.monotonic()
    until_s = start_s + (OPEN_UNTIL_S if patience_s is None else patience_s)
    opened: dict[str, Backend] = {}
    rows: dict[str, Row] = {}
    for device in (*GPU_DEVICES, *CPU_DEVICES):
        try:
            opened[device] = _open(bundle, device, threads, until_s)
        except LvsError as error:
            rows[device] = Row(device=device, why_not=str(error), late=isinstance(error, _Late))
    times, rounds = _time(bundle, opened, start_s + BUDGET_S)
    for device, backend in opened.items():
        medians = {part: round(statistics.median(times[device, part]), 3) for part in bundle.live_parts}
        rows[device] = Row(
            device=device,
            image_ms=medians.get("image"),
            audio_ms=medians.get("audio"),
            fused_ms=medians.get("fused"),
            provider=backend.provider,
            precision=backend.precision,
        )
    probe = Probe(
        facts=facts_of(bundle, threads),
        rows=list(rows.values()),
        rounds=rounds,
        took_s=round(time.monotonic() - start_s, 3),
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    late = [row.why_not for row in probe.rows if row.late]
    answer = msgspec.json.format(msgspec.json.encode(probe), indent=1)
    problem = "; ".join(late) if late else write_cached(_entry(probe.facts), answer)
    if problem:
        _LOG.warning("device auto: the measurement is not kept, the next start repeats it: %s", problem)
    return probe, opened


def facts_of(bundle: Bundle, threads: int) -> dict[str, Any]:
    """All that decides which engine is fastest, as plain values."""
    names = ("numpy", *ONNXRUNTIMES, "openvino", "tensorrt", "tensorrt-rtx")
    return {
        "cpu": cpu_model(),
        "gpus": nvidia_gpus(),
        "versions": {name: found for name in names if (found := version_of(name)) is not None},
        "bundle": {name: bundle.manifest.files[bundle.part(name).file].sha256 for name in bundle.live_parts},
        "threads": threads,
    }


def _open(bundle: Bundle, device: str, threads: int, until_s: float) -> Backend:
    from . import open_named

    distributions, extra = {**GPU_DEVICES, **CPU_DEVICES}[device]
    if device in GPU_DEVICES and not nvidia_gpus():
        raise DeviceError(f"{device}: no NVIDIA GPU is seen here")
    if version_of(*distributions) is None:
        raise DeviceError(f"{device}: not installed: pip install 'lvs[{extra}]'")
    if time.monotonic() > until_s:
        raise _Late(f"{device}: not measured, the others took long to open; try --device {device}")
    if device in ("tensorrt", "rtx"):
        from .engines import ready

        if not ready(bundle, device):
            raise DeviceError(f"{device}: no engine is built yet: lvs-live --device {device} builds and keeps it")
    return open_named(bundle, device, threads)


def _time(
    bundle: Bundle, opened: dict[str, Backend], deadline_s: float
) -> tuple[dict[tuple[str, str], list[float]], int]:
    """Milliseconds of each run by (device, part), and the number of rounds; at least a few whatever the time."""
    inputs = _inputs(bundle)
    for backend in opened.values():
        for _ in range(WARM_UP):
            for part, arrays in inputs.items():
                backend.run(part, *arrays)
    times: dict[tuple[str, str], list[float]] = {(device, part): [] for device in opened for part in inputs}
    rounds = 0
    while opened and rounds < ROUNDS and (rounds < LEAST_ROUNDS or time.monotonic() < deadline_s):
        for device, backend in opened.items():
            for part, arrays in inputs.items():
                start_ns = time.perf_counter_ns()
                backend.run(part, *arrays)
                times[device, part].append((time.perf_counter_ns() - start_ns) / 1e6)
        rounds += 1
    return times, rounds


def _inputs(bundle: Bundle) -> dict[str, tuple[Any, ...]]:
    """Noise of the shapes that live use has, for each part: speed does not depend on the values."""
    rng = np.random.default_rng(0)
    samples = bundle.manifest.sound_input.shape[1]
    length = samples if isinstance(samples, int) else round(bundle.live_seconds * bundle.audio.sample_rate)
    size = bundle.image.size_px
    picture = rng.integers(0, 256, (1, size, size, 3), np.uint8)
    sound = rng.normal(0, 0.1, (1, length)).astype(np.float32)
    if bundle.live_parts == LIVE_PARTS:
        return {"image": (picture,), "audio": (sound,)}
    return {"fused": (picture, sound)}


def _entry(facts: dict[str, Any]) -> str:
    return f"probe/{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]}.json"


def _told(backend: Backend, probe: Probe, when: str) -> Backend:
    """The back end, with what `describe` says of the choice."""
    assert isinstance(backend, GraphBackend)
    backend.why = f"auto: {probe.in_words()}, {when}"
    backend.probe = msgspec.to_builtins(probe)
    return backend


def main() -> None:
    """For lvs-doctor, in a process of its own: measure with the default bundle, print the probe as one JSON line."""
    probe, opened = measure(Bundle.open(None), default_threads(), DOCTORS_S)
    for backend in opened.values():
        backend.close()
    answer = {**msgspec.to_builtins(probe), "best": probe.best.device if opened else None}
    sys.stdout.write(json.dumps(answer) + "\n")
