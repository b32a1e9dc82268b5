"""What a result must say of where it was measured. What cannot be read is None, never a guess."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm", "hypervisor")
# The flag that tells most about int8 and float speed, best first, and what it is called in a file's name.
VECTOR_NAMES = {"amx_int8": "amx", "avx512_vnni": "vnni", "avx_vnni": "vnni", "avx512f": "avx512", "avx2": "avx2",
                "i8mm": "i8mm", "asimddp": "dotprod"}  # fmt: skip
PACKAGES = (
    "lvs",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "opencv-python",
    "opencv-python-headless",
    "av",
)
ENVIRONMENT = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "ORT_DISABLE_TELEMETRY",
    "CUDA_VISIBLE_DEVICES",
    "OPENBLAS_NUM_THREADS",
)


def machine() -> dict[str, Any]:
    """CPU, cores that this process may use, instruction sets, memory, governor, load, GPU, kernel."""
    from ..doctor.engines import nvidia_gpus

    cpu, flags = _cpu()
    facts: dict[str, Any] = {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags and flag != "hypervisor"],
        "virtualized": "hypervisor" in flags if flags else None,
        "mem_gb": _memory_gb(),
        "gpu": next(iter(nvidia_gpus()), None),
        "os": _first(Path("/etc/os-release"), "PRETTY_NAME=") or platform.platform(),
        "kernel": platform.release(),
        "governor": _text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
    }
    identity = "|".join(str(facts[key]) for key in ("cpu", "flags", "cores", "mem_gb", "gpu"))
    return {"id_hash": hashlib.sha256(identity.encode()).hexdigest()[:12], **facts}


def device_name(facts: dict[str, Any]) -> str:
    """A short name for files: "AMD EPYC" with VNNI and 2 virtual cores -> "epyc-vnni-2vcpu"; a GPU goes before that."""
    words = re.findall(r"[a-z0-9]+", str(facts["cpu"]).lower().split(" with ")[0].split("@")[0])
    kept = [word for word in words if word not in ("amd", "intel", "r", "tm", "cpu", "processor", "core")]
    vector = next((name for flag, name in VECTOR_NAMES.items() if flag in facts["flags"]), None)
    gpu = re.findall(r"[a-z0-9]+", str(facts["gpu"] or "").lower())
    cores = f"{facts['cores']}{'v' if facts['virtualized'] else ''}cpu"
    return "-".join(
        [*(word for word in gpu if word != "nvidia"), *(kept[:3] or ["cpu"]), *filter(None, [vector]), cores]
    )


def software() -> dict[str, Any]:
    """Versions of what takes part, and the environment variables that change its speed."""
    versions: dict[str, Any] = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions["environment"] = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return versions


def commit() -> tuple[str | None, bool | None]:
    """(commit, whether the tree differs from it) when the package runs from a git checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        dirty = subprocess.run(
            ["git", "-C", root, "status", "--porcelain"], capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        return None, None
    return (head.stdout.strip(), bool(dirty.stdout.strip())) if head.returncode == 0 else (None, None)


def affinity() -> list[int] | None:
    """CPUs this process may use, where the system tells."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def waited_ns() -> int | None:
    """Time that this process's main thread was ready and had no CPU, ns since its start (Linux)."""
    text = _text(Path("/proc/self/schedstat"))
    return int(text.split()[1]) if text else None


def load_1min() -> float | None:
    """Runnable processes, averaged over a minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _cpu() -> tuple[str, set[str]]:
    path = Path("/proc/cpuinfo")
    flags = _first(path, "flags") or _first(path, "Features") or ""
    name = _first(path, "model name") or platform.processor() or platform.machine()
    return name, set(flags.split())


def _memory_gb() -> float | None:
    text = _first(Path("/proc/meminfo"), "MemTotal")
    return round(int(text.split()[0]) / 1e6, 1) if text else None


def _first(path: Path, key: str) -> str | None:
    """The value on the first line of `path` that begins with `key`."""
    for line in (_text(path) or "").splitlines():
        if line.startswith(key):
            return line[len(key) :].lstrip(" \t:=").strip().strip('"')
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
