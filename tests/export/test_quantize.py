"""The int8 recipe for CPUs, read back from the files."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lvs_export import export as exporting
from lvs_export import saturation
from lvs_export.build import Graphs
from lvs_export.choose import Chooser
from lvs_export.export import export_bundle
from lvs_export.gate import Precision
from lvs_export.maps import MapErrors
from lvs_export.material import Material
from lvs_export.onnx_graph import IMAGE
from lvs_export.options import ExportOptions
from lvs_export.quantize import Recipe, _check_scales, block_nodes, num_block_convs, quantize, quantized_convs
from lvs_export.session import GraphSession
from lvs_runtime.errors import ConfigError, LvsError


@pytest.mark.parametrize(("file", "front_convs"), [("image.onnx", 0), ("audio.onnx", 1)])
def test_nodes_are_chosen_by_topology(fp32, file, front_convs):
    model = fp32.model(file)
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    chosen = block_nodes(model)
    assert [name for name in convs if name not in chosen] == convs[: front_convs + 1]
    assert num_block_convs(model) == 19
    assert [name for name in chosen if name not in block_nodes(model, (0, 18))] == [convs[front_convs + 1], convs[-1]]
    last = [node.name for node in model.graph.node if node.op_type == "Relu"][-1]
    assert chosen[-1] == last


@pytest.mark.parametrize("file", ["image.onnx", "audio.onnx"])
def test_types_and_scales(int8, file):
    model = int8.model(file)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {output: node for node in model.graph.node for output in node.output}
    quantised = [made[node.input[1]] for node in model.graph.node if node.op_type == "Conv" and node.input[1] in made]
    assert len(quantised) == quantized_convs(model) >= 15
    for node in quantised:
        stored, scale = weights[node.input[0]], numpy_helper.to_array(weights[node.input[1]])
        assert stored.data_type == onnx.TensorProto.INT8
        assert scale.shape == (stored.dims[0],), "one scale a channel"
    points = [weights[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {point.data_type for point in points} == {onnx.TensorProto.UINT8}
    kinds = [node.op_type for node in model.graph.node]
    assert "QuantizeLinear" not in kinds[: kinds.index("MaxPool") + 1]
    assert "QuantizeLinear" not in kinds[len(kinds) - kinds[::-1].index("DequantizeLinear") :]


def test_a_scale_of_zero_is_refused(int8):
    model = int8.model("image.onnx")
    scale = next(node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear")
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == scale)
    tensor.CopyFrom(numpy_helper.from_array(np.float32(0), scale))
    with pytest.raises(LvsError, match="scale of 0"):
        _check_scales(model)


@pytest.fixture(scope="module")
def small():
    """A trunk in small: stem, one block of two convolutions and its addition; and pictures for it."""
    rng = np.random.default_rng(0)
    shapes = {"w0": (8, 3, 3, 3), "w1": (8, 8, 3, 3), "w2": (8, 8, 3, 3)}
    tensors = [numpy_helper.from_array(rng.normal(0, 0.3, s).astype(np.float32), n) for n, s in shapes.items()]
    tensors += [numpy_helper.from_array(rng.normal(0, 0.3, 8).astype(np.float32), f"b{i}") for i in range(3)]
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        ("Conv", ["image", "w0", "b0"], "c0", conv),
        ("MaxPool", ["c0"], "p0", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Relu", ["p0"], "r0", {}),
        ("Conv", ["r0", "w1", "b1"], "c1", conv),
        ("Relu", ["c1"], "r1", {}),
        ("Conv", ["r1", "w2", "b2"], "c2", conv),
        ("Add", ["c2", "r0"], "a", {}),
        ("Relu", ["a"], "image_embedding", {}),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, inputs, [out], name=out, **attributes) for kind, inputs, out, attributes in nodes],
        "image",
        [value("image", onnx.TensorProto.FLOAT, [1, 3, 16, 16])],
        [value("image_embedding", onnx.TensorProto.FLOAT, [1, 8, 8, 8])],
        tensors,
    )
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])
    onnx.checker.check_model(model, full_check=True)
    return model, [rng.random((1, 3, 16, 16)).astype(np.float32) for _ in range(4)]


def chooser(small, *figures, **fields):
    """A Chooser whose judge gives these (mean error, correlation) in turn, what it was shown, and its stages."""
    shown, stages = [], []

    def evaluate(session):
        mean, correlation = figures[min(len(shown), len(figures) - 1)]
        shown.append(session)
        return MapErrors(10 * mean, mean, "clip", correlation, correlation, 0, 4, 4)

    options = ExportOptions(precision=Precision.INT8, threads=1, **fields)
    return Chooser(small[0], IMAGE, small[1], evaluate, options, stages.append), shown, stages


def test_the_ranges_with_the_smallest_error_are_taken(small):
    choosing, shown, _ = chooser(small, (0.02, 0.999), (0.01, 0.999), (0.03, 0.999))
    choice = choosing.choose()
    assert (choice.recipe, len(shown)) == (Recipe("Percentile99.999"), 3)
    assert choice.tried == {
        "MinMax ranges": 0.02, "Percentile99.999 ranges": 0.01, "Percentile99.99 ranges": 0.03
    }  # fmt: skip
    assert choice.sensitivity == {}
    assert choice.saturation is not None
    assert choice.saturation.pairs == 2 * 8 * 4 * 9 * 64, "one picture, two convolutions, half of 8 channels"


def test_ranges_that_pass_beat_ranges_with_less_error(small):
    choosing, _, _ = chooser(small, (0.01, 0.98), (0.02, 0.995), (0.03, 0.98))
    assert choosing.choose().recipe == Recipe("Percentile99.999")


def test_the_convolution_that_hurts_most_is_released(small):
    """Alone, the second one errs more: it goes back to float, and the gate is passed."""
    figures = ((0.1, 0.98), (0.001, 0.98), (0.05, 0.98), (0.03, 0.995))
    choosing, _, stages = chooser(small, *figures, methods=("MinMax",))
    choice = choosing.choose()
    assert choice.sensitivity == {1: 0.05, 0: 0.001}
    assert choice.recipe == Recipe("MinMax", (1,))
    assert quantized_convs(choice.model) == 1
    assert stages == [
        "image: int8, MinMax ranges",
        "image: sensitivity of convolution 1 of 2",
        "image: sensitivity of convolution 2 of 2",
        "image: int8, MinMax ranges, convolutions 1 in float",
        "image: 16-bit sums of CPUs without VNNI",
    ]


def test_the_judging_clips_can_ask_for_more_float(small, monkeypatch):
    """Graphs that miss the gate get convolutions back, one, two, four of each, and no more than it takes."""
    choosing, _, _ = chooser(small, (0.01, 0.999), methods=("MinMax",))
    graphs = Graphs({}, choices={"image": choosing.choose()}, choosers={"image": choosing})
    monkeypatch.setattr(Graphs, "sessions", lambda *_: {"image": None, "audio": None})
    judged = iter((0.981, 0.989, 0.995))
    found = [MapErrors(0.1, 0.01, "clip", r, r, 0, 4, 4) for r in judged]
    shown = iter(found)
    monkeypatch.setattr(exporting.verify, "measure", lambda *_: {"both": next(shown)})
    options = ExportOptions(precision=Precision.INT8, threads=1, graphs="split", methods=("MinMax",))
    stages = []
    _, errors = exporting._measured(None, graphs, options, stages.append)
    assert errors["both"] is found[-1]
    assert graphs.choices["image"].recipe == Recipe("MinMax", (0, 1))
    assert quantized_convs(graphs.models["image"]) == 0
    assert [text for text in stages if "gate" in text] == [
        f"gate missed: {n} convolutions of each graph back to float" for n in (1, 2)
    ]


def test_sensitivity_on_request(small):
    choosing, _, _ = chooser(small, (0.01, 0.999), (0.02, 0.999), (0.005, 0.999), methods=("MinMax",), sensitivity=True)
    choice = choosing.choose()
    assert choice.sensitivity == {0: 0.02, 1: 0.005}
    assert choice.recipe == Recipe("MinMax")


def test_the_recipe_for_tensorrt(small):
    """Symmetric: signed activations without zero points, biases in float; ONNX Runtime runs it as a reference."""
    choosing, _, _ = chooser(small, (0.01, 0.999), methods=("MinMax",), target="tensorrt")
    choice = choosing.choose()
    assert choice.recipe.symmetric
    assert choice.saturation is None
    weights = {tensor.name: tensor for tensor in choice.model.graph.initializer}
    points = [weights[node.input[2]] for node in choice.model.graph.node if node.op_type == "QuantizeLinear"]
    assert {point.data_type for point in points} == {onnx.TensorProto.INT8}
    assert not any(numpy_helper.to_array(point).any() for point in points)
    assert onnx.TensorProto.INT32 not in {tensor.data_type for tensor in choice.model.graph.initializer}
    assert quantized_convs(choice.model) == 2
    inner = {i for node in choice.model.graph.node if node.op_type == "Add" for i in node.input}
    made = {output: node.op_type for node in choice.model.graph.node for output in node.output}
    assert [made[name] for name in inner] == ["DequantizeLinear"] * 2, "the identity branch too, else the sum is float"
    want = GraphSession(small[0].SerializeToString(), None, 1).run(image=small[1][0])
    found = GraphSession(choice.model.SerializeToString(), None, 1).run(image=small[1][0])
    assert 0 < np.abs(found - want).max() < 0.05 * want.max()


def test_seven_bit_weights_where_sums_overflow(small, monkeypatch):
    monkeypatch.setattr(saturation, "MAX_SHARE", -1.0)
    choosing, _, _ = chooser(small, (0.01, 0.999), methods=("MinMax",))
    choice = choosing.choose()
    assert choice.recipe == Recipe("MinMax", reduce_range=True)
    kinds = {t.name: numpy_helper.to_array(t) for t in choice.model.graph.initializer if t.data_type == 3 and t.dims}
    assert max(int(np.abs(value.astype(int)).max()) for value in kinds.values()) == 64
    assert choice.saturation is not None
    assert choice.saturation.possible == 0


def test_too_few_clips(checkpoint, clips, tmp_path):
    few = Material("few", clips.calibration[:3], clips.parity)
    with pytest.raises(ConfigError, match="at least 6 calibration clips, got 3"):
        export_bundle(checkpoint, tmp_path / "b", ExportOptions(precision=Precision.INT8), few)
    assert not (tmp_path / "b").exists()


def test_quantize_leaves_its_input_alone(small):
    model, pictures = small
    before = model.SerializeToString(deterministic=True)
    quantize(model, IMAGE, Recipe("MinMax"), pictures)
    assert model.SerializeToString(deterministic=True) == before
