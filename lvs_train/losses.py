"""The tri-map hard-negative loss (LVS section 3.2, equations 2-5) in the form of the released code, and as printed.

Shapes: B images (rows), K audio clips (columns), H x W cells; similarity_BKHW in [-1, 1], axis order (image, audio).
Released form (model.py, "forward"): logits = [positive | K easy negatives | hard negative] / temperature, cross-entropy
with target 0, anchored at the image. All of it runs in float32: in half precision the released quotients give NaN.

Over many processes a row needs every process's sounds but only its own image: the caller gathers the audio embeddings,
passes the column of each row's own sound, and a `gather` that joins rows of all processes (lvs_train.distributed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lvs_runtime.errors import ConfigError

Gather = Callable[[Tensor], Tensor]


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
    margin: float = 0.0  # taken off the positive similarity; a negative one (MarginNCE: -0.2) is lenient

    def __post_init__(self) -> None:
        if self.tau <= 0 or self.temperature <= 0:
            raise ConfigError(f"TriMapConfig: tau={self.tau} and temperature={self.temperature} must be > 0")
        if self.form not in ("code", "paper") or self.directions not in ("image", "audio", "both"):
            raise ConfigError(f"TriMapConfig: form={self.form!r}, directions={self.directions!r} unknown")
        if not -1 <= self.margin <= 1:
            raise ConfigError(f"TriMapConfig: margin={self.margin} is no difference of cosines; want -1...1")


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


class Pools(NamedTuple):
    """Pooled similarities: all pairs (B, K), each row's own pair (B,), its hard negative (B,), its own column (B,)."""

    pairs: Tensor
    positive: Tensor
    hard: Tensor | None
    own: Tensor


def pool(similarity_BKHW: Tensor, config: TriMapConfig, own_index: Tensor | None = None) -> Pools:
    """Pool every map once, in float32; own column of row n: `own_index[n]`, default n."""
    _check(similarity_BKHW)
    with torch.autocast(similarity_BKHW.device.type, enabled=False):
        flat = similarity_BKHW.float().flatten(2)
        rows = torch.arange(len(flat), device=flat.device)
        own = rows if own_index is None else own_index.to(flat.device)
        pairs = positive_pool(flat, config)
        hard = negative_pool(flat[rows, own], config) if config.hard_negatives else None
        return Pools(pairs, pairs[rows, own], hard, own)


def _logits(pools: Pools, easy: Tensor, same: Tensor | None, config: TriMapConfig) -> Tensor:
    """[positive | easy, own and `same` columns masked | hard] / temperature; `easy` (B, K) as the anchor sees it."""
    masked = torch.zeros_like(easy, dtype=torch.bool)
    masked[torch.arange(len(easy), device=easy.device), pools.own] = True
    if same is not None:
        masked = masked | same
    columns = [(pools.positive - config.margin)[:, None], easy.masked_fill(masked, -torch.inf)]
    if pools.hard is not None:
        columns.append(pools.hard[:, None])
    return torch.cat(columns, 1) / config.temperature


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
    pools = pool(similarity_BKHW, config, own_index)
    return _logits(pools, pools.pairs, same_BK, config)


def trimap_loss(
    similarity_BKHW: Tensor,
    config: TriMapConfig | None = None,
    own_index: Tensor | None = None,
    same_BK: Tensor | None = None,
    gather: Gather | None = None,
) -> Tensor:
    """The loss as a scalar, mean over rows (images), over columns (audio), or both, as the configuration says.

    Columns beyond the pairs (silence, noise: no picture shows them) are negatives of the image anchor only. With
    `gather` the mean over processes of what each returns is the loss of the joint batch.
    """
    config = config or TriMapConfig()
    join: Gather = gather or (lambda x: x)
    pools = pool(similarity_BKHW, config, own_index)
    if config.form == "paper":
        return _paper(similarity_BKHW.float().flatten(2).mean(2), pools, config, join)
    losses = []
    if config.directions in ("image", "both"):
        losses.append(_cross_entropy(_logits(pools, pools.pairs, same_BK, config)))
    if config.directions in ("audio", "both"):
        easy = _by_audio(join(pools.pairs), pools)
        same = None if same_BK is None else _by_audio(join(same_BK.float()), pools) > 0
        losses.append(_cross_entropy(_logits(pools, easy, same, config)))
    return torch.stack(losses).mean()


def _by_audio(all_BK: Tensor, pools: Pools) -> Tensor:
    """Rows of all images -> rows of this process's own sounds against all images, (B, images)."""
    if all_BK.shape[1] < len(all_BK) or int(pools.own.max()) >= len(all_BK):
        raise ConfigError(
            f"directions 'audio' and 'both' need as many images as audio clips, in the same order (extra sounds behind "
            f"them); got {len(all_BK)} images and {all_BK.shape[1]} audio clips"
        )
    return all_BK.T[pools.own]


def _cross_entropy(logits: Tensor) -> Tensor:
    return (torch.logsumexp(logits, 1) - logits[:, 0]).mean()


def paper_loss(similarity_BKHW: Tensor, config: TriMapConfig | None = None) -> Tensor:
    """The printed equation 5, stable: softplus(N_i - P_i), N_i = hard negative + sum over j != i of mean S_(i->j).

    N grows with the batch: only a mean over j and a temperature make it trainable, which is what the code does. No
    temperature is printed; `config.temperature` = 1 gives the equation as it stands.
    """
    config = config or TriMapConfig(temperature=1.0)
    means = similarity_BKHW.float().flatten(2).mean(2)
    return _paper(means, pool(similarity_BKHW, config), config, lambda x: x)


def _paper(means_BK: Tensor, pools: Pools, config: TriMapConfig, join: Gather) -> Tensor:
    means = _by_audio(join(means_BK), pools)  # rows: audio i, columns: image j
    rows = torch.arange(len(means), device=means.device)
    easy = means.sum(1) - means[rows, pools.own]
    hard = torch.zeros_like(easy) if pools.hard is None else pools.hard
    return F.softplus((easy + hard - pools.positive + config.margin) / config.temperature).mean()


def _check(similarity_BKHW: Tensor) -> None:
    if similarity_BKHW.ndim != 4 or 0 in similarity_BKHW.shape:
        raise ConfigError(f"similarity is {tuple(similarity_BKHW.shape)}; expected (B images, K audio clips, H, W)")
