"""Engines: built where the library is, otherwise an honest refusal with the command for the device."""

from __future__ import annotations

import json
import shutil
import sys
from types import SimpleNamespace

import pytest

from lvs_export import engine
from lvs_export.bundle import write_bundle
from lvs_export.inspection import check_engine, convolution_formats
from lvs_export.onnx_graph import AUDIO, IMAGE, serialise
from lvs_export.quantize import Recipe, quantize
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import BundleError, ConfigError, DeviceError

RTX = "TensorRT-RTX builds without a GPU; to have this gate: pip install 'lvs[rtx]'"


@pytest.mark.parametrize(
    ("kind", "library", "extra"), [("engine", "tensorrt", "tensorrt"), ("rtx", "tensorrt_rtx", "rtx")]
)
def test_without_the_library(monkeypatch, kind, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(engine.EngineNotBuilt) as caught:
        engine.require(kind, "out/bundle")
    text = str(caught.value)
    assert f"{library} is not importable here" in text
    assert "The ONNX graphs are written." in text
    assert text.endswith(f"pip install 'lvs[{extra}]' && lvs-export --bundle out/bundle --format {kind}")


def test_without_a_gpu(monkeypatch):
    """A stand-in for the library alone; the search for a GPU is the real one."""
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="11.4.0", __name__="tensorrt"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(engine.EngineNotBuilt, match=r"tensorrt 11\.4\.0 is here but no GPU .*--format engine$"):
        engine.require("engine", "out/bundle")


def test_int8_of_the_cpu_is_not_for_tensorrt(int8):
    with pytest.raises(ConfigError, match=r"--format engine with int8.*--int8 --target tensorrt"):
        engine.add_engines(int8.path, "engine")


def layer(name, formats, kind="conv"):
    return {"Name": name, "LayerType": kind, "Inputs": [{"Format/Datatype": text} for text in formats]}


INSPECTED = {
    "Layers": [
        layer("image/conv_0", ["Row major linear FP32"]),
        layer("image/conv_1 + image/relu_1", ["Channel major FP16 format where channel % 8 == 0"], "CaskConvolution"),
        layer("image/conv_2", ["Half", "Half"]),
        layer("image/relu_9", ["Half"], "pointwise"),
        "a layer that is only named",
    ]
}


def test_what_the_inspector_says():
    assert convolution_formats(json.dumps(INSPECTED)) == {"fp32": 1, "fp16": 2}


class Library:
    """What the real library hands out after a build; the text is all that the check looks at."""

    LayerInformationFormat = SimpleNamespace(JSON=1)

    def __init__(self, text):
        self.text = text

    def Runtime(self, _log):
        inspector = SimpleNamespace(get_engine_information=lambda _kind: self.text)
        opened = SimpleNamespace(create_engine_inspector=lambda: inspector)
        return SimpleNamespace(deserialize_cuda_engine=lambda _plan: None if self.text is None else opened)


def test_an_engine_that_is_not_what_was_asked():
    half = Library(json.dumps(INSPECTED))
    assert check_engine(half, None, b"", "image.engine", "fp16") == {"formats": {"fp32": 1, "fp16": 2}}
    with pytest.raises(DeviceError, match=r"image.engine: asked int8, the inspector shows no int8 conv.*not kept"):
        check_engine(half, None, b"", "image.engine", "int8")
    assert "only with a GPU" in check_engine(Library(None), None, b"", "image.rtx", "fp16")["inspected"]


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_tensorrt_rtx_builds_both_graphs(name, request, tmp_path, monkeypatch):
    """The gate for every graph where the extra is installed: it needs no GPU to parse and build."""
    pytest.importorskip("tensorrt_rtx", reason=RTX)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = shutil.copytree(request.getfixturevalue(name).path, tmp_path / "bundle")
    engine.add_engines(path, "rtx")
    manifest = json.loads((path / "manifest.json").read_bytes())
    assert {"image.rtx", "audio.rtx", "image.onnx", "audio.onnx", "model.onnx"} == set(manifest["files"])
    facts = manifest["engines"]["rtx"]["image"]
    assert facts["onnx_sha256"] == manifest["files"]["image.onnx"]["sha256"]
    assert facts["library"] == "tensorrt_rtx"
    assert (path / "image.rtx").stat().st_size < (30e6 if name == "fp16" else 60e6)
    Bundle.open(path)


@pytest.mark.slow
def test_tensorrt_rtx_builds_the_int8_of_its_own_recipe(fp32, clips, tmp_path, monkeypatch):
    pytest.importorskip("tensorrt_rtx", reason=RTX)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    manifest = json.loads((fp32.path / "manifest.json").read_bytes())
    del manifest["parts"]["fused"]
    recipe, files = Recipe("MinMax", symmetric=True), {}
    for names, inputs in ((IMAGE, [c.image for c in clips.parity]), (AUDIO, [c.waveform for c in clips.parity])):
        quantised = quantize(fp32.model(f"{names.part}.onnx"), names, recipe, inputs)
        files[f"{names.part}.onnx"] = serialise(quantised)
        manifest["parts"][names.part]["precision"] = "int8"
    path = write_bundle(tmp_path / "bundle", files, {**manifest, "target": "tensorrt"})
    engine.add_engines(path, "rtx")
    sizes = {part: (path / f"{part}.rtx").stat().st_size for part in ("image", "audio")}
    assert max(sizes.values()) < 20e6, "8-bit weights make a quarter of the engine"


def test_a_refused_graph_is_named(int8, tmp_path):
    """The CPU's int8 recipe, smuggled past the check of the target: the library itself refuses it."""
    pytest.importorskip("tensorrt_rtx", reason=RTX)
    path = shutil.copytree(int8.path, tmp_path / "bundle")
    manifest = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").write_text(json.dumps({**manifest, "target": "tensorrt"}))
    with pytest.raises((BundleError, DeviceError), match=r"refuses image.onnx: .+"):
        engine.add_engines(path, "rtx")
