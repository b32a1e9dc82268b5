"""The folder of a run: recipe as it was resolved, versions, metrics line by line, pictures of maps, TensorBoard."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import CheckpointError
from lvs_runtime.heatmap import heatmap
from lvs_runtime.view.colors import heat_colors_rgb

from .config import Recipe, as_mapping

Image = npt.NDArray[np.uint8]
HEAT_OPACITY = 0.55


class RunFolder:
    """Writes the run's record; one process does. Raises CheckpointError when the disk is full or not writable.

    `done` (stage number, step) is where the checkpoint stands: rows of later steps, and a torn last line, are dropped
    from `metrics.jsonl`, because those steps come again.
    """

    def __init__(self, out: Path, recipe: Recipe, done: tuple[int, int]) -> None:
        self.out, self.stages = out, [s.name for s in recipe.stages]
        self.before = {s.name: sum(x.steps for x in recipe.stages[:i]) for i, s in enumerate(recipe.stages)}
        self.metrics: TextIO | None = None
        self.board: Any = None
        try:
            (out / "recipe.json").write_text(json.dumps(as_mapping(recipe), indent=1) + "\n", encoding="utf-8")
            made_with = versions() | {"precision": recipe.precision}
            (out / "versions.json").write_text(json.dumps(made_with, indent=1) + "\n", encoding="utf-8")
            _keep_rows(out / "metrics.jsonl", self.stages, done)
            self.metrics = (out / "metrics.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise self._refused("the run's record", error) from error
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            last = sum(s.steps for s in recipe.stages[: done[0]]) + done[1]  # later steps of a killed run come again
            self.board = SummaryWriter(str(out / "tensorboard"), purge_step=last or None)

    def log(self, stage: str, step: int, figures: dict[str, float]) -> None:
        """One line of metrics.jsonl, and TensorBoard's scalars."""
        assert self.metrics is not None
        row = {"stage": stage, "step": step, **{k: round(v, 6) for k, v in figures.items()}}
        try:
            self.metrics.write(json.dumps(row) + "\n")
            self.metrics.flush()
        except OSError as error:
            raise self._refused("metrics.jsonl", error) from error
        if self.board is not None:
            for key, value in figures.items():
                self.board.add_scalar(f"{stage}/{key}", value, self.before[stage] + step)

    def samples(self, stage: str, step: int, images: npt.NDArray[np.uint8], maps: npt.NDArray[np.float32]) -> None:
        """Pictures over their maps with their own sounds, as samples/<stage>-<step>.png."""
        import cv2

        folder = self.out / "samples"
        sheet = contact_sheet(list(images), list(maps))
        _, png = cv2.imencode(".png", np.ascontiguousarray(sheet[..., ::-1]))
        try:
            folder.mkdir(exist_ok=True)
            temporary = folder / f".{os.getpid()}.tmp"
            temporary.write_bytes(png.tobytes())
            temporary.replace(folder / f"{stage}-{step:06d}.png")
        except OSError as error:
            raise self._refused("samples", error) from error

    def close(self) -> None:
        """Close. Every row was flushed when it was written: one that still waits has been refused, and told."""
        if self.metrics is not None:
            with contextlib.suppress(OSError):
                self.metrics.close()
        if self.board is not None:
            self.board.close()

    def _refused(self, what: str, error: OSError) -> CheckpointError:
        return CheckpointError(
            f"cannot write {what} in {self.out}: {error.strerror}. The last checkpoint stands: "
            "make room, then start again with --resume"
        )


def _keep_rows(path: Path, stages: Sequence[str], done: tuple[int, int]) -> None:
    if not path.is_file():
        return
    order, kept, lines = {name: i for i, name in enumerate(stages)}, [], path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the line that was being written when the run was killed
        if (order.get(row["stage"], -1), row["step"]) < done:
            kept.append(line)
    if len(kept) < len(lines):
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        temporary.replace(path)


def versions() -> dict[str, str]:
    """What this run was made with."""
    import torch

    found = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} CPUs, {torch.backends.cpu.get_cpu_capability()}"
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found | {"command": " ".join(Path(a).name if i == 0 else a for i, a in enumerate(sys.argv))}


def contact_sheet(images: Sequence[Image], maps: Sequence[npt.NDArray[np.float32]]) -> Image:
    """(2 H, N W, 3): pictures above, the same under their map (minimum to maximum) below."""
    heated = []
    for image, cells in zip(images, maps, strict=True):
        heat = heatmap(cells, (image.shape[1], image.shape[0]), "minmax")
        colours = heat_colors_rgb()[(heat * 255).astype(np.uint8)]
        heated.append(np.asarray(image * (1 - HEAT_OPACITY) + colours * HEAT_OPACITY, np.uint8))
    return np.concatenate([np.concatenate(list(images), 1), np.concatenate(heated, 1)])
