"""Attention10k-style (Senocak et al., CVPR 2018; code ardasnck/learning_to_localize_sound_source).

Faithful: h = L2(FC512(relu(FC1000(a)))), attention = softmax over cells of relu(cos(v, h)) without a temperature, z
from the attended mean by FC512 and FC1000, one random negative sound a row, distance-ratio loss (softmax(d+, d-) -
(0, 1))^2. Not: the fixed SoundNet teacher (here the 1000 numbers of a sound are learnt with the rest), VGG16 before
its last ReLU (here ResNet18 behind it), the semi-supervised term, frames of 320 pixels. Negatives of the row's own
class are left out, where the original may draw them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import unit
from .base import Pairs, RivalHeads


class AttentionHeads(RivalHeads):
    """Map: relu(cos(v, h)), non-negative once the trunk is trained; the relu itself stands in the loss."""

    objective = "attention"

    def __init__(self) -> None:
        super().__init__()
        self.sound = nn.Linear(512, 1000)
        self.query = nn.Linear(1000, 512)
        self.attended = nn.Sequential(nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1000))

    def audio(self, cells: Tensor) -> Tensor:
        """(K, 512, h, w) -> h, (K, 512) unit vectors."""
        return unit(self.query(F.relu(self.sound(cells.float().amax((2, 3))))))

    def loss(self, image: Tensor, audio: Tensor, pairs: Pairs) -> tuple[Tensor, dict[str, float]]:
        """See the module's text."""
        sound = self.sound(audio.float().amax((2, 3))).float()
        everyone = pairs.world.gather(sound)
        query = unit(self.query(F.relu(sound)))
        cells = image.float().flatten(2)
        cosines = torch.einsum("bcn,bc->bn", self.image(image).flatten(2), query)
        weights = torch.softmax(F.relu(cosines), 1)
        z = self.attended(torch.einsum("bn,bcn->bc", weights, cells)).float()
        rows, columns = pairs.negatives()
        near, far = _distance(z, everyone[pairs.own])[rows], _distance(z[rows], everyone[columns])
        ratio = torch.softmax(torch.stack([near, far], 1), 1)
        goal = torch.tensor([0.0, 1.0], device=ratio.device)
        loss = (ratio - goal).square().mean() if len(rows) else z.sum() * 0
        return loss, {"hit": (near < far).float().mean().item() if len(rows) else 0.0}


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum(1).clamp_min(1e-12).sqrt()
