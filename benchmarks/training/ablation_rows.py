"""The rows of the ablation: what each changes of "full", and which warm-up it starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """Changes of the recipe's tables; `start` names the warm-up, `share` the part of the training recordings."""

    loss: dict[str, Any] = field(default_factory=dict)
    augment: dict[str, Any] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)
    start: str = "imagenet"
    share: float = 1.0
    trains: bool = True  # False: the warm-up is measured as it is


# The tri-map loss in the released form, image anchor, is "full".
ROWS: dict[str, Row] = {
    "warm_up_only": Row(trains=False),
    "full": Row(),
    "no_hard_negative": Row(loss={"hard_negatives": False}),
    "no_trimap": Row(loss={"tri_map": False}),
    "attention": Row(loss={"objective": "attention"}),
    "maxmil": Row(loss={"objective": "maxmil"}),
    "coarse2fine": Row(loss={"objective": "coarse2fine"}),
    "dmc": Row(loss={"objective": "dmc"}),
    "both_directions": Row(loss={"directions": "both"}),
    "every_source": Row(loss={"every_source": True}),
    "silence_noise": Row(stage={"extra_negatives": 3}),
    "margin": Row(loss={"margin": -0.2}),
    "printed_form": Row(loss={"form": "paper"}),
    "appearance": Row(augment={"appearance": True}),
    "spectrogram_none": Row(augment={"spectrogram": "none"}),
    "spectrogram_tie": Row(augment={"spectrogram": "tie"}),
    "mixing": Row(augment={"mixing": 0.3}),
    "geometric": Row(augment={"geometric": True}),
    "equivariance": Row(augment={"geometric": True, "equivariance": 1.0}),
    "momentum": Row(augment={"momentum": 0.99}),
    "momentum_dropout": Row(augment={"momentum": 0.99, "visual_dropout": 0.5}),
    "half_data": Row(share=0.5),
    "quarter_data": Row(share=0.25),
    "random_trunks": Row(start="random"),
    "imagenet_random_layer4": Row(start="imagenet_random_layer4"),
    "frozen_image_trunk": Row(start="frozen_image", stage={"freeze_image": 4}),
}
