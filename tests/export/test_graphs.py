"""The modules that are exported equal the trained model, and the spectrogram inside the graph equals scipy's."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from lvs_export.graphs import folded, head
from lvs_export.session import GraphSession
from lvs_runtime.spectrogram import log_spectrogram
from lvs_train.frontend import ImageNormalize

signal = pytest.importorskip("scipy.signal")
N = 48_000


def test_folding_batchnorm_changes_nothing(checkpoint, clips):
    x = ImageNormalize()(torch.from_numpy(clips.parity[0].image))
    trunk = folded(checkpoint.model.image)
    with torch.inference_mode():
        want, found = checkpoint.model.image(x), trunk(x)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in trunk.modules())
    assert float((want - found).abs().max()) < 1e-4 * float(want.abs().max())
    assert isinstance(checkpoint.model.image.bn1, torch.nn.BatchNorm2d), "the model itself was changed"


def test_head_is_the_cosine():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(1, 512, 14, 14)).astype(np.float32))
    audio = torch.from_numpy(rng.normal(size=(1, 512)).astype(np.float32))
    torch.testing.assert_close(head(image, audio), torch.einsum("bchw,bc->bhw", image, audio), atol=1e-4, rtol=1e-4)


def hard_sounds():
    rng = np.random.default_rng(1)
    t = np.arange(N) / 16_000
    noise = rng.normal(size=N)
    return {
        "silence": np.zeros(N),
        "noise": 0.1 * noise,
        "full-scale sine": np.sin(2 * np.pi * 440 * t),
        "full-scale square": np.sign(np.sin(2 * np.pi * 440 * t)),
        "offset": 0.9 + 1e-4 * noise,
        "last bit": np.round(noise) / 32768,
        "clipped": 3 * np.sin(2 * np.pi * 100 * t),
    }


@pytest.fixture(scope="module")
def spectrogram_session(fp32):
    """audio.onnx as it was exported, with the stem's input as a second output."""
    model = fp32.model("audio.onnx")
    pool = next(node for node in model.graph.node if node.op_type == "MaxPool")
    stem = next(node for node in model.graph.node if node.output[0] == pool.input[0])
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(stem.input[0], onnx.TensorProto.FLOAT, None))
    return GraphSession(model.SerializeToString(), None, threads=1)


@pytest.mark.parametrize("name", hard_sounds())
def test_spectrogram_in_the_graph_equals_scipy(spectrogram_session, name):
    x = hard_sounds()[name].astype(np.float32)
    _, _, power = signal.spectrogram(np.clip(x.astype(np.float64), -1, 1), 16_000, nperseg=512, noverlap=274)
    want = np.log(power + 1e-7) / 12
    found = spectrogram_session.run(waveform=x[None])[0, 0]
    assert found.shape == (257, 200)
    np.testing.assert_allclose(found, want, atol=1e-5, rtol=0)
    np.testing.assert_allclose(log_spectrogram(x), want, atol=1e-6, rtol=0)
