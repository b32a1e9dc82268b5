"""Max-MIL in EZ-VSL's form (Mo & Morgado, ECCV 2022; code stoneMo/EZ-VSL), standing in for AVObject (Afouras et al.).

Faithful to EZ-VSL: a 1x1 convolution and a linear layer behind the trunks, the score of a pair is the maximum over
cells, temperature 0.03, cross-entropy over rows plus cross-entropy over columns. Not: its 7x7 map (here 14x14) and
the audio-free object prior at test time. Of AVObject only the maximum is here: no video, no flow-tracked objects, no
synchronisation negatives over time shifts. Columns of the row's own class are masked, where EZ-VSL knows no classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import cross_similarity, unit
from .base import Pairs, RivalHeads

TEMPERATURE = 0.03


class MaxMilHeads(RivalHeads):
    """Map: cosine of projected cells and projected sound, in [-1, 1]."""

    objective = "maxmil"

    def __init__(self) -> None:
        super().__init__()
        self.project_image = nn.Conv2d(512, 512, 1)
        self.project_audio = nn.Linear(512, 512)

    def image(self, cells: Tensor) -> Tensor:
        """(B, 512, H, W) -> (B, 512, H, W) unit vectors."""
        return unit(self.project_image(cells))

    def audio(self, cells: Tensor) -> Tensor:
        """(K, 512, h, w) -> (K, 512) unit vectors."""
        return unit(self.project_audio(cells.float().amax((2, 3))))

    def loss(self, image: Tensor, audio: Tensor, pairs: Pairs) -> tuple[Tensor, dict[str, float]]:
        """Both directions over the pairs of all processes."""
        everyone = pairs.world.gather(self.audio(audio))
        scores = cross_similarity(self.image(image), everyone).amax((2, 3)) / TEMPERATURE  # (B, N)
        other = pairs.same.clone()
        other[torch.arange(len(scores), device=scores.device), pairs.own] = False
        by_audio, other_by_audio = (
            pairs.world.gather(scores).T[pairs.own],
            pairs.world.gather(other.float()).T[pairs.own],
        )
        loss = F.cross_entropy(scores.masked_fill(other, -torch.inf), pairs.own)
        loss = loss + F.cross_entropy(by_audio.masked_fill(other_by_audio > 0, -torch.inf), pairs.own)
        return loss, {"hit": (scores.argmax(1) == pairs.own).float().mean().item()}
