"""The wire-level look into ONNX files: honest graphs pass, hostile and damaged ones are refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvs_runtime.errors import BundleError
from lvs_runtime.graph_check import check_graph

onnx = pytest.importorskip("onnx")
helper = onnx.helper
FLOAT = onnx.TensorProto.FLOAT


def model(nodes, initializers=(), **kwargs):
    values = [helper.make_tensor_value_info(name, FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initializers)
    return helper.make_model(graph, **kwargs)


def relu():
    return helper.make_node("Relu", ["x"], ["y"])


def weight(name="w", dims=(2, 3), raw=b"\0" * 24, **fields):
    tensor = onnx.TensorProto(name=name, dims=dims, data_type=FLOAT, raw_data=raw)
    for key, value in fields.items():
        setattr(tensor, key, value)
    return tensor


def external(location, *, flag=True):
    tensor = weight(raw=b"")
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="offset", value="0")
    if flag:
        tensor.data_location = onnx.TensorProto.EXTERNAL
    return tensor


def test_honest_graphs_pass(toy_bundle):
    for name in ("image.onnx", "audio.onnx"):
        check_graph(name, (toy_bundle / name).read_bytes())
    check_graph("m", model([relu()], [weight()]).SerializeToString())
    check_graph("m", model([relu()], [helper.make_tensor("w", FLOAT, [3], [1.0, 2.0, 3.0])]).SerializeToString())


def test_weights_in_a_named_file():
    data = model([relu()], [external("image.onnx")]).SerializeToString()
    check_graph("m", data, {"image.onnx"})
    with pytest.raises(BundleError, match=r"m: weight 'w' lies in 'image.onnx', outside this file"):
        check_graph("m", data)


def _with_function():
    function = helper.make_function("local", "F", ["x"], ["y"], [relu()], [helper.make_opsetid("", 18)])
    return model([relu()], functions=[function])


def _if():
    branch = helper.make_graph([relu()], "b", [], [helper.make_tensor_value_info("y", FLOAT, [1])])
    return helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)


HOSTILE = {
    "ConstantOfShape": (lambda: model([helper.make_node("ConstantOfShape", ["x"], ["y"])]), "ConstantOfShape"),
    "If": (lambda: model([_if()]), "holds a graph"),
    "custom domain": (lambda: model([helper.make_node("Relu", ["x"], ["y"], domain="evil")]), "custom domain 'evil'"),
    "function": (_with_function, "local functions"),
    "claims": (lambda: model([relu()], [weight(dims=(50_000, 50_000))]), r"claims 10000.0 MB, the file has 0.0 MB"),
    "negative": (lambda: model([relu()], [weight(dims=(-1, 3))]), "element type 1 and shape"),
    "strings": (lambda: model([relu()], [weight(data_type=8)]), "element type 8"),
    "outside": (lambda: model([relu()], [external("../secret")]), r"'../secret', outside"),
    "outside, unflagged": (lambda: model([relu()], [external("../secret", flag=False)]), r"'../secret', outside"),
    "absolute": (lambda: model([relu()], [external("/etc/passwd")]), "outside"),
    "constant outside": (
        lambda: model([helper.make_node("Constant", [], ["y"], value=external("../secret"))]),
        "outside",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_graphs_are_refused(case):
    make, message = HOSTILE[case]
    with pytest.raises(BundleError, match=message):
        check_graph("m", make().SerializeToString(), {"image.onnx"})


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html><html></html>", b"\x08\x07", b"\xff" * 50, b"PK\x03\x04" * 9])
def test_files_that_are_no_model(data):
    with pytest.raises(BundleError, match="no ONNX model"):
        check_graph("m", data)


def test_every_truncation_is_refused():
    data = model([relu()], [weight()]).graph.SerializeToString()
    whole = b"\x3a" + bytes([len(data)]) + data  # ModelProto with nothing but its graph
    check_graph("m", whole)
    for length in range(len(whole)):
        with pytest.raises(BundleError):
            check_graph("m", whole[:length])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_verdict(data):
    verdict = "m"
    try:
        check_graph("m", data)
    except BundleError as error:
        verdict = str(error)
    assert verdict.startswith("m")
