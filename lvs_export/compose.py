"""The fused graph, put together from the two finished ones: the same nodes, the same weights, one matrix product more.

Large weights are not stored twice: `model.onnx` refers to them where they lie inside `image.onnx` and `audio.onnx`
(ONNX external data: file, offset, length). So the split files stay complete in themselves, a bundle with all three is
hardly larger than one with two, and whatever the fused graph computes is what the split ones compute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .onnx_graph import AUDIO, IMAGE, IR_VERSION, LARGE_BYTES, large_weights, shape_of

PART = "fused"
OUTPUT = "similarity"


def fuse(image: onnx.ModelProto, audio: onnx.ModelProto) -> onnx.ModelProto:
    """One model with inputs `image`, `waveform` and output `similarity` (B, grid, grid); weights embedded."""
    batch, channels, rows, columns = shape_of(image.graph.output[0])
    shapes = {
        f"{PART}/cells": [0, channels, int(rows) * int(columns)],  # 0: as it was
        f"{PART}/row": [0, 1, channels],
        f"{PART}/map": [0, rows, columns],
    }
    nodes = [
        helper.make_node("Reshape", [IMAGE.output, f"{PART}/cells"], [f"{PART}/reshape_0"], name=f"{PART}/reshape_0"),
        helper.make_node("Reshape", [AUDIO.output, f"{PART}/row"], [f"{PART}/reshape_1"], name=f"{PART}/reshape_1"),
        helper.make_node(
            "MatMul", [f"{PART}/reshape_1", f"{PART}/reshape_0"], [f"{PART}/matmul_0"], name=f"{PART}/matmul_0"
        ),
        helper.make_node("Reshape", [f"{PART}/matmul_0", f"{PART}/map"], [OUTPUT], name=f"{PART}/reshape_2"),
    ]
    constants = [numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()]
    graph = helper.make_graph(
        [*image.graph.node, *audio.graph.node, *nodes],
        PART,
        [*image.graph.input, *audio.graph.input],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [batch, rows, columns])],
        [*image.graph.initializer, *audio.graph.initializer, *constants],
    )
    opsets = {entry.domain: entry.version for model in (image, audio) for entry in model.opset_import}
    return helper.make_model(
        graph,
        ir_version=IR_VERSION,
        producer_name="lvs",
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items())],
    )


def refer(fused: onnx.ModelProto, files: Mapping[str, tuple[onnx.ModelProto, bytes]]) -> onnx.ModelProto:
    """A copy of `fused` whose large weights are references into `files` ({file name: (model, its bytes)})."""
    places = {
        weight: (file, offset, length)
        for file, (model, data) in files.items()
        for weight, offset, length in large_weights(model, data)
    }
    out = onnx.ModelProto()
    out.CopyFrom(fused)
    for tensor in out.graph.initializer:
        tensor.ClearField("doc_string")  # the padding of the split files
        if len(tensor.raw_data) < LARGE_BYTES:
            continue
        file, offset, length = places[tensor.name]
        assert length == len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", file), ("offset", str(offset)), ("length", str(length))):
            tensor.external_data.add(key=key, value=value)
    return out


def referred_files(model: onnx.ModelProto) -> list[str]:
    """Names of the files that a graph takes weights from, sorted."""
    entries: Iterable[onnx.StringStringEntryProto] = (e for t in model.graph.initializer for e in t.external_data)
    return sorted({entry.value for entry in entries if entry.key == "location"})
