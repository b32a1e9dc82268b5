"""One colour scale for the heat map, used by every picture this package makes (mp4, window, snapshots, page)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

# Violet to pale yellow: lightness rises evenly with the value, and the order survives colour-blindness and grey print.
_ANCHORS_RGB = (
    (46, 16, 101),
    (84, 18, 125),
    (124, 29, 109),
    (164, 44, 96),
    (203, 65, 73),
    (232, 98, 39),
    (247, 140, 10),
    (250, 186, 32),
    (246, 226, 96),
    (252, 252, 180),
)


@lru_cache(maxsize=1)
def heat_colors_rgb() -> npt.NDArray[np.uint8]:
    """The scale, (256, 3) RGB, cold first."""
    anchors = np.array(_ANCHORS_RGB, np.float64)
    at = np.linspace(0, 255, len(anchors))
    scale = np.stack([np.interp(np.arange(256), at, anchors[:, k]) for k in range(3)], axis=1)
    table: npt.NDArray[np.uint8] = np.round(scale).astype(np.uint8)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=1)
def heat_alpha() -> npt.NDArray[np.float32]:
    """Opacity for each step of the scale, (256,) in [0, 0.64]: cold areas stay clear, hot ones keep some picture."""
    x = np.arange(256, dtype=np.float32) / 255
    rise = np.clip(x / 0.75, 0, 1)
    alpha: npt.NDArray[np.float32] = (0.64 * rise * rise * (3 - 2 * rise)).astype(np.float32)
    alpha.flags.writeable = False
    return alpha
