"""int8 as Q/DQ nodes, one scale a weight channel, nothing outside the residual blocks; two recipes.

CPUs and browsers: unsigned activations, signed weights (signed activations run at float speed on x86). TensorRT:
everything signed and symmetric, biases in float, which is all that it parses. In both the stem stays in float: in
int8 it costs the audio map most of its accuracy and is where CPUs without VNNI saturate their 16-bit sums; the norm
and the spectrogram need floats. Nodes are chosen by their place in the graph, since names differ with torch versions.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from lvs_runtime.errors import LvsError

from .onnx_graph import GraphNames, clean
from .session import onnxruntime

# ONNX Runtime's entropy method is left out: with its fixed 128 bins it always keeps the whole range, and the files are
# those of MinMax to the byte.
METHODS = ("MinMax", "Percentile99.999", "Percentile99.99")


@dataclass(frozen=True)
class Recipe:
    """How one graph was quantised: range method ("MinMax" or "Percentile" with its number), which convolutions stay in
    float (numbers from 0 behind the stem, in graph order), 7-bit weights, and TensorRT's rules or the CPU's.
    """

    method: str
    float_convs: tuple[int, ...] = ()
    reduce_range: bool = False
    symmetric: bool = False
    alone: bool = False  # only convolutions, no additions: to see what one of them does


def quantize(
    model: onnx.ModelProto, names: GraphNames, recipe: Recipe, inputs: Sequence[npt.NDArray[Any]]
) -> onnx.ModelProto:
    """A clean int8 copy of a clean float32 graph, its ranges taken from `inputs` (the graph's input, one a clip).

    A copy with every Q/DQ pair is what ONNX Runtime's tool makes of `recipe`; LvsError when a scale came out as 0.
    """
    onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    options: dict[str, Any] = {}
    if recipe.symmetric:
        options = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
    percentile = recipe.method.removeprefix("Percentile") if recipe.method != "MinMax" else ""
    if percentile:
        options["CalibPercentile"] = float(percentile)
    logging.getLogger().addFilter(_no_preprocessing_advice)
    try:
        with redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory(prefix="lvs-int8-") as folder:
            target = Path(folder) / "int8.onnx"
            quantize_static(
                _copy(model),
                str(target),
                _reader(names.inputs[0], inputs),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8 if recipe.symmetric else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=recipe.reduce_range,
                op_types_to_quantize=_operators(recipe),
                nodes_to_quantize=block_nodes(model, recipe.float_convs),
                calibrate_method=CalibrationMethod.Percentile if percentile else CalibrationMethod.MinMax,
                extra_options=options,
            )
            found = onnx.load(str(target))
    finally:
        logging.getLogger().removeFilter(_no_preprocessing_advice)
    _check_scales(found)
    return clean(found, names.part)


def _operators(recipe: Recipe) -> list[str]:
    if recipe.alone:
        return ["Conv"]
    return ["Conv", "Add"] if recipe.symmetric else ["Conv", "Add", "Relu"]


def block_nodes(model: onnx.ModelProto, float_convs: Collection[int] = ()) -> list[str]:
    """Names of the nodes to quantise: from behind the stem's ReLU to the last ReLU, less the convolutions named.

    The stem is what feeds the only max-pool; in the audio graph the convolution of the spectrogram lies before it.
    """
    nodes = _blocks(model)
    convs = [node.name for node in nodes if node.op_type == "Conv"]
    assert all(0 <= number < len(convs) for number in float_convs)
    kept = {convs[number] for number in float_convs}
    return [node.name for node in nodes if node.name not in kept]


def num_block_convs(model: onnx.ModelProto) -> int:
    """How many convolutions lie behind the stem (19 in a ResNet18)."""
    return sum(node.op_type == "Conv" for node in _blocks(model))


def _blocks(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("MaxPool") == 1, f"{model.graph.name}: not a ResNet trunk"
    stem = kinds.index("Relu", kinds.index("MaxPool"))
    last = len(kinds) - 1 - kinds[::-1].index("Relu")
    nodes = model.graph.node[stem + 1 : last + 1]
    assert {node.op_type for node in nodes} == {"Conv", "Add", "Relu"}
    return list(nodes)


def quantized_convs(model: onnx.ModelProto) -> int:
    """How many convolutions take dequantised weights."""
    produced = {output: node.op_type for node in model.graph.node for output in node.output}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    return sum(produced.get(node.input[1]) == "DequantizeLinear" for node in convs)


def _reader(name: str, inputs: Sequence[npt.NDArray[Any]]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
        def __init__(self) -> None:
            self._items: Iterator[npt.NDArray[Any]] = iter(inputs)

        def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
            """The next feed, None at the end."""
            item = next(self._items, None)
            return None if item is None else {name: item}

    return Reader()


def _check_scales(model: onnx.ModelProto) -> None:
    """A dead channel gives scale 0, a tiny one a bias that the runtime clips: both would be silently wrong."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scale = numpy_helper.to_array(weights[node.input[1]])
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise LvsError(f"{model.graph.name}, int8: {node.name} has a scale of 0: a dead channel; export --fp16")
        zero = weights.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and zero.data_type == onnx.TensorProto.INT8 and numpy_helper.to_array(zero).any():
            raise LvsError(f"{model.graph.name}, int8: {node.name} has a zero point, which TensorRT refuses")
        stored = weights.get(node.input[0])
        if stored is None or stored.data_type != onnx.TensorProto.INT32:
            continue
        if np.abs(numpy_helper.to_array(stored).astype(np.int64)).max() >= 2**31 - 1:
            raise LvsError(f"{model.graph.name}, int8: a bias of {node.name} does not fit 32 bits; export --fp16")


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """quantize_static changes the model that it is given."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    return out


def _no_preprocessing_advice(record: logging.LogRecord) -> bool:
    """The tool advises a pre-processing step that this graph has behind it."""
    return "pre-processing" not in record.getMessage()
