"""torch module -> ONNX: traced by the dynamo exporter, given names of our own, stripped, checked, aligned.

Opset 18 and IR 10 are the oldest that hold everything these graphs need, so that older runtimes on devices load them.
The exporter leaves absolute source paths and the torch wheel's build tag in the file; both go, which also makes the
bytes a function of the weights alone.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from lvs_runtime.errors import LvsError

OPSET = 18
IR_VERSION = 10
SHAPED = {"ConstantOfShape", "Expand", "Flatten", "Range", "Reshape", "Resize", "Shape", "Tile"}
ALIGNMENT_BYTES = 64
LARGE_BYTES = 1024  # weights of at least this size are aligned, and shared with the fused graph
# Smallest and largest value of each axis that may vary, by its name in the graphs and the manifest.
AXES = {"batch": (1, 64), "num_samples": (8_000, 160_000), "height": (16, 8_192), "width": (16, 8_192)}


@dataclass(frozen=True)
class GraphNames:
    """Part name (prefix of all inner names), input names and output name."""

    part: str
    inputs: tuple[str, ...]
    output: str


IMAGE = GraphNames("image", ("image",), "image_embedding")
AUDIO = GraphNames("audio", ("waveform",), "audio_embedding")


def trace(
    module: nn.Module, example: tuple[Tensor, ...], names: GraphNames, dynamic: Mapping[int, str] | None = None
) -> onnx.ModelProto:
    """Export `module` to a clean ONNX model with embedded weights.

    `dynamic` makes axes of the first input variable: {axis: name of `AXES`}. A variable batch needs an example of at
    least 2: an example of 1 is taken for a constant.
    """
    shapes: Any = None
    if dynamic:
        limits = {name: AXES[name] for name in dynamic.values()}
        dims = {axis: torch.export.Dim(n, min=limits[n][0], max=limits[n][1]) for axis, n in dynamic.items()}
        shapes = (dims,)
    # The exporter prints progress and deprecation notes of its own insides; a failure still raises.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            optimize=True,
            external_data=False,
            input_names=list(names.inputs),
            output_names=[names.output],
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    return clean(program.model_proto, names.part)


def vary(model: onnx.ModelProto, axes: Mapping[int, str]) -> onnx.ModelProto:
    """A copy whose input may vary along `axes` ({axis: name of `AXES`}); the output along the batch.

    The graphs hold no shape anywhere but at their ends (`SHAPED` is what would), so naming the axes there is enough,
    and far cheaper than tracing with symbols. `check` infers all shapes anew.
    """
    shaped = {node.op_type for node in model.graph.node} & SHAPED
    assert not shaped, f"{model.graph.name}: {shaped} may hold the traced shape"
    out = onnx.ModelProto()
    out.CopyFrom(model)
    for axis, name in axes.items():
        out.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    if 0 in axes:
        out.graph.output[0].type.tensor_type.shape.dim[0].dim_param = axes[0]
    return out


def clean(model: onnx.ModelProto, part: str) -> onnx.ModelProto:
    """A copy without metadata, paths and tool versions, with names `part/...` that depend on the topology alone."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    strip(out)
    out.producer_name, out.producer_version = "lvs", ""
    out.ir_version = IR_VERSION
    out.graph.name = part
    used = {node.domain for node in out.graph.node}
    kept = [entry for entry in out.opset_import if entry.domain in used or not entry.domain]
    del out.opset_import[:]
    out.opset_import.extend(sorted(kept, key=lambda entry: entry.domain))
    del out.graph.value_info[:]
    rename(out.graph, part)
    return out


def strip(model: onnx.ModelProto) -> None:
    """Remove every `metadata_props` and `doc_string` (source paths, stack traces, class names)."""
    graph = model.graph
    holders: list[Any] = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output]
    holders += [*graph.initializer, *model.functions]
    for function in model.functions:
        holders += [*function.node, *function.value_info]
    for holder in holders:
        holder.ClearField("doc_string")
        holder.ClearField("metadata_props")


def rename(graph: onnx.GraphProto, prefix: str) -> None:
    """Name nodes, weights and inner values `prefix/<op>_<n>` in graph order; inputs and outputs keep theirs."""
    fixed = {value.name for value in [*graph.input, *graph.output]}
    names: dict[str, str] = {name: name for name in fixed}
    counts: dict[str, int] = {}

    def fresh(kind: str) -> str:
        counts[kind] = counts.get(kind, -1) + 1
        return f"{prefix}/{kind}_{counts[kind]}"

    weights = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        assert not any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute)
        node.name = fresh(node.op_type.lower())
        for position, name in enumerate(node.input):
            if name in weights and name not in names:
                names[name] = f"{node.name}/input{position}"
        for position, name in enumerate(node.output):
            if name and name not in names:
                names[name] = node.name if position == 0 else f"{node.name}/output{position}"
        node.input[:] = [names[name] if name else "" for name in node.input]
        node.output[:] = [names[name] if name else "" for name in node.output]
    order = {name: position for position, name in enumerate(names)}  # of first use
    kept = sorted((t for t in graph.initializer if t.name in names), key=lambda tensor: order[tensor.name])
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    for tensor in copies:
        tensor.name = names[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(copies)


def check(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model itself, after full checker and strict shape inference; LvsError when it is not sound."""
    if any(node.op_type == "BatchNormalization" for node in model.graph.node):
        raise LvsError(f"{model.graph.name}: BatchNormalization was left in the graph (traced in train mode?)")
    try:
        onnx.checker.check_model(model, full_check=True)  # with strict inference of types and shapes
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise LvsError(f"{model.graph.name}: the ONNX checker refuses the graph: {error}") from error
    return model


def serialise(model: onnx.ModelProto) -> bytes:
    """Deterministic bytes in which each large weight starts on a multiple of 64.

    The fused graph refers to weights at their place inside these files; the padding is a `doc_string` of spaces on
    the weight before. Without it a runtime that maps the file would read floats from odd addresses.
    """
    for _ in range(4):  # a pad can lengthen the size prefix of a tensor by a byte and so move it: then once more
        data = bytes(model.SerializeToString(deterministic=True))
        offsets = dict(_places(model, data))
        if all(offset % ALIGNMENT_BYTES == 0 for offset in offsets.values()):
            return data
        _pad(model, offsets)
    raise AssertionError(f"{model.graph.name}: the weights cannot be aligned")


def large_weights(model: onnx.ModelProto, data: bytes) -> list[tuple[str, int, int]]:
    """(name, offset, length) of each large weight inside the serialised file `data`, in file order."""
    sizes = {tensor.name: len(tensor.raw_data) for tensor in model.graph.initializer}
    places = _places(model, data)
    assert all(offset % ALIGNMENT_BYTES == 0 for _, offset in places)
    return [(name, offset, sizes[name]) for name, offset in places]


def _places(model: onnx.ModelProto, data: bytes) -> list[tuple[str, int]]:
    """(name, offset) of each large weight, in file order."""
    found: list[tuple[str, int]] = []
    start = 0
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) >= LARGE_BYTES:
            offset = _find(data, tensor.raw_data, start)
            found.append((tensor.name, offset))
            start = offset + len(tensor.raw_data)
    return found


def _pad(model: onnx.ModelProto, offsets: Mapping[str, int]) -> None:
    """Lengthen the `doc_string` of what lies before each large weight until that weight would be aligned."""
    holder: Any = model
    shift = 0
    for tensor in model.graph.initializer:
        if tensor.name in offsets:
            missing = -(offsets[tensor.name] + shift) % ALIGNMENT_BYTES
            shift += _lengthen(holder, missing) if missing else 0
        holder = tensor


def _lengthen(holder: Any, missing: int) -> int:
    """Add spaces until the message has grown by `missing` bytes, or 64 more where that cannot be; by how much."""
    before, text = holder.ByteSize(), holder.doc_string
    for more in range(2 * ALIGNMENT_BYTES):
        holder.doc_string = text + " " * more
        growth = holder.ByteSize() - before
        if growth and growth % ALIGNMENT_BYTES == missing:
            return int(growth)
    raise AssertionError("no pad fits")


def _find(data: bytes, raw: bytes, start: int) -> int:
    """Where `raw` lies in `data`: searched by its first kilobyte (long needles are slow), compared whole."""
    offset = data.find(raw[:LARGE_BYTES], start)
    while offset >= 0 and data[offset : offset + len(raw)] != raw:
        offset = data.find(raw[:LARGE_BYTES], offset + 1)
    assert offset >= 0, "a weight is not stored as raw bytes"
    return offset


def shape_of(value: onnx.ValueInfoProto) -> list[int | str]:
    """Shape of a graph input or output; a variable axis by its name."""
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
