"""Engines: built where the library is, otherwise an honest refusal with the command for the device."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from lvs_export import engine
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "library", "extra"), [("engine", "tensorrt", "tensorrt"), ("rtx", "tensorrt_rtx", "rtx")]
)
def test_without_the_library(monkeypatch, kind, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(engine.EngineNotBuilt) as caught:
        engine.build(kind, {}, "out/bundle")
    text = str(caught.value)
    assert f"{library} is not importable here" in text
    assert "The ONNX graphs are written." in text
    assert text.endswith(f"pip install 'lvs[{extra}]' && lvs-export --bundle out/bundle --format {kind}")


def test_int8_is_not_for_tensorrt(int8):
    with pytest.raises(ConfigError, match="--format engine with int8"):
        engine.add_engines(int8.path, "engine")


def test_tensorrt_rtx_builds_both_graphs(fp16, tmp_path):
    """The gate for every graph where the extra is installed: it needs no GPU to parse and build."""
    pytest.importorskip("tensorrt_rtx", reason="extra rtx: pip install 'lvs[rtx]'")
    path = shutil.copytree(fp16.path, tmp_path / "bundle")
    engine.add_engines(path, "rtx")
    manifest = json.loads((path / "manifest.json").read_bytes())
    assert {"image.rtx", "audio.rtx", "image.onnx", "audio.onnx", "model.onnx"} == set(manifest["files"])
    facts = manifest["engines"]["rtx"]["image"]
    assert facts["onnx_sha256"] == manifest["files"]["image.onnx"]["sha256"]
    assert (path / "image.rtx").stat().st_size < 30e6, "half weights make half the engine"
    Bundle.open(path)


def test_a_refused_graph_is_named(tmp_path):
    trt = pytest.importorskip("tensorrt_rtx", reason="extra rtx: pip install 'lvs[rtx]'")
    with pytest.raises(engine.DeviceError, match=r"image.onnx: tensorrt_rtx .* refuses the graph: .+"):
        engine._plan(trt, "image", b"not a graph")
