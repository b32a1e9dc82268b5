"""A tiny model made of a seed, as a bundle in fp32, fp16 or int8, and the same arithmetic in numpy with float64.

picture ── /255 ── conv 16x16/16, 3 -> 16 ── ReLU ──┐ conv 1x1, 16 -> 512 ── ReLU ── unit vectors
                                                    └─ in half or 8 bits where asked
sound   ── conv 400/160, 1 -> 512 ── ReLU ── max over time ── unit vector

Weights come from the raw bits of PCG64, which numpy promises never to change.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from lvs_runtime.spec import AudioSpec, ImageSpec

NUM_SAMPLES = 16_000
GOLDEN = Path(__file__).parents[1] / "runtime" / "golden" / "seeded_maps.json"
THRESHOLDS = {
    "audible_on_dbfs": -45.0,
    "audible_off_dbfs": -51.0,
    "confidence_similarity": 0.5,
    "confidence_slope": 20.0,
    "box_similarity": 0.6,
    "box_relative": 0.65,
}


def uniform(seed, *shape):
    """Numbers in [-1, 1)."""
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    return ((raw >> np.uint64(11)).astype(np.float64) / 2**52 - 1).reshape(shape)


def weights():
    return {
        "patch": ((uniform(1, 16, 3, 1, 1) + uniform(4, 16, 3, 16, 16) / 2) / 128).astype(np.float32),
        "mix": (uniform(2, 512, 16, 1, 1) ** 9).astype(np.float32),  # few large: cells differ
        "sound": (uniform(3, 512, 1, 1) ** 9 * uniform(5, 512, 1, 400)).astype(np.float32),
    }


def clips(count=3):
    """[(picture (224, 224, 3) uint8 RGB, sound (16000,) float32)]: blocks of colour, and noise with a beat."""
    made = []
    for seed in range(100, 100 + count):
        blocks = np.kron(uniform(seed, 14, 14, 3), np.ones((16, 16, 1)))
        grain = uniform(seed + 50, 224, 224, 3)
        picture = np.clip(127.5 + 100 * blocks + 20 * grain, 0, 255).astype(np.uint8)
        beat = 1 + np.sin(2 * np.pi * (seed - 97) * np.arange(NUM_SAMPLES) / NUM_SAMPLES)
        made.append((picture, (0.2 * beat * uniform(seed + 70, NUM_SAMPLES)).astype(np.float32)))
    return made


def reference_map(picture, sound):
    """The similarity map (14, 14), by numpy in float64."""
    w = {name: value.astype(np.float64) for name, value in weights().items()}
    patches = (picture / 255).reshape(14, 16, 14, 16, 3).transpose(0, 2, 4, 1, 3).reshape(196, -1)
    cells = np.maximum(patches @ w["patch"].reshape(16, -1).T, 0)
    image = np.maximum(cells @ w["mix"].reshape(512, 16).T, 0)
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), 400)[::160]
    audio = np.maximum(frames @ w["sound"].reshape(512, 400).T, 0).max(axis=0)
    return (unit(image, 1) @ unit(audio, 0)).reshape(14, 14)


def unit(vectors, axis):
    return vectors / np.maximum(np.sqrt((vectors**2).sum(axis=axis, keepdims=True)), 1e-12)


def write(folder, precision="fp32", num_samples=NUM_SAMPLES, batch=1):
    """The bundle in `folder`; names for `num_samples` or `batch` (of pictures): then these may vary."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {"image.onnx": image_graph(precision, batch), "audio.onnx": audio_graph(num_samples)}
    for name, data in graphs.items():
        (folder / name).write_bytes(data)
    parts = {
        "image": {
            "file": "image.onnx",
            "precision": precision,
            "input": {"name": "image", "dtype": "uint8", "shape": [batch, 224, 224, 3]},
            "output": {"name": "image_embedding", "shape": [batch, 512, 14, 14]},
        },
        "audio": {
            "file": "audio.onnx",
            "precision": "fp32",
            "input": {"name": "waveform", "dtype": "float32", "shape": [1, num_samples]},
            "output": {"name": "audio_embedding", "shape": [1, 512]},
        },
    }
    manifest = {
        "schema": 1,
        "name": f"seeded-{precision}",
        "files": {n: {"bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in graphs.items()},
        "parts": parts,
        "audio": {**AudioSpec().as_dict(), "live_seconds": 1.0},
        "image": ImageSpec().as_dict(),
        "thresholds": THRESHOLDS,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def write_fused(folder, precision="fp32", num_samples=NUM_SAMPLES):
    """The same model as `write` in one graph, picture and sound to map, and nothing else in the bundle."""
    write(folder, precision, num_samples)
    for name in ("image.onnx", "audio.onnx"):
        (folder / name).unlink()
    data = fused_graph(precision, num_samples)
    (folder / "model.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"] = {"model.onnx": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    parts = manifest["parts"]
    manifest["parts"] = {
        "fused": {
            "file": "model.onnx",
            "precision": precision,
            "inputs": [parts["image"]["input"], parts["audio"]["input"]],
            "output": {"name": "similarity", "shape": [1, 14, 14]},
        }
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def fused_graph(precision, num_samples):
    import onnx
    from onnx import TensorProto, compose, helper, numpy_helper

    graphs = [onnx.load_from_string(image_graph(precision, 1)), onnx.load_from_string(audio_graph(num_samples))]
    image, audio = (
        compose.add_prefix(graph, prefix, rename_inputs=False, rename_outputs=False).graph
        for graph, prefix in zip(graphs, ("image/", "audio/"), strict=True)
    )
    shapes = {"cells": [1, 512, 196], "row": [1, 1, 512], "map": [1, 14, 14]}
    nodes = [
        helper.make_node("Reshape", ["image_embedding", "cells"], ["flat"]),
        helper.make_node("Reshape", ["audio_embedding", "row"], ["sound"]),
        helper.make_node("MatMul", ["sound", "flat"], ["cosines"]),
        helper.make_node("Reshape", ["cosines", "map"], ["similarity"]),
    ]
    graph = helper.make_graph(
        [*image.node, *audio.node, *nodes],
        "seeded",
        [*image.input, *audio.input],
        [helper.make_tensor_value_info("similarity", TensorProto.FLOAT, [1, 14, 14])],
        [
            *image.initializer,
            *audio.initializer,
            *(numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items()),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(deterministic=True)


def image_graph(precision, batch):
    from onnx import TensorProto, helper

    node, w = helper.make_node, weights()
    nodes = [
        node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        node("Mul", ["planes", "per_255"], ["scaled"]),
        node("Conv", ["scaled", "patch"], ["patches"], kernel_shape=[16, 16], strides=[16, 16]),
        node("Relu", ["patches"], ["cells"]),
    ]
    constants = {"per_255": np.array(1 / 255, np.float32), "patch": w["patch"]}
    if precision == "int8":
        scale = np.abs(w["mix"]).max(axis=(1, 2, 3)) / 127
        constants |= {
            "mix_q": np.rint(w["mix"] / scale[:, None, None, None]).astype(np.int8),
            "mix_scale": scale.astype(np.float32),
            "mix_zero": np.zeros(512, np.int8),
            "cell_scale": np.array(6 / 255, np.float32),
            "cell_zero": np.array(0, np.uint8),
        }
        nodes += [
            node("QuantizeLinear", ["cells", "cell_scale", "cell_zero"], ["cells_q"]),
            node("DequantizeLinear", ["cells_q", "cell_scale", "cell_zero"], ["cells_in"]),
            node("DequantizeLinear", ["mix_q", "mix_scale", "mix_zero"], ["mix"], axis=0),
        ]
    else:
        half = precision == "fp16"
        kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        constants["mix"] = w["mix"].astype(np.float16 if half else np.float32)
        nodes.append(node("Cast", ["cells"], ["cells_in"], to=kind))
    nodes += [
        node("Conv", ["cells_in", "mix"], ["mixed"], kernel_shape=[1, 1]),
        node("Relu", ["mixed"], ["positive"]),
        node("Cast", ["positive"], ["raw"], to=TensorProto.FLOAT),
        *unit_nodes("raw", "image_embedding"),
    ]
    spec = ("image", TensorProto.UINT8, [batch, 224, 224, 3])
    return model(nodes, spec, "image_embedding", [batch, 512, 14, 14], constants)


def audio_graph(num_samples):
    from onnx import TensorProto, helper

    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["waveform", "one"], ["channel"]),
        node("Conv", ["channel", "sound"], ["frames"], kernel_shape=[400], strides=[160]),
        node("Relu", ["frames"], ["positive"]),
        node("ReduceMax", ["positive", "two"], ["raw"], keepdims=0),
        *unit_nodes("raw", "audio_embedding"),
    ]
    constants = {"sound": weights()["sound"], "two": np.array([2], np.int64)}
    spec = ("waveform", TensorProto.FLOAT, [1, num_samples])
    return model(nodes, spec, "audio_embedding", [1, 512], constants)


def unit_nodes(source, target):
    """x / max(sqrt(sum x^2), 1e-12) over axis 1, as lvs-export writes it."""
    from onnx import helper

    return [
        helper.make_node("Mul", [source, source], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "one"], ["sum"], keepdims=1),
        helper.make_node("Sqrt", ["sum"], ["norm"]),
        helper.make_node("Max", ["norm", "least"], ["safe"]),
        helper.make_node("Div", [source, "safe"], [target]),
    ]


def model(nodes, given, output, shape, constants):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = {**constants, "one": np.array([1], np.int64), "least": np.array(1e-12, np.float32)}
    graph = helper.make_graph(
        nodes,
        "seeded",
        [helper.make_tensor_value_info(*given)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString(deterministic=True)


if __name__ == "__main__":  # write the golden maps anew
    maps = [[[round(float(v), 6) for v in row] for row in reference_map(*clip)] for clip in clips()]
    GOLDEN.write_text(json.dumps({"maps": maps}) + "\n", encoding="utf-8")
