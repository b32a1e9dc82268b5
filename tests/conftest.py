"""Which tests run where: each mark that is skipped says why and how to run it."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

INSTALL = "scripts/install-system-packages.sh"
# Training and export are torch through and through: without it these folders cannot even be collected.
WITHOUT_TORCH = importlib.util.find_spec("torch") is None
collect_ignore = ["train", "export"] if WITHOUT_TORCH else []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run tests marked slow (or set LVS_RUN_SLOW=1)")


def _has_nvidia_gpu() -> bool:
    if shutil.which("nvidia-smi") is None:
        return False
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0 and "GPU" in done.stdout


def _lacks_for_audio() -> str | None:
    if ctypes.util.find_library("portaudio") is None:
        return "PortAudio"
    return next((name for name in ("pulseaudio", "pactl") if shutil.which(name) is None), None)


def pytest_report_header() -> list[str]:
    return ["no torch: tests/train and tests/export are left out; make test installs it"] if WITHOUT_TORCH else []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skips: dict[str, pytest.MarkDecorator] = {}
    if not (config.getoption("--run-slow") or os.environ.get("LVS_RUN_SLOW") == "1"):
        skips["slow"] = pytest.mark.skip(reason="slow: run with `pytest --run-slow` or LVS_RUN_SLOW=1 make test")
    marked = {mark.name for item in items for mark in item.iter_markers()}
    if "gpu" in marked and not _has_nvidia_gpu():
        reason = "no GPU: `nvidia-smi -L` lists none; on such a machine: pip install -e '.[gpu]' && pytest -m gpu"
        skips["gpu"] = pytest.mark.skip(reason=reason)
    if "audio_device" in marked and (lack := _lacks_for_audio()):
        skips["audio_device"] = pytest.mark.skip(
            reason=f"{lack} is missing: run {INSTALL}, then pytest -m audio_device"
        )
    for item in items:
        for name, skip in skips.items():
            if item.get_closest_marker(name):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def helpers() -> ModuleType:
    """Scripted sources, small media files, a toy model: for capture, live and end to end."""
    import live_helpers

    return live_helpers


@pytest.fixture(scope="session")
def toy_path(tmp_path_factory: pytest.TempPathFactory, helpers: ModuleType) -> Path:
    """The toy model as a bundle."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path: Path = helpers.toy_bundle(tmp_path_factory.mktemp("live") / "bundle")
    return path


@pytest.fixture(scope="session")
def localizer(toy_path: Path) -> Any:
    """The toy model, opened."""
    from lvs_runtime.localizer import Localizer

    return Localizer.from_bundle(toy_path, threads=1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB, which only root can mount."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root on Linux: run the tests as root")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
