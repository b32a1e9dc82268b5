"""The whole line with real parts: train on the drawn world, export, open without torch's help, localize."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="pip install lvs[train,export]")
pytest.importorskip("onnxscript", reason="pip install lvs[train,export]")

from lvs_runtime import Localizer, drawn
from lvs_train.embed import of_checkpoint
from lvs_train.evaluate import similarity

RECIPE = """
seed = 1
precision = "auto"
save_every_s = 1000.0
calibration_examples = 40
[loss]
directions = "both"
[[stages]]
name = "classes"
kind = "classes"
steps = 40
batch_size = 16
image_px = 64
learning_rate = 1e-3
warmup_steps = 5
seconds = [1.0, 1.0]
[[stages]]
name = "trimap"
steps = 4
batch_size = 8
seconds = [1.0, 1.0]
extra_negatives = 1
"""


def run(*command: str | Path) -> str:
    # Torch's idle threads spin by default: on a busy machine that makes a minute ten.
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        env=environment, capture_output=True, text=True, timeout=350, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
def test_clips_to_heat_map(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    run("lvs_train.cli", "--config", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    heard = [row["audio_acc"] for row in rows if row["stage"] == "classes"]
    assert np.mean(heard[-10:]) > 0.35, "eight classes: chance is 0.125"
    assert all(np.isfinite(row["loss"]) for row in rows)

    checkpoint, bundle = tmp_path / "run" / "model.pt", tmp_path / "bundle"
    said = run("lvs_export.cli", "--ckpt", checkpoint, "--fp16", "--out", bundle)
    assert "image.onnx" in said
    assert {p.name for p in bundle.iterdir()} >= {"image.onnx", "audio.onnx", "model.onnx", "manifest.json"}

    localizer, torch_model = Localizer.from_bundle(bundle), of_checkpoint(checkpoint)
    assert localizer.precision.startswith("fp16")  # effective: a CPU may compute halves in float32, and says so
    for index in range(3):
        pair = drawn.training_pair(np.random.default_rng((5, index)))
        result = localizer.localize(np.ascontiguousarray(pair.image_rgb[..., ::-1]), pair.waveform, 16_000)
        expected = similarity(torch_model.image(pair.image_rgb), torch_model.audio(pair.waveform))
        np.testing.assert_allclose(result.similarity_map, expected, atol=2e-3)
        assert result.audible
    silent = drawn.silent_pair(np.random.default_rng(0))
    quiet = localizer.localize(np.ascontiguousarray(silent.image_rgb[..., ::-1]), silent.waveform, 16_000)
    assert not quiet.audible
    assert quiet.boxes_px == ()
