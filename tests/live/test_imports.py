"""Capture, live and the commands import where only the base packages are installed; nothing asks for the wall clock."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = [ROOT / "lvs_runtime/capture", ROOT / "lvs_runtime/live"]
MODULES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py"))]


def test_every_module_imports_with_the_base_alone():
    names = [str(path.relative_to(ROOT).with_suffix("")).replace("/", ".") for path in MODULES]
    code = f"""
import sys
blocked = set("torch cv2 onnxruntime av sounddevice soundfile soxr starlette uvicorn websockets scipy onnx".split())
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
import importlib
for name in {[*names, "lvs_runtime.cli.live", "lvs_runtime.cli.live_report"]!r}:
    importlib.import_module(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_no_wall_clock(path):
    """A jump of the wall clock must change nothing. One reading is allowed: the offset that turns stamps into dates."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    calls = [ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)]
    wall = [call for call in calls if call in ("time.time", "time.time_ns", "datetime.now", "time.localtime")]
    assert wall == (["time.time_ns"] if path.name == "startup.py" else [])
