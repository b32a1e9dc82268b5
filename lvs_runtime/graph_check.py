"""A look into an ONNX file before a runtime opens it: only known operators, no weights from elsewhere, no false sizes.

A minimal reader of the protobuf wire format (field number and wire type, then a number or a length and that many
bytes), so that the runtime needs no onnx package. It refuses what an honest bundle never holds: loops and other
sub-graphs, local functions, custom operators, operators that make large tensors of nothing (a 200-byte file with one
ConstantOfShape takes 8 GB), weights that claim more than the file has, and references to files outside the bundle. It
is no sandbox: a graph of known operators can still be slow.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from .errors import BundleError

# fmt: off
OPERATORS = frozenset({
    "Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv",
    "DequantizeLinear", "Div", "Exp", "Flatten", "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Identity",
    "Log", "LpNormalization", "MatMul", "Max", "MaxPool", "Min", "Mul", "Neg", "Pow", "QuantizeLinear", "Reciprocal",
    "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Resize", "Shape",
    "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze",
})
# fmt: on
# Bits of one element by TensorProto.DataType; what is not here (strings, complex numbers) is refused.
_BITS = {1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 21: 4, 22: 4}
_EXTERNAL = 1
Value = int | memoryview


def check_graph(name: str, data: bytes, files: Collection[str] = ()) -> None:
    """Raise `BundleError` unless the ONNX file `name` with content `data` holds only what the module's text allows.

    `files`: names that its weights may lie in (none for a graph that is handed to the runtime as bytes).
    """
    try:
        graphs = _Checker(files).model(memoryview(data))
    except _Refused as refused:
        raise BundleError(f"{name}: {refused}; refused, export the bundle anew with lvs-export") from None
    if graphs != 1:
        raise BundleError(f"{name} is no ONNX model ({graphs} graphs in it; starts with {data[:8]!r})")


class _Refused(Exception):
    """Why a graph is refused."""


class _Checker:
    """Walks the messages of one file. Field numbers as in onnx.proto."""

    def __init__(self, files: Collection[str]) -> None:
        self.files = files

    def model(self, data: memoryview) -> int:
        """ModelProto: graph 7, training_info 20, functions 25. Number of graphs."""
        graphs = 0
        for field, value in _fields(data):
            if field in (20, 25):
                raise _Refused("it holds local functions or training code")
            if field == 7:
                self.graph(_message(value))
                graphs += 1
        return graphs

    def graph(self, data: memoryview) -> None:
        """GraphProto: node 1, initializer 5, sparse_initializer 15."""
        for field, value in _fields(data):
            if field == 1:
                self.node(_message(value))
            elif field == 5:
                self.tensor(_message(value))
            elif field == 15:
                raise _Refused("it holds sparse weights")

    def node(self, data: memoryview) -> None:
        """NodeProto: op_type 4, attribute 5, domain 7."""
        operator, domain = "", ""
        for field, value in _fields(data):
            if field == 4:
                operator = _text(value)
            elif field == 7:
                domain = _text(value)
            elif field == 5:
                self.attribute(_message(value))
        if domain not in ("", "ai.onnx"):
            raise _Refused(f"operator {operator} is of the custom domain {domain!r}")
        if operator not in OPERATORS:
            raise _Refused(f"operator {operator!r} is none that lvs exports")

    def attribute(self, data: memoryview) -> None:
        """AttributeProto: t 5, g 6, tensors 10, graphs 11, sparse 22 and 23."""
        for field, value in _fields(data):
            if field in (6, 11, 22, 23):
                raise _Refused("a node holds a graph or a sparse tensor of its own")
            if field in (5, 10):
                self.tensor(_message(value))

    def tensor(self, data: memoryview) -> None:
        """TensorProto: dims 1, data_type 2, name 8, external_data 13, data_location 14."""
        dims: list[int] = []
        kind, location, name = 0, 0, ""
        outside: dict[str, str] = {}
        for field, value in _fields(data):
            if field == 1:
                dims += [value] if isinstance(value, int) else _packed(value)
            elif field == 2:
                kind = _number(value)
            elif field == 8:
                name = _text(value)
            elif field == 13:
                entry = {number: _text(part) for number, part in _fields(_message(value))}
                outside[entry.get(1, "")] = entry.get(2, "")
            elif field == 14:
                location = _number(value)
        if kind not in _BITS or any(d >= 1 << 31 for d in dims):
            raise _Refused(f"weight {name!r} has element type {kind} and shape {dims}")
        if location == _EXTERNAL or outside:
            if outside.get("location") not in self.files:
                raise _Refused(f"weight {name!r} lies in {outside.get('location')!r}, outside this file")
        elif math.prod(dims) * _BITS[kind] > 8 * len(data):
            claimed = math.prod(dims) * _BITS[kind] / 8e6
            raise _Refused(f"weight {name!r} claims {claimed:.1f} MB, the file has {len(data) / 1e6:.1f} MB of it")


def _fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """(field number, number or bytes) of each field of a message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        wire = key & 7
        if wire == 0:
            number, position = _varint(data, position)
            yield key >> 3, number
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _Refused("it is no ONNX model, or a damaged one")
        if position + length > len(data):
            raise _Refused("it is truncated, or no ONNX model")
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """(value, position after it); at most ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _Refused("it is truncated, or no ONNX model")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _Refused("it is no ONNX model, or a damaged one")


def _packed(data: memoryview) -> list[int]:
    numbers, position = [], 0
    while position < len(data):
        number, position = _varint(data, position)
        numbers.append(number)
    return numbers


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise _Refused("it is no ONNX model, or a damaged one")
    return value


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise _Refused("it is no ONNX model, or a damaged one")
    return value


def _text(value: Value) -> str:
    try:
        return bytes(_message(value)).decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused("it is no ONNX model, or a damaged one") from None
