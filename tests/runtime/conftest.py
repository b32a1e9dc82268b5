"""A real bundle of real, tiny ONNX graphs with the shapes of the shipped ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from seeded_bundle import THRESHOLDS

from lvs_runtime.spec import AudioSpec, ImageSpec

BRIGHT, LOUD = 0, 1  # channels of the toy embedding


def _graph(nodes, inputs, outputs, initializers) -> bytes:
    import onnx
    from onnx import helper

    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def image_graph() -> bytes:
    """uint8 (1, 224, 224, 3) -> unit (1, 512, 14, 14): channel 0 answers to bright cells, channel 1 to dark ones."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.zeros((512, 3, 16, 16), np.float32)
    bias = np.zeros(512, np.float32)
    weight[0] = 1 / (3 * 16 * 16 * 255)
    weight[1], bias[1] = -weight[0], 1.0
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight", "bias"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Relu", ["cells"], ["positive"]),
        helper.make_node("LpNormalization", ["positive"], ["image_embedding"], axis=1, p=2),
    ]
    return _graph(
        nodes,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 224, 224, 3])],
        [helper.make_tensor_value_info("image_embedding", TensorProto.FLOAT, [1, 512, 14, 14])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )


def audio_graph(num_samples: int | str) -> bytes:
    """float32 (1, N) -> unit (1, 512): channel 0 alone answers, so that every sound looks for bright cells."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.zeros((512, 1, 1), np.float32)
    weight[0] = 1.0
    nodes = [
        helper.make_node("Abs", ["waveform"], ["rectified"]),
        helper.make_node("ReduceMax", ["rectified", "axes"], ["peak"], keepdims=1),
        helper.make_node("Unsqueeze", ["peak", "axes"], ["peak3"]),
        helper.make_node("Conv", ["peak3", "weight"], ["channels"], kernel_shape=[1]),
        helper.make_node("Squeeze", ["channels", "last"], ["flat"]),
        helper.make_node("LpNormalization", ["flat"], ["audio_embedding"], axis=1, p=2),
    ]
    return _graph(
        nodes,
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, num_samples])],
        [helper.make_tensor_value_info("audio_embedding", TensorProto.FLOAT, [1, 512])],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(np.array([1]), "axes"),
            numpy_helper.from_array(np.array([2]), "last"),
        ],
    )


def _write_bundle(folder: Path, num_samples: int | str = 48_000, **changes) -> Path:
    """A whole, valid bundle in `folder`; `changes` replace keys of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {"image.onnx": image_graph(), "audio.onnx": audio_graph(num_samples)}
    for name, data in graphs.items():
        (folder / name).write_bytes(data)
    manifest = {
        "schema": 1,
        "name": "toy",
        "created": "2026-01-01T00:00:00Z",
        "lvs_version": "0.1.0",
        "files": {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in graphs.items()},
        "parts": {
            "image": {
                "file": "image.onnx",
                "precision": "fp32",
                "input": {"name": "image", "dtype": "uint8", "shape": [1, 224, 224, 3]},
                "output": {"name": "image_embedding", "shape": [1, 512, 14, 14]},
            },
            "audio": {
                "file": "audio.onnx",
                "precision": "fp32",
                "input": {"name": "waveform", "dtype": "float32", "shape": [1, num_samples]},
                "output": {"name": "audio_embedding", "shape": [1, 512]},
            },
        },
        "audio": {**AudioSpec().as_dict(), "live_seconds": 1.0},
        "image": ImageSpec().as_dict(),
        "thresholds": THRESHOLDS,
        "licence": "Apache-2.0",
        "tools": {},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
    return folder


def _edit_manifest(folder: Path, change) -> None:
    """Apply `change(manifest)` to the JSON on disk."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What back ends keep between starts goes elsewhere than into the home folder of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def write_bundle():
    """The function `_write_bundle`."""
    pytest.importorskip("onnx")
    return _write_bundle


@pytest.fixture(scope="session")
def edit_manifest():
    """The function `_edit_manifest`."""
    return _edit_manifest


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory) -> Path:
    """Shared and read only."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return _write_bundle(tmp_path_factory.mktemp("toy") / "bundle")


@pytest.fixture
def own_bundle(tmp_path) -> Path:
    """One that the test may break."""
    pytest.importorskip("onnx")
    return _write_bundle(tmp_path / "bundle")
