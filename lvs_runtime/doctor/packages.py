"""Python, the packages of each extra, distributions that overwrite each other, and the torch trio."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import metadata
from typing import Any

from . import isolate
from .check import Check, Status, apt, pip

Try = Callable[[str], Any]  # import a module elsewhere; raises ProbeError
TryAll = Callable[..., dict[str, str]]  # import modules in order, elsewhere; faults by module

BASE = {"numpy": "numpy", "tyro": "tyro", "rich": "rich", "msgspec": "msgspec"}
# extra -> {distribution: module}; the engines have their own page
EXTRAS: Mapping[str, Mapping[str, str]] = {
    "live": {"opencv-python": "cv2", "soundfile": "soundfile", "soxr": "soxr"},
    "video": {"av": "av"},
    "web": {"starlette": "starlette", "uvicorn": "uvicorn", "websockets": "websockets"},
    "train": {"safetensors": "safetensors"},
    "export": {"onnx": "onnx", "onnxscript": "onnxscript"},
}
# Distributions that install into the same folder: the last one written wins, removing either breaks both.
SHARED_FOLDERS: Mapping[str, tuple[str, ...]] = {
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
        "opencv-python-rolling",
    ),
    "onnxruntime": (
        "onnxruntime-gpu",
        "onnxruntime",
        "onnxruntime-openvino",
        "onnxruntime-directml",
        "onnxruntime-training",
        "onnxruntime-rocm",
        "onnxruntime-qnn",
    ),
}
# Newer pairs do not import together: torchaudio has no upper bound on torch. The same as in constraints.txt.
TRIO = "torch==2.13.0 torchvision==0.28.0 torchaudio==2.11.0"
TRIO_NAMES = ("torch", "torchvision", "torchaudio")

IMPORT = """
import importlib, json
importlib.import_module(sys.argv[1])
print(json.dumps(None))
"""
# One process for all three: torch alone takes seconds, and whether they agree shows only together.
IMPORT_TRIO = """
import importlib, json
faults = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        faults[name] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
print(json.dumps(faults))
"""


def installed() -> dict[str, str]:
    """Distributions of this environment, normalised name -> version."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # a half-removed distribution has none
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), distribution.version)
    return found


def try_import(module: str) -> Any:
    """Import `module` in a process of its own; raises `ProbeError` with the reason."""
    return isolate.run(IMPORT, module)


def try_together(*modules: str) -> dict[str, str]:
    """Import `modules` in one process: module -> what went wrong; raises `ProbeError` when the process dies."""
    faults: dict[str, str] = isolate.run(IMPORT_TRIO, *modules, timeout_s=180.0)
    return faults


def check_python() -> Check:
    """The interpreter's version."""
    found, old = sys.version.split()[0], sys.version_info < (3, 10)
    repair = "make PYTHON=python3.12 demo" if old else None
    status = Status.BROKEN if old else Status.OK
    return Check(group="python", name="python", status=status, found=found, repair=repair, needed=True)


def check_base(distributions: Mapping[str, str], attempt: Try = try_import) -> list[Check]:
    """The four packages without which nothing here runs."""
    return [_package("base", name, module, distributions, attempt, needed=True) for name, module in BASE.items()]


def extras_to_try(distributions: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    """(extra, distribution, module); whichever OpenCV is installed stands for all of them."""
    for extra, packages in EXTRAS.items():
        for name, module in packages.items():
            owners = [owner for owner in SHARED_FOLDERS.get(module, ()) if owner in distributions]
            yield extra, owners[0] if owners else name, module


def check_extra(
    extra: str, name: str, module: str, distributions: Mapping[str, str], attempt: Try = try_import
) -> Check:
    """One optional package: installed, and it imports."""
    return _package(extra, name, module, distributions, attempt, needed=False)


def check_conflicts(distributions: Mapping[str, str]) -> list[Check]:
    """One finding for each folder that several distributions own."""
    checks = []
    for folder, names in SHARED_FOLDERS.items():
        owners = [name for name in names if name in distributions]
        if len(owners) < 2:
            continue
        found = f"{' and '.join(f'{o} {distributions[o]}' for o in owners)} both own the folder {folder}/"
        repair = f"{pip('uninstall ' + ' '.join(owners))} && {pip('install ' + owners[0])}"
        name = f"conflict: {folder}"
        checks.append(Check(group="packages", name=name, status=Status.BROKEN, found=found, repair=repair, needed=True))
    return checks


def check_trio(distributions: Mapping[str, str], attempt: TryAll = try_together) -> list[Check]:
    """Whether torch, torchvision and torchaudio import beside each other."""
    names = [name for name in TRIO_NAMES if name in distributions]
    if "torch" not in names:
        repair = pip("install 'lvs[train]'")
        found = "not installed (extra `train`)"
        return [Check(group="packages", name="torch", status=Status.LACK, found=found, repair=repair)]
    try:
        faults = attempt(*names)
    except isolate.ProbeError as error:
        faults = dict.fromkeys(names, str(error))
    checks = []
    for name in names:
        check = Check(group="packages", name=name, status=Status.OK, found=distributions[name])
        if name in faults:
            found = f"{check.found} does not import beside torch {distributions['torch']}: {faults[name]}"
            check = replace(check, status=Status.BROKEN, found=found, repair=pip(f"install --force-reinstall {TRIO}"))
        checks.append(check)
    return checks


def _package(
    extra: str, name: str, module: str, distributions: Mapping[str, str], attempt: Try, *, needed: bool
) -> Check:
    install = pip("install " + (name if extra == "base" else f"'lvs[{extra}]'"))
    if name not in distributions:
        found = f"not installed (extra `{extra}`)" if extra != "base" else "not installed"
        return Check(group="packages", name=name, status=Status.LACK, found=found, repair=install, needed=needed)
    try:
        attempt(module)
    except isolate.ProbeError as error:
        found, repair = f"{distributions[name]} does not import: {error}", pip(f"install --force-reinstall {name}")
        if "libGL" in str(error) or "libgthread" in str(error) or "libxcb" in str(error):
            repair = apt("libgl1", "libglib2.0-0")
        return Check(group="packages", name=name, status=Status.BROKEN, found=found, repair=repair, needed=needed)
    return Check(group="packages", name=name, status=Status.OK, found=distributions[name], needed=needed)
