"""TensorRT engines of a bundle's graphs: strongly typed, from the same ONNX files, for TensorRT and TensorRT-RTX.

Precision stands in the ONNX graph and nowhere else: precision flags are gone from TensorRT 11, and with strong typing
10.x needs none. TensorRT times kernels while it builds, so its engines are built on the device that runs them;
TensorRT-RTX leaves that to the first load and builds anywhere. An engine that cannot be built here is reported with
the command for the device, never pretended.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lvs_runtime.bundle import MANIFEST_NAME, Bundle
from lvs_runtime.errors import ConfigError, DeviceError

from .bundle import write_bundle

LIBRARIES = {"engine": "tensorrt", "rtx": "tensorrt_rtx"}
EXTRAS = {"engine": "tensorrt", "rtx": "rtx"}
SPLIT_PARTS = ("image", "audio")


class EngineNotBuilt(DeviceError):
    """The library or the GPU that an engine needs is not here. The ONNX bundle is complete without it."""


def require(kind: str, bundle: str) -> Any:
    """The module `tensorrt` (kind "engine") or `tensorrt_rtx` ("rtx"); EngineNotBuilt with the command otherwise."""
    library = LIBRARIES[kind]
    try:
        module = importlib.import_module(library)
    except ImportError as error:
        raise EngineNotBuilt(
            f"--format {kind}: {library} is not importable here ({error}). The ONNX graphs are written. On the device: "
            f"pip install 'lvs[{EXTRAS[kind]}]' && lvs-export --bundle {bundle} --format {kind}"
        ) from error
    if kind == "engine" and not _has_gpu():
        raise EngineNotBuilt(
            f"--format engine: {library} {module.__version__} is here but no NVIDIA GPU is, and TensorRT builds only "
            f"on the GPU that runs the engine. The ONNX graphs are written. On the device: "
            f"lvs-export --bundle {bundle} --format engine"
        )
    return module


def build(kind: str, models: Mapping[str, bytes], bundle: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Engines of the split graphs: ({file name: plan}, {part: facts for the manifest}).

    `models` maps "image" and "audio" to ONNX bytes. Raises EngineNotBuilt when library or GPU are missing,
    DeviceError when the library refuses a graph.
    """
    trt = require(kind, bundle)
    files: dict[str, bytes] = {}
    facts: dict[str, Any] = {}
    for part in SPLIT_PARTS:
        plan = _plan(trt, part, models[part])
        name = f"{part}.{kind}"
        files[name] = plan
        facts[part] = {
            "file": name,
            "library": LIBRARIES[kind],
            "version": str(trt.__version__),
            "onnx_sha256": hashlib.sha256(models[part]).hexdigest(),
            "strongly_typed": True,
        }
    return files, facts


def add_engines(path: str | Path, kind: str) -> Path:
    """Build engines for an existing bundle and write it anew with them. Needs neither torch nor a checkpoint."""
    bundle = Bundle.open(path)
    check_precision(kind, {bundle.part(part).precision for part in SPLIT_PARTS})
    files, facts = build(kind, {part: bundle.model_bytes(part) for part in SPLIT_PARTS}, str(path))
    manifest = json.loads((bundle.path / MANIFEST_NAME).read_bytes())
    kept = {name: (bundle.path / name).read_bytes() for name in manifest["files"] if name not in files}
    for name, data in kept.items():
        assert hashlib.sha256(data).hexdigest() == manifest["files"][name]["sha256"]
    manifest["engines"] = {**manifest.get("engines", {}), kind: facts}
    return write_bundle(path, {**kept, **files}, manifest)


def check_precision(kind: str, precisions: set[str]) -> None:
    """ConfigError for int8: TensorRT wants symmetric ranges, the CPU recipe has unsigned ones."""
    if "int8" in precisions:
        raise ConfigError(
            f"--format {kind} with int8: these int8 graphs (unsigned activations) are for CPUs, TensorRT refuses them; "
            "export --fp16 for engines"
        )


def _plan(trt: Any, part: str, model: bytes) -> bytes:
    log = _logger(trt)
    builder = trt.Builder(log)
    flags = trt.NetworkDefinitionCreationFlag
    typed = 1 << int(flags.STRONGLY_TYPED) if hasattr(flags, "STRONGLY_TYPED") else 0
    network = builder.create_network(typed)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        causes = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise DeviceError(f"{part}.onnx: {trt.__name__} {trt.__version__} refuses the graph: {'; '.join(causes)}")
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):  # its ten-bit mantissa would spoil the spectrogram's convolution
        config.clear_flag(trt.BuilderFlag.TF32)
    _add_profile(builder, network, config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise DeviceError(f"{part}.onnx: {trt.__name__} {trt.__version__} built no engine: {'; '.join(log.errors)}")
    return bytes(plan)


def _add_profile(builder: Any, network: Any, config: Any) -> None:
    """A profile for the audio graph of variable length: 0.5 s, 3 s, 10 s; a static graph needs none."""
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)
        if -1 not in shape:
            continue
        profile = builder.create_optimization_profile()
        low, usual, high = (tuple(n if d == -1 else d for d in shape) for n in (8_000, 48_000, 160_000))
        profile.set_shape(tensor.name, low, usual, high)
        config.add_optimization_profile(profile)


def _logger(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps errors for our message instead of printing them."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            """The library's callback. Complaints about a missing driver come with every error on such machines."""
            if severity <= trt.ILogger.ERROR and "cudaError 35" not in message:
                self.errors.append(message)

    return Log()


def _has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/nvhost-gpu").exists() or os.name == "nt"
