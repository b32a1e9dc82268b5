"""How well a map points: the released LVS evaluator's numbers, to the letter (its test.py and utils.py).

A map (n, n) is resized to 224 x 224 by OpenCV's bilinear and cut at its median, so that half of the picture is the
answer whatever the map says. `ciou` compares it with a target; `ciou_success` is the printed percentage as a share.
Every step stays in float32: rounding merges or splits ties at the median, and one pixel shows in the sixth decimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError
from .heatmap import peak_px, resize_bilinear

SIZE_PX = 224
PROTOCOLS = ("lvs",)
AUC_THRESHOLDS = tuple(0.05 * i for i in range(21))  # not rounded: 0.15000000000000002 fails a ciou of exactly 0.15


def ciou(cells: npt.NDArray[Any], target: npt.NDArray[Any], protocol: str = "lvs") -> float:
    """Consensus IoU of a similarity map (n, n) with a target (224, 224) of weights in [0, 1].

    NaN when both the mask and the target are empty, as the released code has it. Raises `ConfigError` on NaN in the
    map (the released code silently scores 0), on a target of another size, or one that is not in [0, 1].
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"ciou: protocol {protocol!r} is unknown; possible: {', '.join(PROTOCOLS)}")
    return ciou_of_mask(median_mask(cells), _target(target, (SIZE_PX, SIZE_PX)))


def median_mask(cells: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """The half of the picture where the map (n, n) is largest: (224, 224) bool, at most 25,087 pixels true.

    Ties at the median are left out, so fewer pixels may be true; a constant map >= 0 marks every pixel, one < 0 none
    (that is the released arithmetic, worth 21.9 % on VGG-SS).
    """
    v = -resize_bilinear(_cells(cells), (SIZE_PX, SIZE_PX))
    low, high = v.min(), v.max()
    if high != low:
        v = (v - low) / (high - low)
    p = 1 - v
    median = np.sort(p, axis=None)[SIZE_PX * SIZE_PX // 2]
    p[p > median] = 1
    p[p < 1] = 0
    return p >= 0.5


def ciou_of_mask(mask: npt.NDArray[np.bool_], target: npt.NDArray[Any]) -> float:
    """Sum of target weights under the mask / (all target weights + mask pixels where the target is 0).

    A weight of 0.5 (one annotator of two) counts half above and below. NaN when both are empty.
    """
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise ConfigError(f"ciou: mask is {mask.dtype}; want bool: did you hand over the map itself?")
    weights = _target(target, mask.shape)
    wanted = float(weights.sum()) + float((mask & (weights == 0)).sum())
    return float(weights[mask].sum()) / wanted if wanted > 0 else float("nan")


def ciou_success(cious: Sequence[float] | npt.NDArray[Any], threshold: float = 0.5) -> float:
    """Share of clips whose ciou reaches `threshold`, in [0, 1]. NaN counts as failure."""
    return float((_cious(cious) >= threshold).mean())


def auc(cious: Sequence[float] | npt.NDArray[Any]) -> float:
    """Area under success over thresholds 0, 0.05 ... 1 (trapezoid), in [0.025, 1]; a random map gets about 0.217.

    Not the area under a ROC curve. Success at threshold 0 is 1 always.
    """
    values = _cious(cious)
    success = [float((values >= threshold).mean()) for threshold in AUC_THRESHOLDS]
    return sum(0.05 * (a + b) / 2 for a, b in pairwise(success))


def peak_in_box(cells: npt.NDArray[Any], target: npt.NDArray[Any]) -> bool:
    """Whether the largest pixel of the map, resized to the target, lies where the target (H, W) is above 0."""
    weights = np.asarray(target)
    if weights.ndim != 2 or weights.size == 0:
        raise ConfigError(f"peak_in_box: target has shape {weights.shape}; want (height, width)")
    x, y = peak_px(_cells(cells), (weights.shape[1], weights.shape[0]))
    return bool(weights[y, x] > 0)


def centre_disc(n: int = 14) -> npt.NDArray[np.float32]:
    """The baseline that looks at nothing: minus the distance from the centre, (n, n) float32."""
    offset = np.arange(n) - (n - 1) / 2
    distance: npt.NDArray[np.float64] = np.hypot(offset[:, None], offset[None, :])
    return (-distance).astype(np.float32)


def boxes_to_target(boxes: Iterable[Sequence[float]], size_px: int = SIZE_PX) -> npt.NDArray[np.float32]:
    """Union of VGG-SS boxes (x0, y0, x1, y1), normalised to the frame: (size, size) of 0 and 1.

    As released: negative coordinates become 0 (twelve boxes of VGG-SS hold -2.88e16), then pixels are truncated.
    """
    target = np.zeros((size_px, size_px), np.float32)
    for box in boxes:
        if len(box) != 4 or max(box) > 1.01:
            raise ConfigError(f"box {tuple(box)}: want x0, y0, x1, y1 from 0 to 1; divide pixels by the frame's size")
        x0, y0, x1, y1 = (int(size_px * max(float(value), 0.0)) for value in box)
        target[y0:y1, x0:x1] = 1
    return target


def _cells(cells: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    m = np.asarray(cells, np.float32)
    if m.ndim != 2 or min(m.shape) < 2:
        raise ConfigError(f"map has shape {m.shape}; want cells of one clip, e.g. (14, 14)")
    if not np.isfinite(m).all():
        raise ConfigError(f"map has {int((~np.isfinite(m)).sum())} cells that are NaN or infinite")
    return m


def _target(target: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    weights = np.asarray(target, np.float64)
    if weights.shape != shape:
        raise ConfigError(f"target has shape {weights.shape}; want {shape}: draw the boxes at this size")
    if weights.size and not (weights.min() >= 0 and weights.max() <= 1):
        raise ConfigError(f"target runs from {weights.min():g} to {weights.max():g}; want [0, 1]: divide 8 bits by 255")
    return weights


def _cious(cious: Sequence[float] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = np.asarray(cious, np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ConfigError(f"cious have shape {values.shape}; want one value for each clip, at least one")
    if (values < 0).any() or (values > 1).any():
        raise ConfigError(f"cious run from {np.nanmin(values):g} to {np.nanmax(values):g}; want [0, 1], not percent")
    return values
