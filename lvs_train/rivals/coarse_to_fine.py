"""Coarse-to-Fine-style (Qian et al., ECCV 2020; code shvdiwnkozbw/Multi-Source-Sound-Localization).

Faithful: a pair classifier (1024 -> 128 -> 2) on concatenated means over all pairs, positives and negatives averaged
apart, half each; a class head for each modality under binary cross-entropy; class features pooled by the class
activation (detached), an MLP 512 -> 1024 -> 128, L2; distances of (clip, class) pairs: d^2 for the identical one,
relu(1.4 - d)^2 for others. Not: pseudo labels of pretrained classifiers (here the class names of the data, which
makes it weakly supervised: say so beside its score), two phases one after the other (here summed), several classes a
clip (here its own), the relu around each class's cosine at test time (here a weighted sum of class features, so that
the map is one product).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvs_runtime.errors import ConfigError

from ..model import unit
from .base import Pairs, RivalHeads

PRESENT = 0.3  # probability above which a class counts as heard
MARGIN = 1.4


class CoarseToFineHeads(RivalHeads):
    """Map: cosine of mapped cells with the heard classes' features, weighted by their probability."""

    objective = "coarse2fine"

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        if len(classes) < 2:
            raise ConfigError(f"objective coarse2fine needs class names for its clips; found {list(classes)}")
        self.classes = {name: i for i, name in enumerate(classes)}
        self.pair = nn.Sequential(nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, 2))
        self.seen, self.heard = nn.Linear(512, len(classes)), nn.Linear(512, len(classes))
        self.fine = nn.Sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 128))

    def options(self) -> dict[str, Any]:
        """The class names."""
        return {"classes": list(self.classes)}

    def image(self, cells: Tensor) -> Tensor:
        """(B, 512, H, W) -> (B, 128, H, W) unit vectors."""
        return unit(self.fine(cells.float().movedim(1, -1)).movedim(-1, 1))

    def audio(self, cells: Tensor) -> Tensor:
        """(K, 512, h, w) -> (K, 128): features of the classes that are heard, weighted by probability."""
        probability = torch.sigmoid(self.heard(cells.float().mean((2, 3))).float())
        best = F.one_hot(probability.argmax(1), probability.shape[1]).bool()
        weights = probability * ((probability > PRESENT) | best)
        features = unit(self.fine(_class_features(cells, self.heard)), 2)  # (K, classes, 128)
        return unit(torch.einsum("kc,kcd->kd", weights, features))

    def loss(self, image: Tensor, audio: Tensor, pairs: Pairs) -> tuple[Tensor, dict[str, float]]:
        """Coarse and fine terms summed."""
        labels = torch.tensor([self.classes[name] for name in pairs.labels], device=image.device)
        own, everyone = labels[pairs.own], pairs.world.gather
        seen, heard = image.float().mean((2, 3)), audio.float().mean((2, 3))
        targets = F.one_hot(own, len(self.classes)).float()
        classes = sum(
            F.binary_cross_entropy_with_logits(head(x).float(), targets)
            for head, x in ((self.seen, seen), (self.heard, heard))
        )
        coarse, hit = self._coarse(seen, everyone(heard), pairs)
        rows = torch.arange(len(own), device=own.device)
        v = unit(self.fine(_class_features(image, self.seen)[rows, own]))
        a = unit(self.fine(_class_features(audio, self.heard)[rows, own]))
        squared = (2 - 2 * v @ everyone(a).T).clamp_min(1e-6)  # the root's slope is infinite at 0
        far = F.relu(MARGIN - squared.sqrt()).square()
        negative = ~pairs.same
        fine = squared[rows, pairs.own].mean() + (far * negative).sum() / negative.sum().clamp_min(1)
        return coarse + classes + fine, {"hit": hit}

    def _coarse(self, seen: Tensor, heard: Tensor, pairs: Pairs) -> tuple[Tensor, float]:
        both = torch.cat(
            [seen[:, None].expand(-1, len(heard), -1), heard[None].expand(len(seen), -1, -1)], 2
        )  # (B, N, 1024)
        logits = self.pair(both).float()
        rows = torch.arange(len(seen), device=seen.device)
        positive = F.cross_entropy(logits[rows, pairs.own], torch.ones_like(rows))
        others = logits[~pairs.same]
        negative = F.cross_entropy(others, others.new_zeros(len(others), dtype=torch.long)) if len(others) else positive
        hit = (logits[rows, pairs.own].argmax(1) == 1).float().mean().item()
        return (positive + negative) / 2, hit


def _class_features(cells: Tensor, head: nn.Linear) -> Tensor:
    """(B, 512, H, W) -> (B, classes, 512): cells averaged by each class's activation, which has no gradient here."""
    flat = cells.float().flatten(2)
    activation = F.relu(torch.einsum("bcn,kc->bkn", flat, head.weight.float())).detach() + 1e-6
    return torch.einsum("bkn,bcn->bkc", activation / activation.sum(2, keepdim=True), flat)
