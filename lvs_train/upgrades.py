"""The field's cheap upgrades of the tri-map objective, each with its own switch in `[augment]`.

Twin (SSL-TIE): T(x) is each picture turned by -30...30 degrees, mirrored and reduced; its loss counts half, and with
`equivariance` the map of T(x) must equal T(map of x). Unlike the published code, cells that show the border's black
do not count, and the reduction happens once. Slow copy (SLAVC): weights averaged over steps give the targets of the
other modality. Mixing (SSL-TIE): the likest other sound of the batch is mixed in; the original looks in a queue of
4,000.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .model import DualResNet

LARGEST_TURN_DEGREES = 30
LARGEST_MIX = 0.5


@dataclass(frozen=True)
class Twin:
    """A geometric change of a batch: one matrix a picture (output to input, normalised coordinates), and a scale."""

    matrices: Tensor  # (B, 2, 3)
    scale: float

    def warp(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H scale, W scale); what lies outside becomes 0."""
        size = [x.shape[0], x.shape[1], round(x.shape[2] * self.scale), round(x.shape[3] * self.scale)]
        grid = F.affine_grid(self.matrices.to(x), size, align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    def inside(self, size: tuple[int, int], device: torch.device) -> Tensor:
        """(B, H scale, W scale) bool: cells whose whole value comes from the picture."""
        return self.warp(torch.ones(len(self.matrices), 1, *size, device=device))[:, 0] > 0.999


def draw_twin(rng: np.random.Generator, number: int) -> Twin:
    """Scale and mirror for the batch (each with probability one half), a turn for each picture."""
    scale, mirror = (0.5 if rng.random() < 0.5 else 1.0), (-1.0 if rng.random() < 0.5 else 1.0)
    turn = np.deg2rad(rng.integers(-LARGEST_TURN_DEGREES, LARGEST_TURN_DEGREES + 1, number))
    zero = np.zeros(number)
    rows = [[np.cos(turn) * mirror, -np.sin(turn), zero], [np.sin(turn) * mirror, np.cos(turn), zero]]
    return Twin(torch.from_numpy(np.array(rows, np.float32)).permute(2, 0, 1).contiguous(), scale)


def equivariance_loss(maps_BHW: Tensor, twin_maps: Tensor, twin: Twin) -> Tensor:
    """Mean squared difference of the twin's own maps and the warped own maps, over cells inside the picture."""
    wanted = twin.warp(maps_BHW[:, None])[:, 0]
    inside = twin.inside((maps_BHW.shape[1], maps_BHW.shape[2]), maps_BHW.device)
    squared = (twin_maps - wanted).square() * inside
    return squared.sum() / inside.sum().clamp_min(1)


class SlowCopy(nn.Module):
    """A copy of the nets that follows at `decay`, statistics too; it never gets a gradient."""

    def __init__(self, model: DualResNet, decay: float) -> None:
        super().__init__()
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False), decay

    @torch.no_grad()
    def follow(self, model: DualResNet) -> None:
        """One step towards the trained nets."""
        for slow, fast in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - self.decay)


def drop_channels(cells: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Visual dropout: the same channels of all cells of a picture are dropped; (B, C, H, W), scale left as it is."""
    if share <= 0:
        return cells
    kept = torch.from_numpy(rng.random((len(cells), cells.shape[1], 1, 1)) >= share)
    return cells * kept.to(cells.device, cells.dtype)


def mix_sounds(waveforms: Tensor, spectra: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    """Mix the row of likest mean spectrum (never itself) into a `share` of the rows: (1 - a) x + a x', a to one half.

    waveforms (B, N); spectra (B, bins).
    """
    if len(waveforms) < 2:
        return waveforms
    centred = F.normalize(spectra - spectra.mean(0), dim=1)
    likeness = (centred @ centred.T).fill_diagonal_(-torch.inf)
    partner = likeness.argmax(1)
    amount = np.where(rng.random(len(waveforms)) < share, rng.uniform(0, LARGEST_MIX, len(waveforms)), 0.0)
    a = torch.from_numpy(amount.astype(np.float32)).to(waveforms.device)[:, None]
    return (1 - a) * waveforms + a * waveforms[partner]
