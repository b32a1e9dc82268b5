"""Map to 224 x 224 as each published program resizes: OpenCV's bilinear, torch's with aligned corners.

OpenCV (half-pixel centres) is `lvs_runtime.heatmap.resize_bilinear`, equal bit for bit. Torch's differ from ours by at
most rounding (1e-6 of the range): torch itself is not equal to itself across devices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_A = -0.75  # torch's and OpenCV's cubic; PIL's is -0.5


def resize_aligned(cells: Floats, size: int, cubic: bool) -> Floats:
    """(n, m) -> (size, size) with the corner pixels at the corner cells' centres (`align_corners=True`)."""
    index, weight = _taps(cells.shape[1], size, cubic)
    rows = (cells[:, index] * weight).sum(-1, dtype=np.float32)
    index, weight = _taps(cells.shape[0], size, cubic)
    out: Floats = (rows[index] * weight[..., None]).sum(1, dtype=np.float32)
    return out


def _taps(cells: int, size: int, cubic: bool) -> tuple[npt.NDArray[np.int64], Floats]:
    """(size, taps) source cells and float32 weights along one axis; cells beyond the edge repeat it."""
    x = np.arange(size, dtype=np.float32) * np.float32((cells - 1) / (size - 1))
    before = np.floor(x).astype(np.int64).clip(0, cells - 1)
    t = (x - before.astype(np.float32))[:, None]
    if cubic:
        offsets = np.array([-1, 0, 1, 2])
        weight = _cubic(np.abs(t - offsets.astype(np.float32)))
    else:
        offsets = np.array([0, 1])
        weight = np.concatenate([1 - t, t], 1)
    return (before[:, None] + offsets).clip(0, cells - 1), weight.astype(np.float32)


def _cubic(d: Floats) -> Floats:
    near = ((_A + 2) * d - (_A + 3)) * d * d + 1
    far = ((_A * d - 5 * _A) * d + 8 * _A) * d - 4 * _A
    weight: Floats = np.where(d <= 1, near, np.where(d < 2, far, 0)).astype(np.float32)
    return weight
