"""What the manifest says of an export: schema 1, every number a reader needs to use the graphs right."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lvs_runtime.manifest import SCHEMA
from lvs_train.checkpoint import Checkpoint

from .build import Graphs
from .bundle import created_now
from .choose import Choice
from .gate import MAP_TOLERANCE, Precision, least_correlation
from .maps import MapErrors
from .material import Material
from .onnx_graph import AXES, IR_VERSION, OPSET, shape_of
from .options import FILES, SPLIT_FILES, ExportOptions

TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def describe(
    checkpoint: Checkpoint,
    origin: Mapping[str, str],
    options: ExportOptions,
    graphs: Graphs,
    errors: Mapping[str, MapErrors],
    clips: Material,
) -> dict[str, Any]:
    """The manifest without its `files` table, which `write_bundle` fills in; `origin` names the checkpoint's file."""
    meta = dict(checkpoint.meta)
    live_seconds = meta.pop("live_seconds", checkpoint.audio.seconds)
    metrics, licence = meta.pop("metrics", {}), meta.pop("licence", "")
    name = options.name or str(meta.get("name") or Path(origin.get("checkpoint", "lvs")).stem)
    return {
        "schema": SCHEMA,
        "name": f"{name}-{options.precision.value}",
        "created": created_now(),
        "lvs_version": _version("lvs"),
        "files": {},
        "target": options.target,
        "parts": {part: _part_entry(part, graphs.models[part], options) for part in written_parts(options)},
        "audio": {**checkpoint.audio.as_dict(), "live_seconds": float(live_seconds)},
        "image": checkpoint.image.as_dict(),
        "thresholds": dict(checkpoint.thresholds),
        "parity": _parity_entry(options, graphs, errors, clips),
        "metrics": metrics,
        "training": {**meta, **origin},
        "licence": str(licence),
        "tools": {"python": platform.python_version(), **{tool: _version(tool) for tool in TOOLS}},
    }


def written_parts(options: ExportOptions) -> tuple[str, ...]:
    """Parts that go into the bundle."""
    return {"split": ("image", "audio"), "fused": ("fused",), "both": ("image", "audio", "fused")}[options.graphs]


def _part_entry(part: str, model: onnx.ModelProto, options: ExportOptions) -> dict[str, Any]:
    inputs = [{"name": v.name, "dtype": np.dtype(_numpy_type(v)).name, "shape": shape_of(v)} for v in model.graph.input]
    output = model.graph.output[0]
    entry: dict[str, Any] = {
        "file": FILES[part],
        "precision": options.precision.value,
        "opset": OPSET,
        "ir": IR_VERSION,
    }
    if part == "fused":
        own_weights = options.graphs == "fused" or options.target == "web"
        entry |= {"inputs": inputs, "external": [] if own_weights else sorted(SPLIT_FILES.values())}
    else:
        entry["input"] = inputs[0]
    varying = {axis for given in inputs for axis in given["shape"] if isinstance(axis, str)}
    entry |= {axis: list(AXES[axis]) for axis in AXES if axis in varying}
    return entry | {"output": {"name": output.name, "shape": shape_of(output)}}


def _numpy_type(value: onnx.ValueInfoProto) -> Any:
    return onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)


def _parity_entry(
    options: ExportOptions, graphs: Graphs, errors: Mapping[str, MapErrors], clips: Material
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "against": "similarity maps of the torch model in float32",
        "clips": clips.source,
        "map_errors": {part: found.as_dict() for part, found in errors.items()},
    }
    if options.precision is Precision.INT8:
        entry["least_correlation"] = least_correlation(options.tolerance)
        entry["int8"] = {part: _int8_entry(choice) for part, choice in graphs.choices.items()}
    else:
        entry["tolerance"] = options.tolerance or MAP_TOLERANCE[options.precision]
    return entry


def _int8_entry(choice: Choice) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "ranges": choice.recipe.method,
        "float_convs": list(choice.recipe.float_convs),
        "reduce_range": choice.recipe.reduce_range,
        "symmetric": choice.recipe.symmetric,
        "mean_errors": choice.tried,
    }
    if choice.sensitivity:
        entry["sensitivity"] = {str(n): float(f"{error:.3g}") for n, error in choice.sensitivity.items()}
    if choice.saturation:
        entry["sums_of_16_bits"] = choice.saturation.as_dict()
    return entry


def _version(distribution: str) -> str:
    """Installed version without the wheel's build tag (`+cpu`), or "unknown"."""
    try:
        return importlib.metadata.version(distribution).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
