"""Every back end with the default bundle: usable and how fast, or why not. What `--device auto` chooses by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import isolate
from .check import Check, Status, pip

PROBE = "from lvs_runtime.backends.auto import main\nmain()"
EXTRAS = {"cpu": "cpu", "openvino": "openvino", "cuda": "gpu", "tensorrt": "tensorrt", "rtx": "rtx"}


def measure() -> Any:
    """The probe of `backends.auto` as JSON, made anew in a process of its own; raises `ProbeError`."""
    return isolate.run(PROBE, timeout_s=180.0)


def check_backends(attempt: Callable[[], Any] = measure) -> list[Check]:
    """One finding for each back end, the fastest marked; `figures` are its row of the probe."""
    try:
        probe = attempt()
    except isolate.ProbeError as error:
        found = f"not measured: {error}"
        repair = "lvs-live --device cpu    (auto cannot choose here)"
        return [Check(group="backends", name="auto", status=Status.BROKEN, found=found, repair=repair)]
    facts = {key: probe[key] for key in ("measured", "rounds", "took_s")} | {"threads": probe["facts"]["threads"]}
    checks = []
    for row in probe["rows"]:
        name = f"--device {row['device']}"
        if row["image_ms"] is None:
            checks.append(
                Check(group="backends", name=name, status=Status.LACK, found=row["why_not"], repair=_repair(row))
            )
            continue
        fastest = "" if row["device"] != probe["best"] else "; auto takes it"
        found = (
            f"{row['image_ms']:.1f} ms a picture, {row['audio_ms']:.1f} ms a sound, {row['precision']} on "
            f"{row['provider']}{fastest}"
        )
        checks.append(Check(group="backends", name=name, status=Status.OK, found=found, figures={**row, **facts}))
    return checks


def _repair(row: dict[str, Any]) -> str:
    if "no NVIDIA GPU" in row["why_not"]:
        return "lvs-live --device cpu    (needs an NVIDIA GPU with its driver: nvidia-smi must list it)"
    if "no engine is built yet" in row["why_not"]:
        return f"lvs-live --device {row['device']}    (builds it once, and keeps it)"
    return pip(f"install --upgrade 'lvs[{EXTRAS[row['device']]}]'")
