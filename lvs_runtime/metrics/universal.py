"""One threshold for every clip, and what then lights up when nothing in the picture sounds (vssl_eval's figures).

Its negative audio: silence, noise, and sound from off screen. A model that answers all of them with the same region is
an object detector, whatever its cIoU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .ciou import AUC_THRESHOLDS
from .masks import fixed_mask
from .validate import validate_finite, validate_mask

RULES = ("max", "max10", "maxq3")


def pia(cells: npt.NDArray[Any], threshold: float) -> float:
    """Share of the 224 x 224 pixels whose raw similarity lies above `threshold`, in [0, 1]; wanted: 0 on negatives.

    >>> pia(np.array([[0.9, 0.9], [0.1, 0.1]]), 0.5)
    0.5
    """
    return float(fixed_mask(cells, threshold).mean())


def aoc(pias: Sequence[float] | npt.NDArray[Any]) -> float:
    """Area under the share of clips with pIA <= t, t = 0, 0.05 ... 1 (trapezoid): 1 when nothing ever lights up.

    >>> round(aoc([0.0, 0.0]), 9), round(aoc([1.0, 1.0]), 9)
    (1.0, 0.025)
    """
    values = validate_finite(pias, "pIA values")
    if values.min() < 0 or values.max() > 1:
        raise ConfigError(f"pIA values run from {values.min():g} to {values.max():g}; want shares in [0, 1]")
    share = (values[:, None] <= np.array(AUC_THRESHOLDS)).mean(0)
    return float((0.05 * (share[1:] + share[:-1]) / 2).sum())


def universal_threshold(maxima: Mapping[str, Sequence[float] | npt.NDArray[Any]], rule: str = "max") -> float:
    """A model's threshold from the largest similarity of each clip with each kind of negative audio.

    "max": the largest, over the kinds, of the median; "max10": a tenth above that; "maxq3": the largest third quartile.
    The published program holds the resulting numbers only; the medians are our reading of it.

    >>> universal_threshold({"silence": [0.1, 0.2, 0.3], "noise": [0.2, 0.3, 0.4]})
    0.3
    """
    if rule not in RULES:
        raise ConfigError(f"universal_threshold: rule {rule!r} is unknown; possible: {', '.join(RULES)}")
    if not maxima:
        raise ConfigError("universal_threshold: no negatives; want e.g. {'silence': [...], 'noise': [...]}")
    quantile = 0.75 if rule == "maxq3" else 0.5
    largest = max(float(np.quantile(validate_finite(v, f"maxima of {k}"), quantile)) for k, v in maxima.items())
    return largest * (1.1 if rule == "max10" else 1.0)


def f_score(mean_ciou: float, mean_pias: Sequence[float]) -> float:
    """Harmonic mean of mean ciou and 1 - mean pIA over the kinds of negatives, all shares in [0, 1].

    The paper prints percent. 0 when nothing is found, however quiet the negatives are.

    >>> round(f_score(0.3, [0.0, 0.1, 0.2]), 4)
    0.45
    """
    quiet = 1 - float(validate_finite(mean_pias, "mean pIAs").mean())
    if not (0 <= mean_ciou <= 1 and 0 <= quiet <= 1):
        raise ConfigError(f"f_score: mean ciou {mean_ciou:g}, 1 - pIA {quiet:g}; want shares in [0, 1], not percent")
    return 2 * mean_ciou * quiet / (mean_ciou + quiet) if mean_ciou + quiet else 0.0


def map_iou(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    """IoU of two masks of one picture under two sounds; 1 when both are empty. High: the sound is ignored.

    >>> map_iou(np.array([True, True]), np.array([True, False]))
    0.5
    """
    a, b = validate_mask(first), validate_mask(second)
    if a.shape != b.shape:
        raise ConfigError(f"map_iou: masks of {a.shape} and {b.shape} pixels; want one size")
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0
