"""From similarity to heat: how strongly each cell glows. Scaled by the result's box threshold.

A per-frame stretch (minmax) makes some place glow in every picture, also when nothing sounds. Here a box's edge is
always half heat and what is well below it is clear; the threshold never falls below the bundle's absolute one.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..heatmap import CELL_SHIFT
from ..results import Result

Stops = tuple[float, float, float]


def heat_stops(box_threshold: float) -> Stops:
    """Similarities that map to heat 0, 0.5 and 1, for a threshold in (0, 1)."""
    mid = min(max(box_threshold, 0.02), 0.98)
    return 0.6 * mid, mid, min(1.5 * mid, mid + 0.6 * (1.0 - mid))


def heat(similarity: npt.NDArray[np.float32], stops: Stops) -> npt.NDArray[np.float32]:
    """Heat in [0, 1], same shape: piecewise linear through `stops`."""
    scaled: npt.NDArray[np.float32] = np.interp(similarity, stops, (0.0, 0.5, 1.0)).astype(np.float32)
    return scaled


def heat_strength(result: Result) -> float:
    """How much of the heat is shown, in [0, 1]: 0 when nothing is audible, fading in around confidence 0.5."""
    if not result.audible:
        return 0.0
    x = min(max((result.confidence - 0.4) / 0.2, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


def state_of(result: Result) -> str:
    """What to tell the viewer: "silent", "unseen" (heard, not in view) or "seen"."""
    if not result.audible:
        return "silent"
    return "seen" if result.confidence >= 0.5 else "unseen"


@lru_cache(maxsize=32)
def _cubic_weights(size: int, cells: int) -> npt.NDArray[np.float32]:
    """(size, cells) cubic (a = -0.5) interpolation from where the cells look, edges clamped."""
    at = (np.arange(size) + 0.5) * cells / size - 0.5 + CELL_SHIFT
    base = np.floor(at).astype(int)
    weights = np.zeros((size, cells), np.float32)
    for tap in range(-1, 3):
        d = np.abs(at - (base + tap))
        near = (1.5 * d - 2.5) * d * d + 1.0
        far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
        w = np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0)).astype(np.float32)
        np.add.at(weights, (np.arange(size), np.clip(base + tap, 0, cells - 1)), w)
    return weights


def smooth(cells: npt.NDArray[np.float32], size_px: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Heat of the cells (rows, columns) drawn smoothly at `size_px` = (width, height): (height, width) in [0, 1].

    For the eye only: measures and boxes use the bilinear `Result.heatmap`.
    """
    width, height = size_px
    rows, columns = cells.shape
    drawn = _cubic_weights(height, rows) @ cells @ _cubic_weights(width, columns).T
    clipped: npt.NDArray[np.float32] = np.clip(drawn, 0.0, 1.0)
    return clipped
