"""DMC-style (Hu et al., "Deep Multimodal Clustering", CVPR 2019; code DTaoo/DMC), where its idea fits these nets.

Faithful: cells of both modalities (sound before its max-pool) squashed by tanh(10 |u|) / |u|, one shared linear layer
to K = 10 clusters of 16 numbers, three rounds of routing by softmax over clusters, score = sum over clusters of the
cosine of both modalities' centres, loss relu(K + negative - positive). Not: VGG16 and VGGish, 400,000 clips a round,
and a published way to make a map (its release holds training only): ours is how well a cell's votes agree with the
sound's centres. Negatives are drawn among this process's pairs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import unit
from .base import Pairs, RivalHeads

CLUSTERS, SIZE, ROUNDS = 10, 16, 3


class DmcHeads(RivalHeads):
    """Map: cosine of a cell's votes for all clusters with the sound's cluster centres."""

    objective = "dmc"

    def __init__(self) -> None:
        super().__init__()
        self.vote = nn.Linear(512, CLUSTERS * SIZE, bias=False)

    def votes(self, cells: Tensor) -> Tensor:
        """(B, 512, H, W) -> (B, H W, K, d)."""
        u = cells.float().flatten(2).transpose(1, 2)
        length = u.square().sum(2, keepdim=True).clamp_min(1e-12).sqrt()
        squashed = u * torch.tanh(10 * length) / length
        votes: Tensor = self.vote(squashed).float()
        return votes.view(*votes.shape[:2], CLUSTERS, SIZE)

    def image(self, cells: Tensor) -> Tensor:
        """(B, 512, H, W) -> (B, 160, H, W) unit vectors."""
        votes = unit(self.votes(cells).flatten(2), 2)
        return votes.transpose(1, 2).reshape(len(cells), -1, *cells.shape[2:])

    def audio(self, cells: Tensor) -> Tensor:
        """(K, 512, h, w) -> (K, 160) unit vectors."""
        return unit(centres(self.votes(cells)).flatten(1))

    def loss(self, image: Tensor, audio: Tensor, pairs: Pairs) -> tuple[Tensor, dict[str, float]]:
        """Hinge of each row's own score over that of one other sound."""
        seen, heard = centres(self.votes(image)), centres(self.votes(audio))
        scores = torch.einsum("ikd,jkd->ij", seen, heard)  # centres are unit vectors: a sum of cosines
        first = int(pairs.own[0])
        rows, columns = pairs.negatives(pairs.same[:, first : first + len(seen)])
        positive, negative = scores.diagonal()[rows], scores[rows, columns]
        loss = F.relu(CLUSTERS + negative - positive).mean() if len(rows) else scores.sum() * 0
        return loss, {"hit": (positive > negative).float().mean().item() if len(rows) else 0.0}


def centres(votes: Tensor) -> Tensor:
    """Votes (B, cells, K, d) -> cluster centres (B, K, d), unit vectors, after ROUNDS of routing."""
    logits = votes.new_zeros(votes.shape[:3])
    for number in range(ROUNDS):
        weights = torch.softmax(logits, 2)
        centre = unit(torch.einsum("bnk,bnkd->bkd", weights, votes), 2)
        if number + 1 < ROUNDS:
            logits = torch.einsum("bkd,bnkd->bnk", centre, votes)
    return centre
