"""What every record of benchmarks/live states beside its figures."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

NAMES = ("numpy", "onnxruntime", "opencv-python", "av", "sounddevice", "torch", "scipy")


def context(localizer: Any = None) -> dict[str, Any]:
    """Date, machine, versions, command, the load beside; with a localizer also what it runs on."""
    versions = {}
    for name in NAMES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    facts = {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "priority": _priority(),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "command": " ".join(["python", *sys.argv]),
    }
    if localizer is not None:
        facts |= {"bundle": localizer.bundle.name, "provider": localizer.provider, "precision": localizer.precision}
    return facts


def _priority() -> str:
    """Niceness, and that of the scheduler's group, which is what counts between sessions on Linux."""
    group = Path("/proc/self/autogroup")
    return f"nice {os.nice(0)}, {group.read_text().strip().lstrip('/') if group.is_file() else 'no autogroup'}"


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")
