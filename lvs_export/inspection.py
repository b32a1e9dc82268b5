"""A look into a finished engine: does it compute in the precision that was asked for?"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from lvs_runtime.errors import DeviceError

# The inspector writes a tensor's format as "Half", "FP16" or "Row major linear FP16 format", by version.
WORDS = {"fp16": ("Half", "FP16"), "int8": ("Int8", "INT8"), "fp32": ("Float", "FP32")}


def check_engine(trt: Any, log: Any, plan: bytes, name: str, precision: str) -> dict[str, Any]:
    """{"formats": {...}} of the engine's convolutions, or {"inspected": why not}; DeviceError when none is `precision`.

    Opening an engine needs the driver: TensorRT-RTX, which builds without one, then hands out None.
    """
    engine = trt.Runtime(log).deserialize_cuda_engine(plan)
    if engine is None:
        return {"inspected": "no: an engine can be opened only with a GPU"}
    text = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    formats = convolution_formats(text)
    if precision != "fp32" and not formats.get(precision):
        found = ", ".join(f"{count} {kind}" for kind, count in formats.items()) or "none that it names"
        raise DeviceError(
            f"{name}: asked {precision}, the inspector shows no {precision} convolution ({found}): engine not kept"
        )
    return {"formats": formats}


def convolution_formats(inspector_json: str) -> dict[str, int]:
    """How many convolutions read each precision, from the inspector's JSON (layers of detailed verbosity)."""
    layers = json.loads(inspector_json).get("Layers", [])
    counts: Counter[str] = Counter()
    for layer in layers:
        if not isinstance(layer, dict) or "conv" not in f"{layer.get('LayerType', '')} {layer.get('Name', '')}".lower():
            continue
        formats = " ".join(str(entry.get("Format/Datatype", "")) for entry in layer.get("Inputs", []))
        counts.update(kind for kind, words in WORDS.items() if any(word in formats for word in words))
    return dict(counts)
