"""This machine, as far as it decides which engine is fast: its CPU, its GPUs, and where results about it are kept."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "asimddp", "i8mm")
MAX_CACHED_BYTES = 1 << 30
KEPT_FILES = 16  # of one kind; the oldest go: versions, bundles and settings that were left behind


def cpu_model() -> str:
    """Name of the CPU and those of its instruction sets that matter here, in one line."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags.update(value.split())
    return " ".join([name, platform.machine(), *(flag for flag in CPU_FLAGS if flag in flags)])


def nvidia_gpus() -> list[str]:
    """NVIDIA GPUs as "model, driver", as the kernel's driver lists them, or else its tool; empty without either."""
    found = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = dict(line.partition(":")[::2] for line in path.read_text(errors="replace").splitlines())
        found.append(lines.get("Model", "GPU").strip())
    if found:
        driver = Path("/proc/driver/nvidia/version").read_text(errors="replace").splitlines()[:1]
        return [f"{model}, {' '.join(driver).strip()}" for model in found]
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def version_of(*distributions: str) -> str | None:
    """Version of the first of `distributions` that is installed, or None."""
    for name in distributions:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return None


def cache_folder() -> Path:
    """Where this user's caches lie: $XDG_CACHE_HOME/lvs, or ~/.cache/lvs. It may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "lvs"


def read_cached(name: str) -> bytes | None:
    """The cached file `name`, or None when there is none that can be read. A link is none: it leads elsewhere."""
    path = cache_folder() / name
    try:
        if path.is_symlink() or path.stat().st_size > MAX_CACHED_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None


def write_cached(name: str, data: bytes) -> str | None:
    """Keep `data` as cached file `name`, whole or not at all; returns why it could not be kept, or None."""
    path = cache_folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
        newest = sorted(path.parent.iterdir(), key=lambda entry: entry.stat().st_mtime, reverse=True)
        for old in newest[KEPT_FILES:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        return f"{path} cannot be written ({error.strerror or error})"
    return None
