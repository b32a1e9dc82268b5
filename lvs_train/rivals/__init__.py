"""The paper's rivals on the same trunks, in the same loop, under the same evaluator: `[loss] objective = "..."`.

Each file says what of the original is there and what is not. All maps are `<image embedding, audio embedding>`.
"""

from __future__ import annotations

from typing import Any

from lvs_runtime.errors import ConfigError

from ..model import Heads
from .base import Pairs, RivalHeads

__all__ = ["OBJECTIVES", "Pairs", "RivalHeads", "make_heads"]
OBJECTIVES = ("trimap", "attention", "maxmil", "coarse2fine", "dmc")


def make_heads(objective: str, **options: Any) -> Heads:
    """The heads of an objective by its name; raises ConfigError for an unknown one."""
    if objective == "trimap":
        return Heads()
    if objective == "attention":
        from .attention import AttentionHeads

        return AttentionHeads(**options)
    if objective == "maxmil":
        from .max_mil import MaxMilHeads

        return MaxMilHeads(**options)
    if objective == "coarse2fine":
        from .coarse_to_fine import CoarseToFineHeads

        return CoarseToFineHeads(**options)
    if objective == "dmc":
        from .dmc import DmcHeads

        return DmcHeads(**options)
    raise ConfigError(f"objective {objective!r} is unknown; possible: {', '.join(OBJECTIVES)}")
