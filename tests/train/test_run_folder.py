"""TensorBoard's view of a run that was killed: one curve over all stages, no step twice."""

import pytest

pytest.importorskip("torch", reason="pip install lvs[train]")
events = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="pip install lvs[tensorboard]"
)

from lvs_train.config import from_mapping
from lvs_train.run_folder import RunFolder

RECIPE = from_mapping({"stages": [{"name": "a", "steps": 3}, {"name": "b", "steps": 4}]})


def test_steps_after_the_checkpoint_come_once(tmp_path):
    first = RunFolder(tmp_path, RECIPE, (0, 0))
    for stage, steps in (("a", 3), ("b", 3)):
        for step in range(steps):
            first.log(stage, step, {"loss": 1.0})
    first.close()
    second = RunFolder(tmp_path, RECIPE, (1, 1))  # the checkpoint stands after one step of b
    for step in range(1, 4):
        second.log("b", step, {"loss": 2.0})
    second.close()
    board = events.EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    found = {name: [(s.step, s.value) for s in board.Scalars(f"{name}/loss")] for name in "ab"}
    assert found == {"a": [(0, 1.0), (1, 1.0), (2, 1.0)], "b": [(3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0)]}
