"""Whole exports: what the manifest says, what the runtime computes from the bundle, and what a failure leaves."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnxruntime
import pytest

from lvs_export import export as exporting
from lvs_export.build import Graphs
from lvs_export.export import export_bundle
from lvs_export.gate import Precision
from lvs_export.options import ExportOptions
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import BundleError, ConfigError, ParityError
from lvs_runtime.localizer import Localizer

WORST = {"fp32": 1e-5, "fp16": 2e-3, "int8": 0.1}


def test_the_bundle_runs_and_equals_torch(exported, truth):
    localizer = Localizer.from_bundle(exported.path, threads=1)
    precision = exported.path.name
    assert localizer.precision.split()[0] == precision  # "fp16 as fp32" where the CPU widens half
    for clip, want in zip(truth.clips, truth.maps, strict=True):
        frame = np.ascontiguousarray(clip.image[0, :, :, ::-1])
        found = localizer.localize(frame, clip.waveform[0], 16_000).similarity_map
        assert np.abs(found - want).max() < WORST[precision]
        assert np.corrcoef(found.ravel(), want.ravel())[0, 1] > 0.9


def test_the_fused_graph_equals_the_split_ones(exported, truth):
    """Opened from its path, as any user of ONNX would: its weights lie in the two other files."""
    localizer = Localizer.from_bundle(exported.path, threads=1)
    fused = onnxruntime.InferenceSession(str(exported.path / "model.onnx"), providers=["CPUExecutionProvider"])
    clip = truth.clips[0]
    (found,) = fused.run(["similarity"], {"image": clip.image, "waveform": clip.waveform})
    split = localizer.similarity(localizer.embed_prepared(clip.image), localizer.embed_audio(clip.waveform[0]))
    assert found.shape == (1, 14, 14)
    np.testing.assert_allclose(found[0], split, atol=2e-5, rtol=0)  # other fusions round otherwise


def test_sizes(fp32, fp16, int8):
    total = {e.path.name: sum(f.stat().st_size for f in e.path.iterdir()) / 1e6 for e in (fp32, fp16, int8)}
    assert total["fp32"] < 91
    assert total["fp16"] < 48
    assert total["int8"] < 26
    assert all((e.path / "model.onnx").stat().st_size < 2e5 for e in (fp32, fp16, int8))


def test_manifest(fp16, checkpoint):
    manifest = json.loads((fp16.path / "manifest.json").read_bytes())
    assert manifest["parts"]["fused"]["external"] == ["audio.onnx", "image.onnx"]
    assert manifest["audio"]["live_seconds"] == 1.0
    assert manifest["thresholds"] == checkpoint.thresholds
    assert manifest["licence"] == "CC0-1.0"
    assert manifest["metrics"] == {"drawn": 0.5}
    assert manifest["training"]["command"] == "lvs-train --config x.toml"
    assert manifest["training"]["checkpoint"] == "seeded.pt"
    assert len(manifest["training"]["checkpoint_sha256"]) == 64
    assert manifest["parity"]["map_errors"]["both"]["worst"] < manifest["parity"]["tolerance"] == 2e-3
    assert "+" not in manifest["tools"]["torch"]
    assert Bundle.open(fp16.path).manifest.parts["audio"].precision == "fp16"


def test_half_and_float_errors(fp32, fp16):
    assert fp32.report.both.worst < 1e-5
    assert fp32.report.both.peak_moved == 0
    assert 1e-5 < fp16.report.both.worst < 2e-3
    assert fp16.report.both.correlation > 0.9999


def test_int8_names_its_ranges(int8):
    recipes = json.loads((int8.path / "manifest.json").read_bytes())["parity"]["int8"]
    for part in ("image", "audio"):
        assert recipes[part]["ranges"] == "MinMax"
        assert recipes[part]["float_convs"] == []
        assert 0 < recipes[part]["mean_errors"]["MinMax ranges"] < 0.05
        assert recipes[part]["sums_of_16_bits"]["pairs"] > 1e9


def test_a_failed_export_leaves_the_old_bundle(checkpoint, clips, int8, tmp_path, monkeypatch):
    """Real graphs, really compared with torch; only their making is spared: they are the int8 ones, judged as float."""
    models = {part: int8.model(f"{part}.onnx") for part in ("image", "audio")}
    graphs = Graphs(models, {part: (int8.path / f"{part}.onnx").read_bytes() for part in models})
    monkeypatch.setattr(exporting, "build", lambda *_: graphs)
    out = shutil.copytree(int8.path, tmp_path / "bundle")
    before = {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir()}
    with pytest.raises(ParityError, match=r"image, fp32: worst map error .* > 0\.0001 on clip drawn_.*; nothing"):
        export_bundle(checkpoint, out, ExportOptions(threads=1), clips)
    assert {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]
    Bundle.open(out)


def test_nothing_is_computed_for_a_folder_that_cannot_be_written(checkpoint, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"file is a file; name a folder"):
        export_bundle(checkpoint, tmp_path / "file")
    with pytest.raises(BundleError, match=r"file is not a writable folder"):
        export_bundle(checkpoint, tmp_path / "file" / "bundle")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": "plan"}, "want one of onnx, engine, rtx"),
        ({"tolerance": 0.0}, "want a number between 0 and 1"),
        ({"format": "rtx", "precision": Precision.INT8}, "--format rtx with int8"),
        ({"target": "gpu"}, "want one of cpu, tensorrt, web"),
        ({"target": "tensorrt", "resize": True}, "refuses antialiased resizing"),
        ({"sensitivity": True}, "about int8"),
    ],
)
def test_options_that_make_no_sense(fields, words):
    with pytest.raises(ConfigError, match=words):
        ExportOptions(**fields)


def test_audio_seconds_out_of_range(checkpoint, tmp_path):
    with pytest.raises(ConfigError, match=r"want 0\.5 to 10"):
        export_bundle(checkpoint, tmp_path / "b", ExportOptions(audio_seconds=60.0))
