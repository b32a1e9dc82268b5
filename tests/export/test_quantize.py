"""The int8 recipe for CPUs, read back from the files."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lvs_export.choose import choose
from lvs_export.export import export_bundle
from lvs_export.material import Material
from lvs_export.onnx_graph import IMAGE
from lvs_export.options import ExportOptions
from lvs_export.precision import Precision
from lvs_export.quantize import Recipe, _check_scales, block_nodes, quantize, quantized_convs
from lvs_export.verify import MapErrors
from lvs_runtime.errors import ConfigError, LvsError


@pytest.mark.parametrize(("file", "front_convs"), [("image.onnx", 0), ("audio.onnx", 1)])
def test_nodes_are_chosen_by_topology(fp32, file, front_convs):
    model = fp32.model(file)
    convs = [node.name for node in model.graph.node if node.op_type == "Conv"]
    chosen = block_nodes(model)
    assert [name for name in convs if name not in chosen] == convs[: front_convs + 1]
    assert len(block_nodes(model, float_convs=3)) == len(chosen) - 3
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


def judge_by(*figures):
    """An `evaluate` that gives these (mean error, correlation) in turn, and the list of what it was shown."""
    shown = []

    def evaluate(session):
        mean, correlation = figures[len(shown)]
        shown.append(session)
        return MapErrors(10 * mean, mean, "clip", correlation, correlation, 0, 4, 4)

    return evaluate, shown


def test_the_ranges_with_the_smallest_error_are_taken(fp32, clips):
    evaluate, shown = judge_by((0.02, 0.999), (0.01, 0.999), (0.03, 0.999))
    options = ExportOptions(precision=Precision.INT8, threads=1)
    inputs = [clip.image for clip in clips.calibration[:2]]
    choice = choose(fp32.model("image.onnx"), IMAGE, inputs, evaluate, options, lambda _: None)
    assert (choice.recipe, len(shown)) == (Recipe("Percentile99.999"), 3)
    assert choice.tried == {"MinMax": 0.02, "Percentile99.999": 0.01, "Percentile99.99": 0.03}


def test_convolutions_are_released_until_the_gate_is_passed(fp32, clips):
    evaluate, _ = judge_by((0.1, 0.98), (0.05, 0.985), (0.03, 0.995))
    options = ExportOptions(precision=Precision.INT8, methods=("MinMax",), threads=1)
    stages = []
    inputs = [clip.image for clip in clips.calibration[:2]]
    choice = choose(fp32.model("image.onnx"), IMAGE, inputs, evaluate, options, stages.append)
    assert choice.recipe == Recipe("MinMax", 2)
    assert quantized_convs(choice.model) == 17
    assert [text.split(", ", 1)[1] for text in stages] == [
        "MinMax ranges", "MinMax ranges, 1 conv in float", "MinMax ranges, 2 conv in float"
    ]  # fmt: skip


def test_too_few_clips(checkpoint, clips, tmp_path):
    few = Material("few", clips.calibration[:3], clips.parity)
    with pytest.raises(ConfigError, match="at least 16 calibration clips, got 3"):
        export_bundle(checkpoint, tmp_path / "b", ExportOptions(precision=Precision.INT8), few)
    assert not (tmp_path / "b").exists()


def test_quantize_leaves_its_input_alone(fp32, clips):
    model = fp32.model("image.onnx")
    before = model.SerializeToString(deterministic=True)
    quantize(model, IMAGE, Recipe("MinMax"), [clips.calibration[0].image])
    assert model.SerializeToString(deterministic=True) == before
