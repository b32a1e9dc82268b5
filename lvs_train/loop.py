"""The training loop: stages in order, each a pure function of (seed, step), resumable after kill -9."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from torch import Tensor, nn

from lvs_runtime.errors import CheckpointError, ConfigError, DataError

from .checkpoint import Checkpoint, load, save
from .config import Recipe, Stage, as_mapping
from .data.pairs import Batch
from .initial import initialise
from .model import DualResNet, Trunk
from .prepare import StageData, stage_data
from .progress import Progress
from .stages import ClassVectors, Inputs, make_step


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
    """One run in one folder: `model.pt` (resumable), `model.safetensors`, `metrics.jsonl`, `recipe.json`."""

    def __init__(self, recipe: Recipe, out: Path, device: torch.device, resume: bool) -> None:
        self.recipe, self.out, self.device = recipe, out, device
        torch.manual_seed(recipe.seed)
        self.checkpoint = self._start(resume)
        self.model = self.checkpoint.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.inputs = Inputs(self.checkpoint.audio, self.checkpoint.image, device)

    def _start(self, resume: bool) -> Checkpoint:
        path = self.out / "model.pt"
        if resume and path.is_file():
            checkpoint = load(path)
            before = {**checkpoint.meta.get("recipe", {}), "stages": None}
            if before != {**as_mapping(self.recipe), "stages": None}:
                changed = [k for k, v in as_mapping(self.recipe).items() if k != "stages" and before.get(k) != v]
                raise ConfigError(f"--resume {path}: trained with other {changed}; use a new --out or the old recipe")
            checkpoint.meta |= self._meta()
            return checkpoint
        if resume:
            raise CheckpointError(f"--resume: {path} does not exist; start without --resume")
        if path.exists():
            raise ConfigError(f"{path} exists already: add --resume to go on, or choose another --out")
        from lvs_runtime.spec import AudioSpec, ImageSpec

        audio = {k: v if k in ("seconds", "floor", "scale") else int(v) for k, v in self.recipe.audio.items()}
        model = DualResNet()
        initialise(model, self.recipe.init)
        return Checkpoint(model, AudioSpec(**audio), ImageSpec(**self.recipe.image), meta=self._meta())  # type: ignore[arg-type]

    def _meta(self) -> dict[str, Any]:
        return {
            "recipe": as_mapping(self.recipe),
            "licence": self.recipe.licence,
            "live_seconds": self.recipe.live_seconds,
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
        }

    def run(self) -> Path:
        """Train what is left; returns the checkpoint's path."""
        self.out.mkdir(parents=True, exist_ok=True)
        done = int(self.checkpoint.state.get("stage", 0))
        for number, stage in enumerate(self.recipe.stages):
            if number >= done:
                first = int(self.checkpoint.state.get("step", 0)) if number == done else 0
                self._stage(number, stage, first)
        return self.out / "model.pt"

    def _stage(self, number: int, stage: Stage, first: int) -> None:
        data = stage_data(self.recipe, stage, self.checkpoint.audio, self.checkpoint.image, number)
        vectors = self._vectors(stage, data)
        step_of = make_step(stage, self.recipe.loss, self.inputs, vectors)
        optimiser = self._optimiser(stage, vectors)
        average = _Average(self.model, stage.average) if stage.average else None
        if first:
            self._restore(optimiser, vectors, average)
        prefetch = Prefetch(data, first, stage.steps, self.recipe.workers)
        with (self.out / "metrics.jsonl").open("a", encoding="utf-8") as metrics, Progress(stage, first) as progress:
            saved = time.monotonic()
            for step, batch in enumerate(prefetch, start=first):
                figures = self._step(stage, step, batch, step_of, optimiser)
                if average:
                    average.update(self.model)
                _log(metrics, {"stage": stage.name, "step": step, **figures})
                progress.update(step, len(batch.labels), figures, prefetch.wait_s)
                if time.monotonic() - saved > self.recipe.save_every_s:
                    self._save(number, step + 1, optimiser, vectors, average)
                    saved = time.monotonic()
        if average:
            average.copy_to(self.model)
        self._save(number + 1, 0, optimiser, None, None)

    def _step(
        self, stage: Stage, step: int, batch: Batch, step_of: Any, optimiser: torch.optim.Optimizer
    ) -> dict[str, float]:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * schedule(step, stage.steps, stage.warmup_steps)
        set_mode(self.model, stage.freeze_image)
        rng = np.random.default_rng((self.recipe.seed, 1, step))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            loss, figures = step_of(self.model, batch, rng)
        if not math.isfinite(loss.item()):
            raise DataError(
                f"stage {stage.name}, step {step}: loss is {loss.item()}; the last checkpoint stands. "
                "Lower learning_rate, then --resume"
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], 5.0)
        optimiser.step()
        return {"loss": loss.item(), **figures, "lr": optimiser.param_groups[0]["lr"]}

    def _vectors(self, stage: Stage, data: StageData) -> ClassVectors | None:
        return ClassVectors(data.labels).to(self.device) if stage.kind == "classes" else None

    def _optimiser(self, stage: Stage, vectors: ClassVectors | None) -> torch.optim.Optimizer:
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        for parameter in frozen_parameters(self.model.image, stage.freeze_image):
            parameter.requires_grad_(False)
        image = [p for p in self.model.image.parameters() if p.requires_grad]
        audio = [*self.model.audio.parameters(), *(vectors.parameters() if vectors else ())]
        image_rate = stage.image_learning_rate or stage.learning_rate
        groups = [{"params": audio, "peak": stage.learning_rate}, {"params": image, "peak": image_rate}]
        return torch.optim.AdamW(groups, lr=stage.learning_rate, weight_decay=stage.weight_decay)

    def _save(
        self,
        stage: int,
        step: int,
        optimiser: torch.optim.Optimizer,
        vectors: nn.Module | None,
        average: _Average | None,
    ) -> None:
        self.checkpoint.state = {"stage": stage, "step": step}
        if step:
            self.checkpoint.state |= {
                "optimiser": optimiser.state_dict(),
                "vectors": vectors.state_dict() if vectors else {},
                "average": average.state if average else {},
            }
        save(self.out / "model.pt", self.checkpoint)
        if not step:
            save(self.out / "model.safetensors", self.checkpoint)

    def _restore(self, optimiser: torch.optim.Optimizer, vectors: nn.Module | None, average: _Average | None) -> None:
        state = self.checkpoint.state
        optimiser.load_state_dict(state["optimiser"])
        if vectors:
            vectors.load_state_dict(state["vectors"])
        if average:
            average.state = state["average"]


class _Average:
    """Exponential average of weights and statistics, kept beside the model; young averages follow faster."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.state: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def update(self, model: nn.Module) -> None:
        self.count += 1
        decay = min(self.decay, self.count / (self.count + 10))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)

    def copy_to(self, model: nn.Module) -> None:
        model.load_state_dict(self.state)


def schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a half cosine to 1 % of the peak."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _frozen_modules(trunk: Trunk, freeze: int) -> list[nn.Module]:
    if freeze < 0:
        return []
    return [trunk.conv1, trunk.bn1, *(getattr(trunk, f"layer{i}") for i in range(1, freeze + 1))]


def frozen_parameters(trunk: Trunk, freeze: int) -> list[nn.Parameter]:
    """Parameters of the stem and of layers 1...`freeze`; none below 0."""
    return [p for module in _frozen_modules(trunk, freeze) for p in module.parameters()]


def set_mode(model: DualResNet, freeze: int) -> None:
    """Training mode; the frozen part of the image trunk also keeps its BatchNorm statistics."""
    model.train()
    for module in _frozen_modules(model.image, freeze):
        module.eval()


def _log(file: TextIO, values: dict[str, Any]) -> None:
    file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}) + "\n")
    file.flush()
