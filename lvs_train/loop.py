"""The training loop: stages in order, each a pure function of (seed, step), resumable after kill -9."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from lvs_runtime.errors import CheckpointError, ConfigError
from lvs_runtime.spec import AudioSpec, ImageSpec

from .checkpoint import Checkpoint, load, save
from .config import Recipe, Stage, as_mapping, from_mapping
from .data.pairs import Batch
from .distributed import World, synchronised
from .initial import initialise
from .model import DualResNet
from .optim import Average, make_optimiser, schedule
from .precision import choose
from .prepare import StageData, check_recipe_leaks, class_names, stage_data
from .progress import Progress, say
from .rivals import make_heads
from .run_folder import RunFolder, versions
from .stages import Inputs, Objective, make_objective
from .step import Stepper

__all__ = ["Prefetch", "Trainer", "schedule"]
# What may change between a run and its --resume: none of it changes what is learnt. Stages may be added or prolonged;
# another precision is told.
NEUTRAL = (
    "stages",
    "precision",
    "samples",
    "save_every_s",
    "workers",
    "calibration_examples",
    "live_seconds",
    "note",
    "licence",
)
SAMPLE_STEP = 2**31  # the batch that sample pictures come from: no run gets there


class Prefetch:
    """Batches of coming steps, made by threads while the current one trains."""

    def __init__(self, data: StageData, first: int, last: int, workers: int) -> None:
        self.data, self.last, self.next = data, last, first
        self.pool = ThreadPoolExecutor(max_workers=max(1, workers))
        self.queue: list[Future[Batch]] = []
        self.wait_s = 0.0

    def __iter__(self) -> Iterator[Batch]:
        try:
            while self.next < self.last or self.queue:
                while self.next < self.last and len(self.queue) < 4:
                    self.queue.append(self.pool.submit(self.data.batch, self.next))
                    self.next += 1
                start = time.monotonic()
                batch = self.queue.pop(0).result()
                self.wait_s += time.monotonic() - start
                yield batch
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)


class Trainer:
    """One run in one folder: `model.pt` (resumable), `model.safetensors`, and the record (`RunFolder`)."""

    def __init__(
        self, recipe: Recipe, out: Path, device: torch.device, resume: bool, world: World | None = None
    ) -> None:
        self.recipe, self.out, self.device, self.world = recipe, out, device, world or World()
        torch.manual_seed(recipe.seed)
        self.checkpoint = self._start(resume)
        before = str(self.checkpoint.meta.get("precision", ""))
        self.recipe = msgspec.structs.replace(recipe, precision=choose(recipe.precision, device, self.world, before))
        self.checkpoint.meta["precision"] = self.recipe.precision
        if self.world.writes:
            say(f"precision {self.recipe.precision} ({recipe.precision} asked), {device}")
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        model = self.checkpoint.model.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.model: DualResNet = model
        if recipe.sync_batchnorm:
            synchronised(self.model, device)  # replaces the BatchNorms inside
        self.checkpoint.model = self.model
        self.world.copy_from_first(self.model)
        self.inputs = Inputs(self.checkpoint.audio, self.checkpoint.image, device, recipe.channels_last)

    def _start(self, resume: bool) -> Checkpoint:
        path = self.out / "model.pt"
        if resume and path.is_file():
            checkpoint = load(path)
            self._check_same_run(path, checkpoint)
            known = checkpoint.meta.get("recipe", {}).get("precision", "")  # files of before name it there alone
            checkpoint.meta = {"precision": known, **checkpoint.meta, **self._meta()}
            return checkpoint
        if resume:
            raise CheckpointError(f"--resume: {path} does not exist; start without --resume")
        if path.exists():
            raise ConfigError(f"{path} exists already: add --resume to go on, or choose another --out")
        audio = {k: v if k in ("seconds", "floor", "scale") else int(v) for k, v in self.recipe.audio.items()}
        specs = AudioSpec(**audio), ImageSpec(**self.recipe.image)  # type: ignore[arg-type]
        needs_classes = self.recipe.loss.objective == "coarse2fine"
        options = {"classes": class_names(self.recipe, *specs)} if needs_classes else {}
        model = DualResNet(make_heads(self.recipe.loss.objective, **options))
        initialise(model, self.recipe.init)
        return Checkpoint(model, *specs, meta=self._meta() | {"leaks": check_recipe_leaks(self.recipe)})

    def _check_same_run(self, path: Path, checkpoint: Checkpoint) -> None:
        """Raises ConfigError when the recipe differs in what matters, or the number of processes does."""
        before = as_mapping(from_mapping(checkpoint.meta.get("recipe", {}), str(path)))
        changed = [k for k, v in as_mapping(self.recipe).items() if k not in NEUTRAL and before[k] != v]
        if changed:
            raise ConfigError(f"--resume {path}: trained with other {changed}; use a new --out or the old recipe")
        size = int(checkpoint.state.get("world", 1))
        if size != self.world.size:
            raise ConfigError(
                f"--resume {path}: trained by {size} processes, now {self.world.size}; their batches differ: "
                f"torchrun --nproc-per-node {size}"
            )

    def _meta(self) -> dict[str, Any]:
        return {
            "recipe": as_mapping(self.recipe),
            "licence": self.recipe.licence,
            "live_seconds": self.recipe.live_seconds,
            "versions": versions(),
        }

    def run(self) -> Path:
        """Train what is left; returns the checkpoint's path."""
        done, first = (int(self.checkpoint.state.get(k, 0)) for k in ("stage", "step"))
        folder = self._folder((done, first)) if self.world.writes else None
        try:
            for number, stage in enumerate(self.recipe.stages):
                if number >= done:
                    self._stage(number, stage, first if number == done else 0, folder)
        finally:
            if folder is not None:
                folder.close()
        return self.out / "model.pt"

    def _folder(self, done: tuple[int, int]) -> RunFolder:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"--out {self.out}: cannot be written ({error.strerror})") from error
        return RunFolder(self.out, self.recipe, done)

    def _stage(self, number: int, stage: Stage, first: int, folder: RunFolder | None) -> None:
        data = stage_data(self.recipe, stage, self.checkpoint.audio, self.checkpoint.image, number, self.world)
        objective = make_objective(stage, self.recipe, self.inputs, self.model, data.labels).to(self.device)
        optimiser = make_optimiser(self.model, stage, objective)
        stepper = Stepper(self.model, objective, optimiser, self.recipe, stage, self.device, self.world)
        average = Average(self.model, stage.average) if stage.average else None
        if first:
            self._restore(stepper, objective, average)
        prefetch = Prefetch(data, first * stage.accumulate, stage.steps * stage.accumulate, self.recipe.workers)
        batches, saved = iter(prefetch), time.monotonic()
        with Progress(stage, first, quiet=not self.world.writes) as progress:
            for step in range(first, stage.steps):
                parts = [next(batches) for _ in range(stage.accumulate)]
                figures = stepper(step, parts)
                if average:
                    average.update(self.model)
                if folder is not None:
                    folder.log(stage.name, step, figures)
                progress.update(step, sum(len(b.labels) for b in parts) * self.world.size, figures, prefetch.wait_s)
                if self._due(saved) and step + 1 < stage.steps:
                    self._save((number, step + 1), stepper, objective, average)
                    self._draw(folder, stage.name, step + 1, data)
                    saved = time.monotonic()
        batches.close()  # type: ignore[attr-defined]
        if average:
            average.copy_to(self.model)
        self._save((number + 1, 0), stepper, objective, None)
        self._draw(folder, stage.name, stage.steps, data)

    def _due(self, saved: float) -> bool:
        """Rank 0's clock decides for all: statistics are averaged when a checkpoint is written."""
        return self.world.gather_objects(time.monotonic() - saved > self.recipe.save_every_s)[0]

    def _save(self, place: tuple[int, int], stepper: Stepper, objective: Objective, average: Average | None) -> None:
        self.world.average_buffers(self.model)
        if not self.world.writes:
            return
        self.checkpoint.state = {"stage": place[0], "step": place[1], "world": self.world.size}
        if place[1]:
            self.checkpoint.state |= {
                "optimiser": stepper.optimiser.state_dict(),
                "scaler": stepper.scaler.state_dict(),
                "vectors": objective.state_dict(),
                "average": average.state if average else {},
                "average_count": average.count if average else 0,
            }
        save(self.out / "model.pt", self.checkpoint)
        if not place[1]:
            save(self.out / "model.safetensors", self.checkpoint)

    def _restore(self, stepper: Stepper, objective: Objective, average: Average | None) -> None:
        state = self.checkpoint.state
        stepper.optimiser.load_state_dict(state["optimiser"])
        objective.load_state_dict(state["vectors"])
        if state.get("scaler"):
            stepper.scaler.load_state_dict(state["scaler"])
        if average:
            average.state = {k: v.to(self.device) for k, v in state["average"].items()}
            # Files of before held no count: their averages are old enough to follow at their own decay.
            average.count = int(state.get("average_count", 10**9))

    @torch.no_grad()
    def _draw(self, folder: RunFolder | None, stage: str, step: int, data: StageData) -> None:
        if folder is None or self.recipe.samples < 1:
            return
        batch = data.batch(SAMPLE_STEP)
        n = min(self.recipe.samples, len(batch.labels))
        self.model.eval()
        images = self.inputs.images(batch)[:n]
        sounds = self.inputs.spectrogram(torch.from_numpy(batch.waveforms[:n]).to(self.device))
        maps = self.model(images, sounds).float().cpu().numpy()
        folder.samples(stage, step, batch.images[:n], np.asarray(maps, np.float32))
