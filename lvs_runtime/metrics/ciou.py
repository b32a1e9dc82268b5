"""Consensus IoU: of one clip, and the two figures that papers print over clips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .masks import adaptive_mask, find_protocol, protocol_mask
from .targets import SIZE_PX
from .validate import validate_cious, validate_map, validate_mask, validate_target, validate_varied

AUC_THRESHOLDS = tuple(0.05 * i for i in range(21))  # not rounded: 0.15000000000000002 fails a ciou of exactly 0.15


def ciou(cells: npt.NDArray[Any], target: npt.NDArray[Any], protocol: str | None = None) -> float:
    """Consensus IoU of a map, (n, n) or (224, 224), with a target (224, 224) of weights in [0, 1].

    `protocol` None is the arithmetic of "lvs" on the maps that it is meant for: a constant map or a NaN raises
    `ConfigError`. "lvs" itself takes them as the released code does (all marked, none marked); the other names of
    `PROTOCOLS` raise too. NaN comes back when both mask and target are empty. Source: the LVS code's test.py, utils.py.

    >>> target = np.zeros((224, 224)); target[:112] = 1
    >>> round(ciou(-np.arange(14.0)[:, None].repeat(14, 1), target), 4)
    0.9911
    """
    name = protocol or "lvs"
    find_protocol(name)
    weights = validate_target(target, (SIZE_PX, SIZE_PX))
    if protocol != "lvs":
        validate_varied(validate_map(cells))
    return ciou_of_mask(protocol_mask(cells, name), weights)


def adaptive_ciou(cells: npt.NDArray[Any], target: npt.NDArray[Any], protocol: str | None = None) -> float:
    """`ciou` with a mask of the target's own size (ALIGN). An oracle: print it beside, never in place of, `ciou`."""
    name = protocol or "lvs"
    find_protocol(name)
    weights = validate_target(target, (SIZE_PX, SIZE_PX))
    if protocol != "lvs":
        validate_varied(validate_map(cells))
    return ciou_of_mask(adaptive_mask(cells, weights, name), weights)


def ciou_of_mask(mask: npt.NDArray[np.bool_], target: npt.NDArray[Any]) -> float:
    """Sum of target weights under the mask / (all target weights + mask pixels where the target is 0).

    A weight of 0.5 (one annotator of two) counts half above and below. NaN when both are empty.

    >>> ciou_of_mask(np.array([[True, True]]), np.array([[0.5, 0.0]]))
    0.3333333333333333
    """
    mask = validate_mask(mask)
    weights = validate_target(target, mask.shape)
    wanted = float(weights.sum()) + float((mask & (weights == 0)).sum())
    return float(weights[mask].sum()) / wanted if wanted > 0 else float("nan")


def ciou_success(cious: Sequence[float] | npt.NDArray[Any], threshold: float = 0.5, strict: bool = False) -> float:
    """Share of clips whose ciou reaches `threshold`, in [0, 1]; papers print it, times 100, as "cIoU".

    NaN counts as failure. `strict` wants more than the threshold (SLAVC's "precision").

    >>> ciou_success([0.8, 0.5, 0.15, 0.0]), ciou_success([0.8, 0.5, 0.15, 0.0], strict=True)
    (0.5, 0.25)
    """
    values = validate_cious(cious)
    return float((values > threshold if strict else values >= threshold).mean())


def auc(cious: Sequence[float] | npt.NDArray[Any]) -> float:
    """Area under success over thresholds 0, 0.05 ... 1 (trapezoid), in [0.025, 1]; a random map gets about 0.217.

    Not the area under a ROC curve. Success at threshold 0 is 1 for all but NaN.

    >>> round(auc([0.8, 0.5, 0.15, 0.0]), 9)
    0.375
    """
    return float(auc_by_clip(cious).mean())


def auc_by_clip(cious: Sequence[float] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """What each clip adds: `auc` is the mean of these, so intervals of it are those of a mean."""
    values = validate_cious(cious)
    weights = np.full(len(AUC_THRESHOLDS), 0.05)
    weights[[0, -1]] = 0.025
    reached = values[:, None] >= np.array(AUC_THRESHOLDS)
    by_clip: npt.NDArray[np.float64] = reached @ weights
    return by_clip
