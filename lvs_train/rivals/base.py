"""What a rival has to give: heads that make a map, and a loss on the trunks' outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..distributed import World
from ..model import Heads


@dataclass(frozen=True)
class Pairs:
    """How rows (this process's pairs) and columns (the pairs of all processes) belong together."""

    own: Tensor  # (B,) column of each row's own sound
    same: Tensor  # (B, N) bool: columns that are no negatives of a row, its own among them
    labels: Sequence[str]  # N classes (or clip ids)
    rng: np.random.Generator
    world: World

    def negatives(self, same: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(rows, columns): one column drawn for each row that has a negative at all."""
        allowed = ~(self.same if same is None else same).cpu().numpy()
        rows = np.flatnonzero(allowed.any(1))
        columns = [int(self.rng.choice(np.flatnonzero(allowed[row]))) for row in rows]
        device = self.own.device
        return torch.tensor(rows, device=device), torch.tensor(columns, dtype=torch.long, device=device)


class RivalHeads(Heads):
    """Heads with a loss of their own."""

    def loss(self, image: Tensor, audio: Tensor, pairs: Pairs) -> tuple[Tensor, dict[str, float]]:
        """Trunk outputs of this process's pairs, (B, 512, H, W) and (B, 512, h, w) -> scalar loss, figures."""
        raise NotImplementedError
