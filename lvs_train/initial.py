"""Where the trunks start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lvs_runtime.errors import CheckpointError

from .checkpoint import load
from .config import Init
from .model import DualResNet, Trunk

log = logging.getLogger(__name__)


def initialise(model: DualResNet, init: Init) -> None:
    """Fill the trunks as the recipe says; raises CheckpointError when a file is missing or does not fit."""
    if init.checkpoint:
        start = load(init.checkpoint).model
        model.image.load_state_dict(start.image.state_dict())
        model.audio.load_state_dict(start.audio.state_dict())
        if start.heads.objective == model.heads.objective and start.heads.options() == model.heads.options():
            model.heads.load_state_dict(start.heads.state_dict())
    if init.torchvision:
        from torchvision.models import ResNet18_Weights, resnet18

        weights = resnet18(weights=ResNet18_Weights.IMAGENET1K_V1).state_dict()
        _fill(model.image, weights, "torchvision")
        _fill(model.audio, weights, "torchvision")
    if init.image_npz:
        _fill(model.image, read_npz(init.image_npz), init.image_npz[-1])
    if init.audio_npz:
        _fill(model.audio, read_npz(init.audio_npz), init.audio_npz[-1])


def read_npz(paths: list[str]) -> dict[str, Tensor]:
    """ResNet18 tensors in torchvision's names from several files; later files win, conv biases are left out."""
    tensors: dict[str, Tensor] = {}
    for path in paths:
        if not Path(path).is_file():
            raise CheckpointError(f"init {path}: no such file")
        with np.load(path, allow_pickle=False) as file:
            new = {k: torch.from_numpy(file[k]) for k in file.files}
        tensors |= {k: v.float() if v.is_floating_point() else v for k, v in new.items()}
    return tensors


def _fill(trunk: Trunk, tensors: Mapping[str, Tensor], name: str) -> None:
    own = trunk.state_dict()
    missing = [k for k in own if k not in tensors and not k.endswith("num_batches_tracked")]
    if missing:
        raise CheckpointError(
            f"init {name}: no {missing[0]} ({len(missing)} tensors are missing); want ResNet18's names"
        )
    for key, value in own.items():
        if key not in tensors:
            continue
        new = tensors[key]
        if key == "conv1.weight" and value.shape[1] == 1:  # grey in: the sum keeps the response to r = g = b
            new = new.sum(1, keepdim=True)
        if new.shape != value.shape:
            raise CheckpointError(f"init {name}: {key} is {tuple(new.shape)}, expected {tuple(value.shape)}")
        value.copy_(new)
