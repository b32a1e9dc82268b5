"""Which inference engines are usable, each proved by one inference; and the bundle that ships with the package."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..errors import LvsError
from . import isolate
from .check import Check, Status, pip

Prove = Callable[..., Any]  # (engine, *provider) -> JSON value; raises ProbeError

PROBE = "from lvs_runtime.backends.probe import main\nmain()"
NAMES = {
    "CPUExecutionProvider": "ONNX Runtime on the CPU",
    "CUDAExecutionProvider": "ONNX Runtime on an NVIDIA GPU",
    "TensorrtExecutionProvider": "TensorRT through ONNX Runtime",
    "NvTensorRTRTXExecutionProvider": "TensorRT-RTX through ONNX Runtime",
    "OpenVINOExecutionProvider": "OpenVINO through ONNX Runtime",
}
EXTRA_OF = {
    "CUDAExecutionProvider": "gpu",
    "TensorrtExecutionProvider": "tensorrt",
    "NvTensorRTRTXExecutionProvider": "rtx",
    "OpenVINOExecutionProvider": "openvino",
}


def prove(engine: str, *provider: str) -> Any:
    """Ask `backends.probe` in a process of its own; the first use of a GPU may take a minute."""
    return isolate.run(PROBE, engine, *provider, timeout_s=180.0)


def nvidia_gpus() -> list[str]:
    """Names of the NVIDIA GPUs that the driver lists; empty without a driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def check_engines(distributions: Mapping[str, str], gpus: list[str], attempt: Prove = prove) -> list[Check]:
    """One finding for each provider; at least one must work for `lvs-live`."""
    checks = _onnxruntime(distributions, gpus, attempt)
    if "openvino" in distributions:
        checks.append(
            _proved("OpenVINO", partial(attempt, "openvino", "CPU"), pip("install --force-reinstall openvino"))
        )
    if any(check.status is Status.OK for check in checks):
        return checks
    found = "no engine works" if checks else "no inference engine is installed"
    repair = next((check.repair for check in checks if check.repair), pip("install 'lvs[cpu]'"))
    return [*checks, Check(group="engines", name="engine", status=Status.LACK, found=found, repair=repair, needed=True)]


def _onnxruntime(distributions: Mapping[str, str], gpus: list[str], attempt: Prove) -> list[Check]:
    owner = next((name for name in distributions if name.startswith("onnxruntime")), None)
    if owner is None:
        return []
    try:
        providers: list[str] = attempt("onnxruntime")
    except isolate.ProbeError as error:
        repair = pip(f"install --force-reinstall {owner}")
        return [Check(group="engines", name=owner, status=Status.BROKEN, found=str(error), repair=repair)]
    checks = []
    for provider in (name for name in providers if name in NAMES):
        checks.append(_proved(provider, partial(attempt, "onnxruntime", provider), _repair(provider, owner, gpus)))
    if gpus and "CUDAExecutionProvider" not in providers:
        found = f"{gpus[0]} is there, {owner} cannot use it"
        repair = pip("uninstall " + owner) + " && " + pip("install 'lvs[gpu]'")
        checks.append(
            Check(group="engines", name="CUDAExecutionProvider", status=Status.LACK, found=found, repair=repair)
        )
    return checks


def _repair(provider: str, owner: str, gpus: list[str]) -> str:
    if provider == "CPUExecutionProvider":
        return pip(f"install --force-reinstall {owner}")
    if not gpus and provider != "OpenVINOExecutionProvider":
        return "lvs-live --device cpu    (no NVIDIA GPU is seen by nvidia-smi)"
    return pip(f"install --upgrade 'lvs[{EXTRA_OF[provider]}]'")


def _proved(name: str, attempt: Callable[[], Any], repair: str) -> Check:
    try:
        proof = attempt()
    except isolate.ProbeError as error:
        return Check(group="engines", name=name, status=Status.LACK, found=f"not usable: {error}", repair=repair)
    found = f"{NAMES.get(name, name)} {proof['version']}: one inference, right numbers"
    return Check(group="engines", name=name, status=Status.OK, found=found)


def check_bundle() -> Check:
    """The default bundle: hashes right, and one picture and one sound give a result on the CPU."""
    import numpy as np

    checkout = (isolate.ROOT / ".git").exists()
    repair = (
        "git checkout -- lvs_runtime/bundle_default" if checkout else pip("install --force-reinstall --no-deps lvs")
    )
    name = "default bundle"
    try:
        from ..localizer import Localizer

        start_ns = time.monotonic_ns()
        localizer = Localizer.from_bundle(None, device="cpu")
        noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
        result = localizer.localize(np.full((224, 224, 3), 128, np.uint8), noise, 16_000)
    except (LvsError, ImportError) as error:
        return Check(group="engines", name=name, status=Status.BROKEN, found=str(error), repair=repair, needed=True)
    ms = (time.monotonic_ns() - start_ns) / 1e6
    nodes = ", ".join(f"{count} nodes on {where}" for where, count in (result.nodes or {}).items()) or result.provider
    found = f"{localizer.bundle.manifest.name}, {result.precision}, {nodes}, first result after {ms:.0f} ms"
    return Check(group="engines", name=name, status=Status.OK, found=found, needed=True)
