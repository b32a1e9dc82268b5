"""One optimiser step: precision, many processes, and batches that are larger than memory.

`chunk_size` (as in GradCache): all inputs are embedded without gradients, chunk by chunk; the loss is taken on the
embeddings of the whole batch, so every pair sees every negative; then each chunk is embedded again with gradients and
given its share. The gradient is exact for what is computed; BatchNorm sees chunks, not the batch.
`accumulate` is cheaper and something else: the mean gradient of several batches, each with its own negatives only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from lvs_runtime.errors import DataError

from .config import Recipe, Stage
from .data.pairs import Batch
from .distributed import World
from .model import DualResNet
from .optim import schedule, set_mode
from .stages import Features, Objective, Views, Which

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
LARGEST_GRADIENT = 5.0
Encoder = Callable[[Tensor], Tensor]


class Stepper:
    """Steps of one stage. `state_dict` holds the optimiser's and the loss scale's state."""

    def __init__(
        self,
        model: DualResNet,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        recipe: Recipe,
        stage: Stage,
        device: torch.device,
        world: World,
    ) -> None:
        self.model, self.objective, self.optimiser = model, objective, optimiser
        self.recipe, self.stage, self.device, self.world = recipe, stage, device, world
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
        self.encoders: dict[Which, Encoder] = {"image": model.image, "audio": model.audio}
        if recipe.compile:
            self.encoders = {which: torch.compile(trunk) for which, trunk in self.encoders.items()}

    def __call__(self, step: int, batches: Sequence[Batch]) -> dict[str, float]:
        """Move the weights by one step; loss, figures, learning rate. Raises DataError when the loss is no number."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * schedule(step, self.stage.steps, self.stage.warmup_steps)
        set_mode(self.model, self.stage)
        self.optimiser.zero_grad(set_to_none=True)
        rows = [self._backward(batch, step, part) for part, batch in enumerate(batches)]
        figures = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
        parameters = [p for g in self.optimiser.param_groups for p in g["params"]]
        self.world.average_gradients(parameters)
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.objective.after_step(self.model)
        return {**figures, "lr": self.optimiser.param_groups[0]["lr"]}

    def _backward(self, batch: Batch, step: int, part: int) -> dict[str, float]:
        rng = np.random.default_rng((self.recipe.seed, 1, step, *self._extra_seed(part)))
        with self._autocast():
            views = self.objective.views(batch, rng, self.world)
            run = self._in_chunks if self.stage.chunk_size else self._at_once
            loss, figures, finish = run(views)
        value = self.world.gather(loss.detach()[None]).mean().item()
        if not math.isfinite(value):
            raise DataError(
                f"stage {self.stage.name}, step {step}: loss is {value}; the last checkpoint stands. "
                "Lower learning_rate, then --resume"
            )
        torch.autograd.backward(self.scaler.scale(loss / self.stage.accumulate))
        finish()
        return {"loss": value, **figures}

    def _extra_seed(self, part: int) -> tuple[int, ...]:
        """Nothing for the first batch of a single process: its sequence is that of a plain run."""
        return (self.world.rank, part) if self.world.rank or part else ()

    def _at_once(self, views: Views) -> tuple[Tensor, dict[str, float], Callable[[], None]]:
        features = {name: self.encoders[which](x) for name, (which, x) in views.inputs.items()}
        return *self.objective.loss(self.model, features, views), lambda: None

    def _in_chunks(self, views: Views) -> tuple[Tensor, dict[str, float], Callable[[], None]]:
        features = self._embedded(views)
        loss, figures = self.objective.loss(self.model, features, views)

        def finish() -> None:
            for name, (which, x) in views.inputs.items():
                gradient = features[name].grad
                if gradient is None:
                    continue
                chunks, shares = (torch.split(t, self.stage.chunk_size) for t in (x, gradient))
                for chunk, share in zip(chunks, shares, strict=True):
                    with self._autocast():
                        output = self.encoders[which](chunk)
                    if output.requires_grad:
                        torch.autograd.backward(output, share)

        return loss, figures, finish

    @torch.no_grad()
    def _embedded(self, views: Views) -> Features:
        """Trunk outputs as leaves of the loss; running statistics are left to the second pass."""
        features: Features = {}
        with _statistics_kept(self.model):
            for name, (which, x) in views.inputs.items():
                parts = [self.encoders[which](chunk) for chunk in torch.split(x, self.stage.chunk_size)]
                features[name] = torch.cat(parts).requires_grad_()
        return features

    def _autocast(self) -> torch.autocast:
        half = HALF.get(self.recipe.precision)
        return torch.autocast(self.device.type, half, enabled=half is not None)


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [m.momentum for m in norms]
    counts = [None if m.num_batches_tracked is None else m.num_batches_tracked.clone() for m in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, before, counts, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)
