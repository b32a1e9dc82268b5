"""The files: stated versions, nothing of this machine in them, the same bytes for the same weights, aligned weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxscript
import pytest
import torch

from lvs_export.graphs import AudioGraph, ImageGraph, folded
from lvs_export.onnx_graph import ALIGNMENT_BYTES, AUDIO, IMAGE, GraphNames, check, large_weights, serialise, trace
from lvs_export.quantize import Recipe, quantize
from lvs_export.session import GraphSession
from lvs_runtime.errors import LvsError
from lvs_runtime.graph_check import check_graph
from lvs_runtime.spec import ImageSpec
from lvs_train.frontend import LogSpectrogram

FILES = ("image.onnx", "audio.onnx", "model.onnx")


def test_nothing_of_this_machine_is_in_the_files(exported):
    words = [b"site-packages", b"stack_trace", b"/home", b"pkg.torch", b"aten", str(Path.cwd()).encode()]
    words += [str(Path(module.__file__).parent.parent).encode() for module in (torch, onnxscript)]
    for file in exported.path.iterdir():
        data = file.read_bytes()
        assert [word for word in words if word in data] == [], file.name


@pytest.mark.parametrize("file", FILES)
def test_versions_and_operators(exported, file):
    model = onnx.load(str(exported.path / file), load_external_data=False)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert model.ir_version == 10
    assert (model.producer_name, model.producer_version) == ("lvs", "")
    assert not any(node.op_type == "BatchNormalization" or node.metadata_props for node in model.graph.node)
    onnx.checker.check_model(str(exported.path / file), full_check=True)


def test_large_weights_are_aligned(exported):
    for file in ("image.onnx", "audio.onnx"):
        data = (exported.path / file).read_bytes()
        places = large_weights(onnx.load_from_string(data), data)
        assert len(places) >= 20
        assert all(offset % ALIGNMENT_BYTES == 0 for _, offset, _ in places)


def audio_bytes(checkpoint):
    module = AudioGraph(folded(checkpoint.model.audio), checkpoint.audio)
    return serialise(trace(module, (torch.zeros(1, checkpoint.audio.num_samples),), AUDIO))


def test_the_same_weights_give_the_same_bytes(checkpoint, fp32):
    assert audio_bytes(checkpoint) == (fp32.path / "audio.onnx").read_bytes()


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_bytes(fp32, int8, clips):
    entry = json.loads((int8.path / "manifest.json").read_bytes())["parity"]["int8"]["image"]
    recipe = Recipe(entry["ranges"], tuple(entry["float_convs"]), entry["reduce_range"])
    again = quantize(fp32.model("image.onnx"), IMAGE, recipe, [clip.image for clip in clips.calibration])
    assert serialise(again) == (int8.path / "image.onnx").read_bytes()


@pytest.mark.slow
def test_the_same_bytes_in_another_process(checkpoint_file, fp32, tmp_path):
    code = (
        "import sys; from pathlib import Path; from lvs_train.checkpoint import load; import torch;"
        "from lvs_export.onnx_graph import AUDIO, serialise, trace; from lvs_export.graphs import AudioGraph, folded;"
        "c = load(sys.argv[1]); m = AudioGraph(folded(c.model.audio), c.audio);"
        "Path(sys.argv[2]).write_bytes(serialise(trace(m, (torch.zeros(1, c.audio.num_samples),), AUDIO)))"
    )
    target = tmp_path / "audio.onnx"
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code, str(checkpoint_file), str(target)], check=True, env=environment)
    assert target.read_bytes() == (fp32.path / "audio.onnx").read_bytes()


def test_a_left_batchnorm_is_refused():
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    value = onnx.helper.make_tensor_value_info
    tensors = [onnx.numpy_helper.from_array(p.detach().numpy(), f"p{i}") for i, p in enumerate(module[1].parameters())]
    tensors += [onnx.numpy_helper.from_array(np.ones(2, np.float32), f"s{i}") for i in range(2)]
    node = onnx.helper.make_node("BatchNormalization", ["x", "p0", "p1", "s0", "s1"], ["y"])
    shape = [1, 2, 4, 4]
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, shape)], [value("y", 1, shape)], tensors)
    with pytest.raises(LvsError, match="BatchNormalization was left"):
        check(onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)]))


def test_any_batch_and_length_equal_torch(fp16, checkpoint, clips, truth):
    """Half precision moves a map by 2e-3 at most; batch and length move nothing."""
    files = {file: (fp16.path / file).read_bytes() for file in FILES}
    image, audio = (GraphSession(files[file], None, threads=1) for file in FILES[:2])
    fused = GraphSession(files["model.onnx"], files, threads=1)
    pictures = np.concatenate([clip.image for clip in clips.parity])
    sounds = np.concatenate([clip.waveform for clip in clips.parity])
    np.testing.assert_allclose(image.run(image=pictures), truth.images, atol=3e-3, rtol=0)
    np.testing.assert_allclose(fused.run(image=pictures, waveform=sounds), truth.maps, atol=2e-3, rtol=0)
    spectrogram = LogSpectrogram(checkpoint.audio)
    for length in (8_000, 90_001):
        waveforms = np.tile(sounds[:2], 2)[:, :length]
        with torch.inference_mode():
            want = checkpoint.model.embed_audio(spectrogram(torch.from_numpy(waveforms))).numpy()
        np.testing.assert_allclose(audio.run(waveform=waveforms), want, atol=2e-3, rtol=0)


def test_a_resize_inside_the_graph_is_pil_s():
    """The front end alone: the antialiased cubic of torch, which lies within a grey level of PIL's."""
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (1, 12, 20, 3), dtype=np.uint8)
    front = ImageGraph(torch.nn.Identity(), ImageSpec(), resize=True)
    front.forward = front.squashed
    names = GraphNames("image", ("image",), "image_embedding")
    example = torch.zeros(1, 240, 272, 3, dtype=torch.uint8)
    model = check(trace(front, (example,), names, {1: "height", 2: "width"}))
    assert "Resize" in {node.op_type for node in model.graph.node}
    check_graph("image.onnx", serialise(model))
    session = GraphSession(serialise(model), None, threads=1)
    for side in (24, 40):
        picture = blocks.repeat(side, 1).repeat(side, 2)
        small = np.array(Image.fromarray(picture[0]).resize((224, 224), Image.BICUBIC))
        want = front.normalize(torch.from_numpy(small[None])).numpy()
        found = session.run(image=picture)
        grey_levels = np.abs(found - want) * 255 * np.array(ImageSpec().std)[:, None, None]
        assert grey_levels.mean() < 0.3  # PIL rounds between its two passes
        with torch.inference_mode():
            np.testing.assert_allclose(found, front.squashed(torch.from_numpy(picture)).numpy(), atol=1e-4, rtol=0)
    same = rng.integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    untouched = front.normalize(torch.from_numpy(same)).numpy()
    np.testing.assert_allclose(session.run(image=same), untouched, atol=1e-5, rtol=0)
