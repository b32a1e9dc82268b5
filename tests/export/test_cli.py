"""`lvs-export`: flags, bad input, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lvs_export import export as exporting
from lvs_export.cli import NOT_BUILT, Export, export, options_of
from lvs_export.precision import Precision
from lvs_runtime.errors import BundleError, CheckpointError, ConfigError, DataError


@pytest.mark.parametrize(
    ("fields", "precision"),
    [
        ({}, "fp32"),
        ({"fp16": True}, "fp16"),
        ({"int8": True}, "int8"),
        ({"precision": "int8"}, "int8"),
        ({"precision": "fp16", "fp16": True}, "fp16"),
    ],
)
def test_precision_flags(fields, precision):
    assert options_of(Export(**fields)).precision is Precision(precision)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fp16": True, "int8": True}, "--fp16 and --int8 exclude each other"),
        ({"fp16": True, "precision": "fp32"}, "--fp16 and --precision fp32 exclude each other"),
    ],
)
def test_contradicting_flags(fields, words):
    with pytest.raises(ConfigError, match=words):
        options_of(Export(**fields))


def test_what_to_export_must_be_said(tmp_path):
    with pytest.raises(ConfigError, match="found neither"):
        export(Export())
    with pytest.raises(ConfigError, match="found both"):
        export(Export(ckpt=tmp_path, bundle=tmp_path))
    with pytest.raises(ConfigError, match="say --format engine or --format rtx"):
        export(Export(bundle=tmp_path))
    with pytest.raises(BundleError, match="does not exist"):
        export(Export(bundle=tmp_path / "none", format="rtx"))


class RunsCode:
    def __reduce__(self):
        return Path.touch, (Path("ran-code"),)


def bad_checkpoints(folder):
    (folder / "noise.pt").write_bytes(bytes(range(256)) * 8)
    (folder / "page.pt").write_bytes(b"<html><body>404</body></html>")
    (folder / "empty.safetensors").write_bytes(b"")
    torch.save({"model": RunsCode()}, folder / "code.pt")
    torch.save({"weights": torch.zeros(2)}, folder / "other.pt")


@pytest.mark.parametrize("name", ["noise.pt", "page.pt", "empty.safetensors", "code.pt", "other.pt", "missing.pt"])
def test_what_is_no_checkpoint(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match=name):
        export(Export(ckpt=tmp_path / name, out=tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "ran-code").exists()


def test_nan_weights(checkpoint_file, tmp_path):
    payload = torch.load(checkpoint_file, weights_only=True, mmap=True)
    weight = payload["model"]["audio.layer3.0.conv1.weight"].clone()
    weight.view(-1)[:3] = float("nan")
    payload["model"]["audio.layer3.0.conv1.weight"] = weight
    torch.save(payload, tmp_path / "nan.pt")
    with pytest.raises(CheckpointError, match=r"audio.layer3.0.conv1.weight holds 3 NaN"):
        export(Export(ckpt=tmp_path / "nan.pt", out=tmp_path / "bundle"))


def test_an_empty_calibration_folder(checkpoint_file, tmp_path):
    (tmp_path / "clips").mkdir()
    with pytest.raises(DataError, match="0 pairs"):
        export(Export(ckpt=checkpoint_file, out=tmp_path / "bundle", calib=tmp_path / "clips", int8=True))
    assert not (tmp_path / "bundle").exists()


def run(*arguments, cwd):
    command = [sys.executable, "-m", "lvs_export.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=100)


def test_one_message_and_exit_2(tmp_path):
    bad_checkpoints(tmp_path)
    done = run("--ckpt", "page.pt", "--fp16", cwd=tmp_path)
    assert done.returncode == 2
    assert "HTML page" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    done = run("--ckpt", "page.pt", "--fp61", cwd=tmp_path)
    assert done.returncode == 2
    assert "--fp16" in done.stderr, "a near miss is suggested"


def test_the_onnx_is_written_when_the_engine_cannot_be(fp16, tmp_path, monkeypatch, capsys):
    """Exit 3, the table, and the command for the device; the export itself is the one that every test looks at."""
    report = fp16.report
    assert {file.name for file in fp16.path.iterdir()} == {"manifest.json", "image.onnx", "audio.onnx", "model.onnx"}
    monkeypatch.setattr(exporting, "export_bundle", lambda *_, **__: report)
    assert export(Export(ckpt=tmp_path / "model.pt", fp16=True, format="engine")) == NOT_BUILT
    printed = capsys.readouterr()
    assert f"lvs-export --bundle {fp16.path} --format engine" in printed.err
    assert "storage format" in printed.out
    for words in ("image.onnx", "audio.onnx", "model.onnx", "fp16", "22.3", "23.4", f"{report.both.worst:.1e}"):
        assert words in printed.out
    assert max(map(len, printed.out.splitlines()[1:])) <= 80
