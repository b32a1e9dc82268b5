"""From drawn boxes to the weights that a map is compared with, pixel for pixel as the published programs draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError

SIZE_PX = 224
SIZE_CLASSES = {"small": 0, "medium": 32**2, "large": 96**2, "huge": 144**2}  # name: from so many of 50,176 pixels

Box = Sequence[float]


def boxes_to_target(
    boxes: Iterable[Box], size_px: int = SIZE_PX, frame_px: float | tuple[float, float] = 1.0
) -> npt.NDArray[np.float32]:
    """Union of boxes (x0, y0, x1, y1) in units of the frame: (size, size) of 0 and 1.

    `frame_px`: the frame's side, or (width, height), in the boxes' units; 1 for normalised ones (VGG-SS). As released:
    negative coordinates become 0 (twelve boxes of VGG-SS hold -2.88e16), then pixels are truncated.

    >>> int(boxes_to_target([(0, 0, 0.5, 1)]).sum()), int(boxes_to_target([(0, 0, 128, 256)], frame_px=256).sum())
    (25088, 25088)
    """
    target = np.zeros((size_px, size_px), np.float32)
    for box in boxes:
        x0, y0, x1, y1 = pixels_of(box, size_px, frame_px)
        target[y0:y1, x0:x1] = 1
    return target


def consensus_target(
    annotators: Iterable[Iterable[Box]],
    size_px: int = SIZE_PX,
    frame_px: float | tuple[float, float] = 1.0,
    agree: int = 2,
    union_first: bool = True,
) -> npt.NDArray[np.float32]:
    """Weights min(votes / `agree`, 1) of several annotators' boxes: (size, size) in [0, 1].

    `union_first` False adds every box by itself, as the Flickr evaluation does: one annotator's two overlapping boxes
    then agree with each other.

    >>> weights = consensus_target([[(0, 0, 1, 1)], [(0, 0, 0.5, 1)]])
    >>> float(weights[0, 0]), float(weights[0, 200])
    (1.0, 0.5)
    """
    votes = np.zeros((size_px, size_px), np.float32)
    for boxes in annotators:
        if union_first:
            votes += boxes_to_target(boxes, size_px, frame_px)
            continue
        for box in boxes:
            votes += boxes_to_target([box], size_px, frame_px)
    weights: npt.NDArray[np.float32] = np.minimum(votes / np.float32(max(1, agree)), np.float32(1))
    return weights


def pixels_of(box: Box, size_px: int, frame_px: float | tuple[float, float]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) on the target's grid, truncated; x1 <= x0 or y1 <= y0 when nothing is left of the box."""
    frame = frame_px if isinstance(frame_px, tuple) else (frame_px, frame_px)
    sides = (*frame, *frame)
    bad = len(box) != 4 or any(math.isnan(v) or v > 1.01 * side for v, side in zip(box, sides, strict=False))
    if bad:
        want = "from 0 to 1; divide pixels by the frame's size" if frame == (1.0, 1.0) else f"within {frame} pixels"
        raise ConfigError(f"box {tuple(box)}: want x0, y0, x1, y1 {want}")
    # Multiply before dividing: whole pixels of a 224 frame then stay whole.
    x0, y0, x1, y1 = (
        min(int(size_px * max(float(v), 0.0) / side), size_px) for v, side in zip(box, sides, strict=True)
    )
    return x0, y0, x1, y1


def size_class(target: npt.NDArray[Any]) -> str:
    """SLAVC's size of a target by its summed weight on 224 x 224: "small" < 32^2, "medium" < 96^2, "large" < 144^2.

    Under the median threshold a target below a quarter of the frame (112^2) cannot succeed, whatever the map.
    """
    area = float(np.asarray(target).sum())
    return max((name for name in SIZE_CLASSES if area >= SIZE_CLASSES[name]), key=lambda name: SIZE_CLASSES[name])
