"""One seeded checkpoint with untrained weights, exported once in each precision; every test looks at these."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

from lvs_export import build as building
from lvs_export import choose as choosing
from lvs_export import material, verify
from lvs_export.export import export_bundle
from lvs_export.gate import Precision
from lvs_export.graphs import reference_graph
from lvs_export.options import ExportOptions, ExportReport
from lvs_train.checkpoint import Checkpoint, save
from lvs_train.frontend import ImageNormalize, LogSpectrogram
from lvs_train.model import DualResNet

# An untrained map has a tenth of a trained one's contrast, and int8's noise is the same: the gate of 0.99 that trained
# weights pass with room (0.998) would say nothing here.
UNTRAINED_TOLERANCE = {Precision.FP32: None, Precision.FP16: None, Precision.INT8: 0.08}


@dataclass(frozen=True)
class Exported:
    path: Path
    report: ExportReport

    def model(self, file):
        return onnx.load(str(self.path / file))


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def clips():
    checkpoint = Checkpoint(DualResNet())
    return material.drawn(checkpoint.audio, checkpoint.image, seed=3, calibration=6, parity=3)


def give_statistics(model, clips, seed):
    """BatchNorm with the statistics of `clips`, random gains and biases, and sparse last features (contrast)."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    for trunk in (model.image, model.audio):
        trunk.layer4[1].bn2.bias.data -= 1
    images = torch.from_numpy(np.concatenate([clip.image for clip in clips]))
    waveforms = torch.from_numpy(np.concatenate([clip.waveform for clip in clips]))
    model.train()
    with torch.no_grad():
        model(ImageNormalize()(images), LogSpectrogram()(waveforms))
    return model.eval()


@pytest.fixture(scope="session")
def checkpoint(clips):
    torch.manual_seed(0)
    model = give_statistics(DualResNet(), clips.calibration[:4], seed=0)
    meta = {
        "live_seconds": 1.0,
        "licence": "CC0-1.0",
        "metrics": {"drawn": 0.5},
        "command": "lvs-train --config x.toml",
    }
    return Checkpoint(model, meta=meta)


@pytest.fixture(scope="session")
def checkpoint_file(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "seeded.pt"
    save(path, checkpoint)
    return path


@pytest.fixture(scope="session")
def truth(checkpoint, clips):
    """What torch says of the parity clips."""
    return verify.reference(reference_graph(checkpoint.model, checkpoint.image, checkpoint.audio), clips.parity)


def export(checkpoint, clips, folder, precision, **fields):
    options = ExportOptions(
        **fields,
        precision=precision,
        tolerance=UNTRAINED_TOLERANCE[precision],
        methods=("MinMax",),
        threads=1,
    )
    path = folder / precision.value
    return Exported(path, export_bundle(checkpoint, path, options, clips))


def traced_once(patch):
    """Tracing takes most of an export, and fp32 and int8 start from the same float graphs: each is traced once here.

    That tracing is a function of the weights alone is held by tests/export/test_onnx_graph.py, which traces anew.
    """
    memory = {}
    trace = building.trace

    def remembered(module, example, names, dynamic=None):
        weights = b"".join(p.detach().numpy().tobytes()[:4096] for p in module.parameters())
        shapes = tuple(tuple(tensor.shape) for tensor in example)
        key = (type(module.trunk), names, weights, shapes, str(dynamic), getattr(module, "resize", None))
        if key not in memory:
            memory[key] = trace(module, example, names, dynamic).SerializeToString()
        return onnx.load_from_string(memory[key])

    patch.setattr(building, "trace", remembered)


@pytest.fixture(scope="session", autouse=True)
def _traced_once():
    with pytest.MonkeyPatch.context() as patch:
        traced_once(patch)
        patch.setattr(choosing, "SATURATION_CLIPS", 1)
        patch.setattr(building, "MIN_CALIBRATION", 6)  # untrained weights are no better calibrated by 16
        yield


@pytest.fixture(scope="session")
def fp32(checkpoint, clips, tmp_path_factory):
    return export(checkpoint, clips, tmp_path_factory.mktemp("bundle"), Precision.FP32)


@pytest.fixture(scope="session")
def fp16(checkpoint_file, clips, tmp_path_factory):
    """From the file, of variable batch and length, and asked for a TensorRT engine where TensorRT is not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorrt", None)
        return export(
            checkpoint_file,
            clips,
            tmp_path_factory.mktemp("bundle"),
            Precision.FP16,
            format="engine",
            target="tensorrt",
            dynamic=True,
        )


@pytest.fixture(scope="session")
def int8(checkpoint, clips, tmp_path_factory):
    return export(checkpoint, clips, tmp_path_factory.mktemp("bundle"), Precision.INT8)


@pytest.fixture(params=["fp32", "fp16", "int8"])
def exported(request):
    return request.getfixturevalue(request.param)
