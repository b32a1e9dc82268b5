"""Do the 16-bit sums of x86 CPUs without VNNI overflow in an int8 graph? Counted in its integers, layer by layer.

    SSE4.1, AVX2, plain AVX-512:  sum = a[k] * w[k] + a[k+1] * w[k+1],  a in 0..255, w in -127..127, held in 16 bits

The instruction (pmaddubsw) saturates at 32,767; 255 * 127 * 2 = 64,770 would not fit. k runs over kernel rows, columns
and channels, channels innermost, as ONNX Runtime lays the data out. 7-bit weights (|w| <= 64) can never overflow; they
cost accuracy, so they are taken only when more than `MAX_SHARE` of the sums overflow on the calibration clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from .session import onnxruntime

LIMIT = 32_767
MAX_SHARE = 1e-5  # see docs/export.md: what a share of 4e-6 does to a map
IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Saturation:
    """Of `pairs` sums of two products, `possible` have weights that could overflow and `saturating` do."""

    pairs: int
    possible: int
    saturating: int

    def __add__(self, other: Saturation) -> Saturation:
        return Saturation(self.pairs + other.pairs, self.possible + other.possible, self.saturating + other.saturating)

    @property
    def harmful(self) -> bool:
        """Whether more than `MAX_SHARE` of the sums overflow."""
        return self.saturating > MAX_SHARE * self.pairs

    def as_dict(self) -> dict[str, int]:
        """Plain values for the manifest."""
        return {"pairs": self.pairs, "possible": self.possible, "saturating": self.saturating}


def measure(model: onnx.ModelProto, name: str, inputs: Sequence[npt.NDArray[Any]]) -> Saturation:
    """Count over all int8 convolutions with unsigned activations, for the graph's input `name` at each of `inputs`."""
    convs = list(_int8_convs(model))
    total = Saturation(0, 0, 0)
    if not convs:
        return total
    session = _session_with_outputs(model, [activation for _, activation, _ in convs])
    for given in inputs:
        values = session.run([activation for _, activation, _ in convs], {name: given})
        for (node, _, weight), value in zip(convs, values, strict=True):
            total += count(value[0], weight, *_geometry(node))
    return total


def count(
    activation: npt.NDArray[np.uint8], weight: npt.NDArray[np.int8], stride: tuple[int, int], pads: tuple[int, ...]
) -> Saturation:
    """One convolution: activation (C, H, W), weight (M, C, kh, kw), pads top, left, bottom, right."""
    padded = np.pad(activation.astype(np.int32), ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    outputs, channels, rows, columns = weight.shape
    height = (padded.shape[1] - rows) // stride[0] + 1
    width = (padded.shape[2] - columns) // stride[1] + 1
    wide = weight.astype(np.int32)
    possible = saturating = 0
    for row in range(rows):
        for column in range(columns):
            view = padded[
                :, row : row + height * stride[0] : stride[0], column : column + width * stride[1] : stride[1]
            ]
            seen = view.reshape(channels, -1)
            for c in range(0, channels - 1, 2):
                could, does = _pair(seen[c], seen[c + 1], wide[:, c, row, column], wide[:, c + 1, row, column])
                possible, saturating = possible + could, saturating + does
    return Saturation(outputs * (channels // 2) * rows * columns * height * width, possible, saturating)


def _pair(a: IntArray, b: IntArray, wa: IntArray, wb: IntArray) -> tuple[int, int]:
    """Sums of two channels over all outputs and places: how many have such weights, how many overflow."""
    high, low = np.maximum(wa, 0) + np.maximum(wb, 0), np.minimum(wa, 0) + np.minimum(wb, 0)
    risky = np.maximum(high, -low) * 255 > LIMIT
    reach = np.abs(wa) * int(a.max()) + np.abs(wb) * int(b.max()) > LIMIT  # with what these channels really hold
    number = int(risky.sum()) * a.size
    chosen = np.flatnonzero(risky & reach)
    if not chosen.size:
        return number, 0
    sums = wa[chosen, None] * a + wb[chosen, None] * b
    return number, int((np.abs(sums) > LIMIT).sum())


def _int8_convs(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, str, npt.NDArray[np.int8]]]:
    """(convolution, name of its unsigned 8-bit activation, its weight)."""
    made = {output: node for node in model.graph.node for output in node.output}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        sources = [made.get(name) for name in node.input[:2]]
        if node.op_type != "Conv" or any(s is None or s.op_type != "DequantizeLinear" for s in sources):
            continue
        activation, weight = sources
        assert activation is not None
        assert weight is not None
        if stored[activation.input[2]].data_type == onnx.TensorProto.UINT8:
            yield node, activation.input[0], numpy_helper.to_array(stored[weight.input[0]])


def _geometry(node: onnx.NodeProto) -> tuple[tuple[int, int], tuple[int, ...]]:
    values = {attribute.name: tuple(attribute.ints) for attribute in node.attribute}
    stride = values.get("strides", (1, 1))
    return (stride[0], stride[1]), values.get("pads", (0, 0, 0, 0))


def _session_with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> Any:
    """A session that also hands out inner 8-bit tensors."""
    ort = onnxruntime()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name in dict.fromkeys(names):
        copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(copy.SerializeToString(), options, providers=["CPUExecutionProvider"])
