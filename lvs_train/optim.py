"""Schedule, what is frozen, and the average of the weights that becomes the result."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .config import Stage
from .model import DualResNet, Trunk


def schedule(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a half cosine to 1 % of the peak."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _frozen_modules(trunk: Trunk, freeze: int) -> list[nn.Module]:
    if freeze < 0:
        return []
    return [trunk.conv1, trunk.bn1, *(getattr(trunk, f"layer{i}") for i in range(1, min(freeze, 4) + 1))]


def frozen_parameters(trunk: Trunk, freeze: int) -> list[nn.Parameter]:
    """Parameters of the stem and of layers 1...`freeze`; none below 0."""
    return [p for module in _frozen_modules(trunk, freeze) for p in module.parameters()]


def set_mode(model: DualResNet, stage: Stage) -> None:
    """Training mode; frozen parts also keep their BatchNorm statistics."""
    model.train()
    for trunk, freeze in ((model.image, stage.freeze_image), (model.audio, stage.freeze_audio)):
        for module in _frozen_modules(trunk, freeze):
            module.eval()
    if stage.freeze_batchnorm:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def make_optimiser(model: DualResNet, stage: Stage, objective: nn.Module) -> torch.optim.Optimizer:
    """AdamW with the image trunk's own rate; frozen parameters get no gradient."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for trunk, freeze in ((model.image, stage.freeze_image), (model.audio, stage.freeze_audio)):
        for parameter in frozen_parameters(trunk, freeze):
            parameter.requires_grad_(False)
    image = [p for p in model.image.parameters() if p.requires_grad]
    audio = [p for p in model.audio.parameters() if p.requires_grad]
    audio += [*model.heads.parameters(), *(p for p in objective.parameters() if p.requires_grad)]
    groups = [
        {"params": audio, "peak": stage.learning_rate},
        {"params": image, "peak": stage.image_learning_rate or stage.learning_rate},
    ]
    if not image and not audio:
        groups = []
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=stage.learning_rate, weight_decay=stage.weight_decay
    )


class Average:
    """Exponential average of weights and statistics, kept beside the model; young averages follow faster."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.state: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """One step towards the model."""
        self.count += 1
        decay = min(self.decay, self.count / (self.count + 10))
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, 1 - decay)
            else:
                self.state[key].copy_(value)

    def copy_to(self, model: nn.Module) -> None:
        """Make the average the model."""
        model.load_state_dict(self.state)
