"""`lvs-export inspect | verify | diff`, on the bundle that ships and on tiny ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import seeded_bundle

from lvs_export import bundle_runs
from lvs_export.bundle_runs import Run, checks
from lvs_export.cli import run
from lvs_export.cli_bundles import differences
from lvs_runtime.bundle import Bundle, default_path
from lvs_runtime.errors import BundleError, ConfigError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One seed's model in float and in 8 bits."""
    folder = tmp_path_factory.mktemp("tiny")
    return [seeded_bundle.write(folder / precision, precision) for precision in ("fp32", "int8")]


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    monkeypatch.setattr(bundle_runs, "DRAWN_CLIPS", 2)


def test_inspect_the_shipped_bundle(capsys):
    assert run(["inspect", str(default_path())]) == 0
    printed = capsys.readouterr().out
    for words in ("lvs-default-int8", "image.onnx", "batchx224x224x3", "batchx512x14x14", "18/10", "research use only"):
        assert words in printed
    assert "3 files: names, sizes, sha256" in printed
    assert run(["inspect", str(default_path()), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "lvs-default-int8"


def test_inspect_refuses_a_damaged_bundle(tiny, tmp_path):
    path = shutil.copytree(tiny[0], tmp_path / "bundle")
    data = bytearray((path / "audio.onnx").read_bytes())
    data[-9] ^= 1
    (path / "audio.onnx").write_bytes(data)
    with pytest.raises(BundleError, match=r"audio.onnx: sha256 differs from the manifest"):
        run(["inspect", str(path)])


def test_verify_the_shipped_bundle(capsys):
    """Split and fused graphs of the real model, on two drawn clips."""
    assert run(["verify", str(default_path()), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed"]
    assert [check["name"] for check in facts["checks"]][-1] == "fused graph equals the split ones"
    assert facts["metric"]["clips_with_box"] == 2
    assert set(facts["ms"]) == {"image", "audio", "fused"}


def test_a_check_that_fails():
    good = np.zeros((1, 4, 2, 2), np.float32)
    good[:, 0] = 1
    audios = np.zeros((1, 4), np.float32)
    audios[0, 0] = 1
    maps = np.ones((1, 2, 2), np.float32)
    fine = Run(good, audios, maps, maps, {})
    assert all(check.passed for check in checks(fine))
    assert all(check.passed for check in checks(replace(fine, audios=0 * audios))), "silence gives a zero vector"
    for fault in ({"images": 0.9 * good}, {"fused": maps - 0.01}, {"maps": maps * np.nan}):
        assert sum(not check.passed for check in checks(replace(fine, **fault))) >= 1


def test_verify_ends_with_1(tiny, monkeypatch, capsys):
    monkeypatch.setattr(bundle_runs, "UNIT_TOLERANCE", -1.0)
    assert run(["verify", str(tiny[0])]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_verify_against_the_checkpoint(fp32, checkpoint_file, capsys):
    assert run(["verify", str(fp32.path), "--ckpt", str(checkpoint_file)]) == 0
    assert "equals seeded.pt" in capsys.readouterr().out


def test_diff(tiny, capsys):
    assert run(["diff", *map(str, tiny), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["manifest"]["parts.image.precision"] == ["fp32", "int8"]
    assert set(facts["map_errors"]) == {"image", "audio", "both"}
    assert 0 < facts["map_errors"]["both"]["worst"] < 0.1
    assert facts["metric"][0]["clips"] == 2
    assert run(["diff", *map(str, tiny)]) == 0
    assert "parts.image.precision" in capsys.readouterr().out


def test_a_bundle_equals_itself(tiny, capsys):
    assert run(["diff", str(tiny[0]), str(tiny[0]), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["manifest"] == {}
    assert facts["map_errors"]["both"]["worst"] == 0


def test_differences_of_manifests():
    first = {"licence": "A", "audio": {"seconds": 3}, "created": "x"}
    second = {"licence": "A", "audio": {"seconds": 1, "hop": 2}, "created": "y"}
    assert differences(first, second) == {"audio.seconds": [3, 1], "audio.hop": [None, 2]}


def test_sounds_of_another_length(tiny):
    clips = bundle_runs.open_clips(Bundle.open(default_path()), None)
    with pytest.raises(ConfigError, match=r"takes 16000 samples a clip, the clips have 48000"):
        bundle_runs.run(Bundle.open(tiny[0]), clips)
