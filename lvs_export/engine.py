"""TensorRT engines of a bundle's graphs, for TensorRT and TensorRT-RTX: `lvs-export --format engine|rtx`.

What builds them is the runtime's own back end (lvs_runtime.backends.engines), so that an engine made here and one made
at the first start are the same. TensorRT times kernels while it builds, so its engines are built on the GPU that runs
them; TensorRT-RTX leaves that to the first load and builds anywhere. An engine that cannot be built here is reported
with the command for the device, never pretended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lvs_runtime.backends import engines
from lvs_runtime.backends.cuda import Cuda, Gpu
from lvs_runtime.backends.host import read_cached, write_cached
from lvs_runtime.bundle import MANIFEST_NAME, Bundle
from lvs_runtime.errors import ConfigError, DeviceError

from .bundle import write_bundle
from .inspection import check_engine

DEVICES = {"engine": "tensorrt", "rtx": "rtx"}  # --format -> the runtime's word
ANY_GPU = Gpu("any", "any", "")


class EngineNotBuilt(DeviceError):
    """The library or the GPU that an engine needs is not here. The ONNX bundle is complete without it."""


def add_engines(path: str | Path, kind: str, stage: Callable[[str], None] = lambda _: None) -> Path:
    """Build engines ("engine" or "rtx") for an existing bundle and write it anew with them. Needs no torch.

    Raises EngineNotBuilt with the command for the device where library or GPU are missing, DeviceError or BundleError
    where the library refuses a graph, ConfigError for graphs of the CPU's int8 recipe.
    """
    bundle = Bundle.open(path)
    raw = json.loads((bundle.path / MANIFEST_NAME).read_bytes())
    for part in bundle.live_parts:
        check_target(kind, bundle.part(part).precision, str(raw.get("target", "cpu")))
    trt, gpu = require(kind, str(path))
    files: dict[str, bytes] = {}
    facts: dict[str, Any] = {}
    for part in bundle.live_parts:
        stage(f"build {part}.{kind}")
        plan, facts[part] = _build(trt, kind, gpu, bundle, part)
        files[facts[part]["file"]] = plan
    kept = {name: bundle.file_bytes(name) for name in raw["files"] if name not in files}
    raw["engines"] = {**raw.get("engines", {}), kind: facts}
    return write_bundle(path, {**kept, **files}, raw)


def require(kind: str, bundle: str) -> tuple[Any, Gpu]:
    """The library for `kind` and the GPU that its engines are for; EngineNotBuilt with the command otherwise."""
    device = DEVICES[kind]
    command = f"lvs-export --bundle {bundle} --format {kind}"
    try:
        trt = engines.load_library(device)
    except DeviceError as error:
        library = engines.LIBRARIES[device][0]
        raise EngineNotBuilt(
            f"--format {kind}: {library} is not importable here ({error.__cause__}). The ONNX graphs are written. "
            f"On the device: pip install 'lvs[{device}]' && {command}"
        ) from error
    if kind == "rtx":
        return trt, ANY_GPU
    try:
        return trt, Cuda(device).gpu
    except DeviceError as error:
        raise EngineNotBuilt(
            f"--format engine: tensorrt {trt.__version__} is here but no GPU ({error}), and TensorRT builds only on "
            f"the GPU that runs the engine. The ONNX graphs are written. On the device: {command}"
        ) from error


def check_target(kind: str, precision: str, target: str) -> None:
    """ConfigError for int8 by the CPU's recipe: TensorRT wants symmetric ranges, that one has unsigned ones."""
    if precision == "int8" and target != "tensorrt":
        raise ConfigError(
            f"--format {kind} with int8: the int8 graphs for --target {target} (unsigned activations) are refused by "
            "TensorRT; export with --int8 --target tensorrt, or --fp16"
        )


def _build(trt: Any, kind: str, gpu: Gpu, bundle: Bundle, part: str) -> tuple[bytes, dict[str, Any]]:
    """(plan, its sidecar in the manifest: what must agree before the plan is opened, and what the inspector saw)."""
    device = DEVICES[kind]
    facts = engines.facts_for(trt, device, gpu, engines.sha256_of(bundle, part))
    timing = f"timing/{facts['library']}-{facts['version']}-{facts.get('compute_capability', 'any')}.cache"
    log = engines.logger(trt)
    plan, timings = engines.build(trt, bundle, part, log, read_cached(timing))
    if timings:
        write_cached(timing, timings)
        facts["timing_cache_sha256"] = hashlib.sha256(timings).hexdigest()
    precision = bundle.part(part).precision
    seen = check_engine(trt, log, plan, f"{part}.{kind}", precision)
    return plan, {**facts, "file": f"{part}.{kind}", "strongly_typed": True, **seen}
