"""Is it there at all? Clips with a visible source and clips without, told apart by the map's own strength.

At a threshold c a clip with confidence >= c counts as detected: a true positive when its source is visible and its ciou
reaches 0.5, else a false positive. A visible source below c is a false negative. A mislocalised detection is neither
true positive nor false negative, so this recall (SLAVC's) is no share of all sources and not monotone in c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .masks import find_protocol, resize_map
from .validate import validate_finite, validate_lengths, validate_map

Column = Sequence[float] | npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Columns = tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Floats]  # visible, correct, confidence
TOP_SHARE = 4  # the strongest quarter of the pixels


def map_confidence(cells: npt.NDArray[Any], protocol: str = "slavc") -> float:
    """Mean of the strongest quarter (12,544 pixels) of (S + 1) / 2 at 224 x 224, in [0, 1] for cosines."""
    heat = (resize_map(validate_map(cells), find_protocol(protocol)) + 1) / 2
    quarter = heat.size // TOP_SHARE
    return float(np.partition(heat, heat.size - quarter, axis=None)[-quarter:].mean(dtype=np.float64))


def precision_recall(
    positive: Sequence[bool] | npt.NDArray[Any], cious: Column, confidences: Column, threshold: float
) -> tuple[float, float]:
    """Precision and SLAVC's recall at one confidence threshold; 1 where a denominator is empty.

    `positive`: the clip's source is visible. `cious` of other clips are not looked at (NaN is fine).
    """
    precision, recall = _curve(_columns(positive, cious, confidences), np.array([threshold], np.float64))
    return float(precision[0]), float(recall[0])


def average_precision(
    positive: Sequence[bool] | npt.NDArray[Any], cious: Column, confidences: Column, theirs: bool = True
) -> float:
    """Area under precision over recall, precision made monotone.

    `theirs` (SLAVC, the published figure): every max(1, n // 200)-th confidence without the largest, and the first
    recall step not credited, so that a perfect ranking of 4 + 4 clips gets 0.5 and of 5,158 + 5,158 gets .9996. False:
    every distinct confidence, credit from recall 0.

    >>> visible, cious = [1, 1, 1, 0, 0, 1], [0.8, 0.6, 0.2, np.nan, np.nan, 0.9]
    >>> round(average_precision(visible, cious, [0.9, 0.7, 0.8, 0.6, 0.3, 0.5]), 5)
    0.42222
    """
    columns = _columns(positive, cious, confidences)
    ordered = np.sort(columns[2])
    thresholds = ordered[:-1][:: -max(1, len(ordered) // 200)] if theirs else np.unique(ordered)[::-1]
    if not len(thresholds):
        return 0.0
    precision, recall = _curve(columns, thresholds)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    total = float((envelope[:-1] * np.diff(recall)).sum())
    return total if theirs else total + float(envelope[0] * recall[0])


def max_f1(
    positive: Sequence[bool] | npt.NDArray[Any], cious: Column, confidences: Column, theirs: bool = False
) -> float:
    """The best 2PR / (P + R) over all distinct confidences; `theirs`: over every max(1, n // 10)-th sorted one.

    >>> round(max_f1([1, 1, 1, 0, 0, 1], [0.8, 0.6, 0.2, 0, 0, 0.9], [0.9, 0.7, 0.8, 0.6, 0.3, 0.5]), 9)
    0.75
    """
    columns = _columns(positive, cious, confidences)
    ordered = np.sort(columns[2])
    precision, recall = _curve(columns, ordered[:: max(1, len(ordered) // 10)] if theirs else np.unique(ordered))
    both = precision + recall
    return float((2 * precision * recall / np.where(both > 0, both, 1)).max())


def auroc(positive: Column, negative: Column) -> float:
    """Chance that a clip of the first list scores above one of the second; ties count half. 0.5: no difference.

    >>> auroc([0.9, 0.6], [0.6, 0.1])
    0.875
    """
    above, below = validate_finite(positive, "positive scores"), validate_finite(negative, "negative scores")
    ordered = np.sort(below)
    smaller, not_larger = np.searchsorted(ordered, above, "left"), np.searchsorted(ordered, above, "right")
    return float((smaller + not_larger).mean() / (2 * len(below)))


def _curve(columns: Columns, thresholds: Floats) -> tuple[Floats, Floats]:
    """Precision and recall at each threshold."""
    visible, correct, conf = columns
    detected, hits, found = (
        len(c) - np.searchsorted(np.sort(c), thresholds, "left") for c in (conf, conf[correct], conf[visible])
    )
    claimed = hits + (int(visible.sum()) - found)
    precision = np.where(detected > 0, hits / np.maximum(detected, 1), 1.0)
    return precision, np.where(claimed > 0, hits / np.maximum(claimed, 1), 1.0)


def _columns(positive: Sequence[bool] | npt.NDArray[Any], cious: Column, confidences: Column) -> Columns:
    validate_lengths(positive=positive, cious=cious, confidences=confidences)
    conf = validate_finite(confidences, "confidences")
    visible = np.asarray(positive).astype(bool)
    values = np.asarray(cious, np.float64)
    if (values[visible] > 1).any() or (values[visible] < 0).any():
        raise ConfigError(f"cious run to {np.nanmax(values[visible]):g}; want [0, 1], not percent")
    return visible, visible & (values >= 0.5), conf
