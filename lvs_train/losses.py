"""The tri-map hard-negative loss (LVS section 3.2, equations 2-5) in the form of the released code, and as printed.

Shapes: B images (rows), K audio clips (columns), H x W cells; similarity_BKHW in [-1, 1], axis order (image, audio).
Released form (model.py, "forward"): logits = [positive | K easy negatives | hard negative] / temperature, cross-entropy
with target 0, anchored at the image. All of it runs in float32: in half precision the released quotients give NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lvs_runtime.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TriMapConfig:
    """Soft thresholds and temperatures of the paper; switches for its ablations."""

    epsilon_pos: float = 0.65
    epsilon_neg: float = 0.4
    tau: float = 0.03
    temperature: float = 0.07
    hard_negatives: bool = True
    tri_map: bool = True  # False: negative weight = 1 - positive weight, nothing is ignored
    form: Literal["code", "paper"] = "code"
    directions: Literal["image", "audio", "both"] = "image"

    def __post_init__(self) -> None:
        if self.tau <= 0 or self.temperature <= 0:
            raise ConfigError(f"TriMapConfig: tau={self.tau} and temperature={self.temperature} must be > 0")
        if self.form not in ("code", "paper") or self.directions not in ("image", "audio", "both"):
            raise ConfigError(f"TriMapConfig: form={self.form!r}, directions={self.directions!r} unknown")


def soft_pool(similarity: Tensor, z: Tensor) -> Tensor:
    """Mean of `similarity` over the last axis weighted by sigmoid(z): sum(sigmoid(z) S) / sum(sigmoid(z)).

    Computed as a softmax of log-sigmoids, so that no map in [-1, 1] divides by zero (the quotient does in float32 as
    soon as all cells reach 0.899).
    """
    return (torch.softmax(F.logsigmoid(z), -1) * similarity).sum(-1)


def positive_pool(similarity: Tensor, config: TriMapConfig) -> Tensor:
    """Similarity pooled over the cells that probably sound: (..., cells) -> (...)."""
    return soft_pool(similarity, (similarity - config.epsilon_pos) / config.tau)


def negative_pool(similarity: Tensor, config: TriMapConfig) -> Tensor:
    """Similarity pooled over the cells that probably do not: the hard negative, (..., cells) -> (...)."""
    epsilon = config.epsilon_neg if config.tri_map else config.epsilon_pos
    return soft_pool(similarity, (epsilon - similarity) / config.tau)


def trimap_logits(
    similarity_BKHW: Tensor,
    config: TriMapConfig | None = None,
    own_index: Tensor | None = None,
    same_BK: Tensor | None = None,
) -> Tensor:
    """(B, K, H, W) -> (B, K + 2) = positive, K easy negatives (own pair masked with -inf), hard negative.

    `own_index` (B,) is the column of each row's own audio, default 0...B-1 (rows of another rank pass their offset).
    `same_BK` marks further columns that are no negatives (same clip or same class): masked as well. Without hard
    negatives the last column is absent.
    """
    config = config or TriMapConfig()
    _check(similarity_BKHW)
    with torch.autocast(similarity_BKHW.device.type, enabled=False):
        flat = similarity_BKHW.float().flatten(2)
        rows = torch.arange(len(flat), device=flat.device)
        own = rows if own_index is None else own_index
        pooled = positive_pool(flat, config)
        masked = torch.zeros_like(pooled, dtype=torch.bool)
        masked[rows, own] = True
        if same_BK is not None:
            masked |= same_BK
        columns = [pooled[rows, own][:, None], pooled.masked_fill(masked, -torch.inf)]
        if config.hard_negatives:
            columns.append(negative_pool(flat[rows, own], config)[:, None])
        return torch.cat(columns, 1) / config.temperature


def trimap_loss(
    similarity_BKHW: Tensor,
    config: TriMapConfig | None = None,
    own_index: Tensor | None = None,
    same_BK: Tensor | None = None,
) -> Tensor:
    """The loss as a scalar, mean over rows (images), over columns (audio), or both, as the configuration says."""
    config = config or TriMapConfig()
    if config.form == "paper":
        return paper_loss(similarity_BKHW, config)
    losses = []
    if config.directions in ("image", "both"):
        losses.append(_cross_entropy(trimap_logits(similarity_BKHW, config, own_index, same_BK)))
    if config.directions in ("audio", "both"):
        if own_index is not None or similarity_BKHW.shape[0] != similarity_BKHW.shape[1]:
            raise ConfigError("directions 'audio' and 'both' need as many images as audio clips, in the same order")
        same = None if same_BK is None else same_BK.T
        losses.append(_cross_entropy(_audio_anchored(similarity_BKHW, config, same)))
    return torch.stack(losses).mean()


def _audio_anchored(similarity_BKHW: Tensor, config: TriMapConfig, same_KB: Tensor | None) -> Tensor:
    """Rows are audio clips, easy negatives other images; the transposed map has the right own pairs on its diagonal."""
    return trimap_logits(similarity_BKHW.transpose(0, 1), config, same_BK=same_KB)


def _cross_entropy(logits: Tensor) -> Tensor:
    return (torch.logsumexp(logits, 1) - logits[:, 0]).mean()


def paper_loss(similarity_BKHW: Tensor, config: TriMapConfig | None = None) -> Tensor:
    """The printed equation 5, stable: softplus(N_i - P_i), N_i = hard negative + sum over j != i of mean S_(i->j).

    N grows with the batch: only a mean over j and a temperature make it trainable, which is what the code does. No
    temperature is printed; `config.temperature` = 1 gives the equation as it stands.
    """
    config = config or TriMapConfig(temperature=1.0)
    _check(similarity_BKHW)
    with torch.autocast(similarity_BKHW.device.type, enabled=False):
        flat = similarity_BKHW.float().flatten(2)
        own = flat.diagonal().T  # (B, cells)
        means = flat.mean(2).T  # rows: audio i, columns: image j
        easy = means.sum(1) - means.diagonal()
        hard = negative_pool(own, config) if config.hard_negatives else torch.zeros_like(easy)
        return F.softplus((easy + hard - positive_pool(own, config)) / config.temperature).mean()


def _check(similarity_BKHW: Tensor) -> None:
    if similarity_BKHW.ndim != 4 or 0 in similarity_BKHW.shape:
        raise ConfigError(f"similarity is {tuple(similarity_BKHW.shape)}; expected (B images, K audio clips, H, W)")
