"""What importing loads: numpy alone for the package, and no module needs more than the base dependencies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lvs_runtime

ROOT = Path(__file__).parents[2]
BASE = {"numpy", "tyro", "rich", "msgspec", "tomli"}
# What the base itself brings along.
BASE_NEEDS = {"typing_extensions", "docstring_parser", "typeguard", "shtab", "pygments", "markdown_it", "mdurl"}

BLOCKER = """
import importlib, importlib.abc, json, pkgutil, sys, traceback

allowed, stdlib = set(json.loads(sys.argv[1])), sys.stdlib_module_names
asked = []

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in allowed or top in stdlib or top.startswith("_"):
            return None
        asked.append(top)
        raise ModuleNotFoundError(f"blocked: {name}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def run(code: str, allowed: set[str]) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKER + code, json.dumps(sorted(allowed | {"lvs_runtime"}))],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_lvs_runtime_loads_numpy_at_most():
    answer = run(
        """
import lvs_runtime
from lvs_runtime import AudioSpec, ImageSpec, Result, VideoFrame, AudioWindow, errors
AudioSpec(), ImageSpec(), errors.LvsError
print(json.dumps({"asked": asked, "loaded": sorted(m for m in sys.modules if "." not in m and m not in stdlib)}))
""",
        {"numpy"},
    )
    assert set(answer["asked"]) <= {"org"}  # the standard library's pickle looks for Jython
    third_party = {name for name in answer["loaded"] if not name.startswith("_")}
    assert third_party <= {"lvs_runtime", "numpy"}


def test_every_module_imports_with_the_base_alone():
    answer = run(
        """
import lvs_runtime
failed, count = {}, 0
for module in pkgutil.walk_packages(lvs_runtime.__path__, "lvs_runtime.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
        count += 1
    except BaseException:
        failed[module.name] = traceback.format_exc().strip().splitlines()[-3:]
print(json.dumps({"failed": failed, "count": count}))
""",
        BASE | BASE_NEEDS,
    )
    assert answer["failed"] == {}
    assert answer["count"] >= 15


def test_public_names():
    assert lvs_runtime.__version__ == "0.1.0"
    for name in lvs_runtime.__all__:
        assert getattr(lvs_runtime, name) is not None
    assert set(lvs_runtime.__all__) <= set(dir(lvs_runtime))
    with pytest.raises(AttributeError, match="no attribute 'Localiser'"):
        lvs_runtime.Localiser  # noqa: B018
