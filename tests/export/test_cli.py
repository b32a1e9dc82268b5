"""`lvs-export`: flags, bad input, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import seeded_bundle
import torch

from lvs_export import export as exporting
from lvs_export.bundle import write_bundle
from lvs_export.cli import NOT_BUILT, Export, export, main, options_of
from lvs_export.gate import Precision
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


def test_a_truncated_checkpoint(checkpoint_file, tmp_path):
    whole = checkpoint_file.read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"half.pt (cannot be read|is not) .*"):
        export(Export(ckpt=tmp_path / "half.pt", out=tmp_path / "bundle"))


def test_another_architecture(tmp_path):
    weights = {f"module.imgnet.layer3.{n}.conv1.weight": torch.zeros(256, 256, 3, 3) for n in range(6)}
    torch.save({"model_state_dict": weights}, tmp_path / "resnet34.pth.tar")
    with pytest.raises(CheckpointError, match=r"resnet34.pth.tar is another architecture: missing .*unknown"):
        export(Export(ckpt=tmp_path / "resnet34.pth.tar", out=tmp_path / "bundle"))


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


def test_a_calibration_folder_without_sound(checkpoint_file, tmp_path):
    cv2, soundfile = pytest.importorskip("cv2"), pytest.importorskip("soundfile")
    (tmp_path / "frames").mkdir()
    (tmp_path / "audio").mkdir()
    for number in range(16):
        cv2.imwrite(str(tmp_path / "frames" / f"{number}.png"), np.zeros((8, 8, 3), np.uint8))
        soundfile.write(tmp_path / "audio" / f"{number}.wav", np.zeros(800), 16_000)
    with pytest.raises(DataError, match="all 16 sounds are silent"):
        export(Export(ckpt=checkpoint_file, out=tmp_path / "bundle", calib=tmp_path, int8=True))


def test_a_folder_that_cannot_be_written(checkpoint_file):
    if not Path("/proc/self").exists():
        pytest.skip("no /proc: nothing here that root cannot write either")
    with pytest.raises(BundleError, match=r"cannot write /proc/lvs-bundle: "):
        write_bundle("/proc/lvs-bundle", {"image.onnx": b"x"}, {})


def test_contradictions_end_with_2(tmp_path, monkeypatch, capsys):
    for flags, words in (
        (("--fp16", "--int8"), "--fp16 and --int8 exclude each other"),
        (("--int8", "--format", "rtx", "--target", "cpu"), "--int8 --target tensorrt"),
        (("--in-graph-resize", "--target", "tensorrt"), "refuses antialiased resizing"),
    ):
        code, out, err = run(monkeypatch, capsys, "--ckpt", "model.pt", "--out", str(tmp_path / "bundle"), *flags)
        assert (code, out) == (2, "")
        assert words in " ".join(err.split())
        assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("truncated", "truncated or another file"),
        ("newer", "schema 99 is newer than this lvs knows"),
        ("missing", "audio.onnx is missing"),
        ("outside", "is not a plain file name and could leave the bundle"),
        ("page", "manifest.json is not JSON"),
    ],
)
def test_a_faulty_bundle_ends_with_2(tmp_path, monkeypatch, capsys, fault, words):
    path = seeded_bundle.write(tmp_path / "bundle", "fp32")
    manifest = json.loads((path / "manifest.json").read_text())
    if fault == "truncated":
        (path / "image.onnx").write_bytes((path / "image.onnx").read_bytes()[:-100])
    elif fault == "missing":
        (path / "audio.onnx").unlink()
    else:
        manifest |= {"schema": 99} if fault == "newer" else {}
        manifest["files"] |= {"../evil.onnx": manifest["files"]["audio.onnx"]} if fault == "outside" else {}
        (path / "manifest.json").write_text("<html>" if fault == "page" else json.dumps(manifest))
    for command in (("inspect", path), ("verify", path), ("diff", path, path), ("--bundle", path, "--format", "rtx")):
        code, out, err = run(monkeypatch, capsys, *command)
        assert (code, out) == (2, "")
        assert words in err
        assert "Traceback" not in err


def run(monkeypatch, capsys, *arguments):
    """The command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["lvs-export", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def test_one_message_and_exit_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bad_checkpoints(tmp_path)
    code, out, err = run(monkeypatch, capsys, "--ckpt", "page.pt", "--fp16")
    assert (code, out) == (2, "")
    assert "HTML page" in err
    assert "Traceback" not in err
    code, out, err = run(monkeypatch, capsys, "--ckpt", "page.pt", "--fp61")
    assert (code, out) == (2, "")
    assert "--fp16" in err, "a near miss is suggested"


def test_the_command_starts_without_torch():
    """Help and a wrong flag cost no import of torch."""
    code = "import sys; import lvs_export.cli; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


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
