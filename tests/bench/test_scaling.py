"""Batches and windows: what is asked for is measured, costs are per picture, what a bundle cannot do is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lvs_runtime.bench import scaling, table
from lvs_runtime.errors import ConfigError


class Model:
    """Counts pictures and samples of every call."""

    def __init__(self, batch: int | str = "batch", num_samples: int | None = None) -> None:
        part = SimpleNamespace(only_input=SimpleNamespace(shape=(batch, 224, 224, 3)))
        self.bundle = SimpleNamespace(name="m", part=lambda _: part, audio=SimpleNamespace(sample_rate=16_000))
        self.num_samples = num_samples
        self.pictures: list[int] = []
        self.samples: list[int] = []

    def embed_images(self, frames):
        self.pictures.append(len(frames))

    def embed_audio(self, sound):
        self.samples.append(len(sound))


INPUTS = [(np.zeros((36, 64, 3), np.uint8), np.ones(16_000, np.float32))]


def test_each_batch_and_window_is_run_equally_often() -> None:
    model = Model()
    found = scaling.measure(model, INPUTS, 0.0, (1, 8, 32), (0.5, 10.0))
    assert {n: model.pictures.count(n) for n in set(model.pictures)} == dict.fromkeys((1, 8, 32), 8)
    assert set(model.samples) == {8000, 160_000}  # a sound shorter than the window is repeated
    assert [row["batch"] for row in found["batch"]] == [1, 8, 32]
    for row in found["batch"]:
        assert row["ms_a_picture"] == pytest.approx(row["median_ms"] / row["batch"], abs=1e-3)
        assert row["n"] == 6
        assert row["p50_ms"] is None  # too few for a percentile: a median cost, said as such
    assert len(table._scaling(found)) == 5


@pytest.mark.parametrize(
    ("model", "batches", "windows", "said"),
    [
        (Model(batch=1), (1, 8), (), "takes 1 to 1 pictures; lvs-export --dynamic"),
        (Model(), (64,), (), "--batch 64: bundle m takes 1 to 32"),
        (Model(), (0,), (), "--batch 0"),
        (Model(), (), (0.1,), "--audio-seconds 0.1: want 0.5 to 10"),
        (Model(num_samples=16_000), (), (3.0,), "is 1 s, always"),
    ],
)
def test_what_a_bundle_cannot_do_is_refused(model, batches, windows, said) -> None:
    with pytest.raises(ConfigError, match=said):
        scaling.check(model, batches, windows)
