"""The closed loop with a scripted clock and a stand-in model: what is timed, thrown away, and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lvs_runtime.bench import machine, single, writing
from lvs_runtime.errors import SinkError

MS = 1_000_000


class ScriptedModel:
    """Moves the clock by a known time in each stage; `slow_from` makes later runs slower."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.now_ns, self.runs, self.stop_after = 0, 0, stop_after

    def clock(self) -> int:
        return self.now_ns

    def _spend(self, ms: float) -> None:
        self.now_ns += round(ms * MS)

    def prepare_image(self, frame_bgr: Any) -> Any:
        self.runs += 1
        if self.runs == self.stop_after:
            raise KeyboardInterrupt
        self._spend(1)
        return frame_bgr

    def embed_prepared(self, picture: Any) -> Any:
        self._spend(500 if self.runs <= single.WARMUP_RUNS else 8)
        return picture

    def embed_audio(self, waveform_16k: Any) -> Any:
        self._spend(3)
        return waveform_16k

    def similarity(self, image_embedding: Any, audio_embedding: Any) -> Any:
        self._spend(0.25)
        return image_embedding

    def result(self, similarity_map: Any, image_size_px: tuple[int, int], level_dbfs: float) -> Any:
        assert image_size_px == (64, 36)
        self._spend(0.75)
        return None


INPUTS = [(np.zeros((36, 64, 3), np.uint8), np.zeros(16_000, np.float32))]


def test_stages_add_up_and_warm_up_is_left_out() -> None:
    model = ScriptedModel()
    timings = single.measure(model, INPUTS, seconds=1.3, clock=model.clock)
    assert len(timings.stages_ms["total"]) == 100  # 1.3 s of 13 ms
    assert timings.warmup_ms == pytest.approx(single.WARMUP_RUNS * 505)
    expected = {"pre": 1, "image": 8, "audio": 3, "head": 0.25, "post": 0.75, "total": 13}
    assert {name: set(values) for name, values in timings.stages_ms.items()} == {k: {v} for k, v in expected.items()}
    assert timings.wall_ms == pytest.approx(1300)
    assert not timings.partial


def test_ctrl_c_keeps_what_was_measured() -> None:
    model = ScriptedModel(stop_after=single.WARMUP_RUNS + 6)
    timings = single.measure(model, INPUTS, seconds=60, clock=model.clock)
    assert timings.partial
    assert {len(values) for values in timings.stages_ms.values()} == {5}


def test_drawn_inputs_are_the_same_from_the_same_seed() -> None:
    first, again = single.drawn_inputs(16_000, 1.0), single.drawn_inputs(16_000, 1.0)
    assert single.digest(first) == single.digest(again) != single.digest(single.drawn_inputs(16_000, 1.0, seed=1))
    assert {(frame.shape, waveform.shape) for frame, waveform in first} == {((360, 640, 3), (16_000,))}
    assert max(np.abs(waveform).max() for _, waveform in first) > 0.01


def test_machine_facts_are_plain_json_and_unknown_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = json.loads(json.dumps({"machine": machine.machine(), "software": machine.software()}))
    assert facts["machine"]["cores"] >= 1
    assert facts["software"]["numpy"] == np.__version__
    assert machine._text(tmp_path / "absent") is None
    assert machine._first(tmp_path / "absent", "model name") is None


def test_result_file_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(ValueError, match="JSON compliant"):
        writing.write_json("--json", target, {"p50_ms": float("nan")})
    assert target.read_text(encoding="utf-8") == "old"
    writing.write_json("--json", target, {"schema": "lvs-bench/1"})
    assert json.loads(target.read_text(encoding="utf-8")) == {"schema": "lvs-bench/1"}
    with pytest.raises(SinkError, match="cannot be written"):
        writing.write_json("--json", tmp_path / "absent" / "result.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"cpu": "AMD EPYC", "flags": ["avx2"], "cores": 2, "virtualized": True, "gpu": None}, "epyc-avx2-2vcpu"),
        ({"cpu": "AMD EPYC", "flags": ["avx2", "avx512f", "avx512_vnni"], "cores": 2, "virtualized": True, "gpu": None},
         "epyc-vnni-2vcpu"),
        ({"cpu": "13th Gen Intel(R) Core(TM) i7-13700 @ 2.1GHz", "flags": ["avx2", "avx_vnni"], "cores": 24,
          "virtualized": False, "gpu": "NVIDIA GeForce RTX 4070"}, "geforce-rtx-4070-13th-gen-i7-vnni-24cpu"),
        ({"cpu": "Cortex-A76", "flags": ["asimddp"], "cores": 4, "virtualized": None, "gpu": None},
         "cortex-a76-dotprod-4cpu"),
        ({"cpu": "", "flags": [], "cores": 1, "virtualized": None, "gpu": None}, "cpu-1cpu"),
    ],
)  # fmt: skip
def test_a_result_is_named_for_its_machine(facts: dict[str, Any], name: str) -> None:
    assert machine.device_name(facts) == name
