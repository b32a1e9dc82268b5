"""With the base packages alone every command shows its help and every runtime module imports."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def blocked(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(__file__).with_name("blocked.py")), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("script", "entry"), PROJECT["scripts"].items())
def test_help_without_optional_packages(script: str, entry: str) -> None:
    done = blocked("help", entry)
    assert done.returncode == 0, done.stderr
    assert f"usage: {script}" in done.stdout


def test_every_runtime_module_imports_without_optional_packages() -> None:
    done = blocked("imports", "lvs_runtime")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


def test_importing_the_package_loads_numpy_alone() -> None:
    code = "import sys, lvs_runtime; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "cv2", "onnxruntime", "av", "sounddevice", "starlette", "rich", "tyro", "msgspec", "scipy"}
    assert heavy.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("entry", PROJECT["scripts"].values())
def test_entry_points_exist(entry: str) -> None:
    module, _, function = entry.partition(":")
    assert callable(getattr(import_module(module), function))
