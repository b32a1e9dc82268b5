"""From the similarity map's cells to the frame's pixels: heat map, peak, boxes, mask.

Two geometries. The released evaluator stretches the map over the frame, as if cell k were centred on input pixel
16 k + 8: `resize_bilinear` and `argmax_px` do that, bit for bit, for scores that must equal its own. But a ResNet's
cell k looks at input pixel 16 k: every strided layer pads symmetrically by (kernel - 1) / 2, so output k of each is
centred on input 2 k. Stretching therefore moves all that the network found by 7.5 of 224 pixels to the right and down:
`heatmap`, `peak_px`, `boxes_px` and `mask`, which tell a person or a robot where, put each cell where it looks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError

if TYPE_CHECKING:
    from .results import Box

MAX_BOXES = 8
CELL_SHIFT = (8 - 0.5) / 16  # cells by which the stretched geometry lies to the right of and below the true one
SCALINGS = ("raw", "minmax")


def resize_bilinear(cells: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(n, m) -> (height, width) float32 for `size` = (width, height), equal bit for bit to OpenCV's INTER_LINEAR.

    OpenCV interpolates with fused multiply-add: one product and one sum, rounded once, which float64 emulates. The
    last bit matters to the evaluator, whose threshold is a value of the resized map. Rows come before columns.
    """
    return _resize(cells, size, 0.0)


def heatmap(cells: npt.NDArray[Any], size: tuple[int, int], scaling: str = "raw") -> npt.NDArray[np.float32]:
    """The map drawn over a frame of `size` = (width, height), cells where they look: (height, width) float32.

    Bilinear between the cells' centres, held beyond the last ones. `scaling` "raw" keeps cosines; "minmax" stretches
    the resized map to 0...1 (a constant map becomes 0).
    """
    if scaling not in SCALINGS:
        raise ConfigError(f"heatmap: scaling {scaling!r} is unknown; possible: {', '.join(SCALINGS)}")
    heat = _resize(cells, size, CELL_SHIFT)
    if scaling == "raw":
        return heat
    low, high = heat.min(), heat.max()
    return (heat - low) / (high - low) if high > low else np.zeros_like(heat)


def peak_px(cells: npt.NDArray[Any], size: tuple[int, int]) -> tuple[int, int]:
    """(x, y): where in a frame of `size` = (width, height) the strongest cell looks, refined within the cell.

    The top of a parabola through the cell and its two neighbours, along each axis, at most half a cell away; a cell at
    the border is not refined along that axis. Of equal cells the first counts.
    """
    m, (width, height) = _checked(cells), _size(size)
    row, col = (int(v) for v in np.unravel_index(int(m.argmax()), m.shape))
    x = (col + _parabola(m[row], col) + 0.5 - CELL_SHIFT) * width / m.shape[1]
    y = (row + _parabola(m[:, col], row) + 0.5 - CELL_SHIFT) * height / m.shape[0]
    return min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1)


def argmax_px(cells: npt.NDArray[Any], size: tuple[int, int]) -> tuple[int, int]:
    """(x, y) of the largest pixel of `resize_bilinear`, the first of equals, without resizing: for scores.

    Between two cell centres the interpolation is monotone along each axis, so only the first and the last pixel of
    each such stretch can be the largest: at most 28 x 28 pixels of a 14 x 14 map are looked at.
    """
    m, (width, height) = _checked(cells), _size(size)
    columns, rows = _stretch_ends(m.shape[1], width), _stretch_ends(m.shape[0], height)
    i, j, weight = _axis(m.shape[1], width)
    across = _lerp(m[:, i[columns]], m[:, j[columns]], weight[columns])
    i, j, weight = _axis(m.shape[0], height)
    candidates = _lerp(across[i[rows]], across[j[rows]], weight[rows, None])
    row, column = np.unravel_index(int(candidates.argmax()), candidates.shape)
    return int(columns[column]), int(rows[row])


def mask(cells: npt.NDArray[Any], size: tuple[int, int], threshold: float) -> npt.NDArray[np.bool_]:
    """Pixels of the raw heat map at or above `threshold`: (height, width) bool for `size` = (width, height)."""
    return _resize(cells, size, CELL_SHIFT) >= threshold


def boxes_px(cells: npt.NDArray[Any], size: tuple[int, int], threshold: float) -> tuple[Box, ...]:
    """Rectangles (x0, y0, x1, y1), x1 and y1 exclusive, around touching cells (8 neighbours) >= `threshold`.

    Strongest peak first, at most `MAX_BOXES`; each covers its cells wholly and at least one pixel.
    """
    m, (width, height) = _checked(cells), _size(size)
    found: list[tuple[float, Box]] = []
    for component in _components(m >= threshold):
        rows, columns = component[:, 0], component[:, 1]
        x0, x1 = _span(int(columns.min()), int(columns.max()), m.shape[1], width)
        y0, y1 = _span(int(rows.min()), int(rows.max()), m.shape[0], height)
        found.append((float(m[rows, columns].max()), (x0, y0, x1, y1)))
    found.sort(key=lambda item: -item[0])
    return tuple(box for _, box in found[:MAX_BOXES])


def _parabola(values: npt.NDArray[np.float32], at: int) -> float:
    """Offset in [-0.5, 0.5] of the top of the parabola through values[at - 1 : at + 2]; 0 at a border or when flat."""
    if not 0 < at < len(values) - 1:
        return 0.0
    left, middle, right = (float(v) for v in values[at - 1 : at + 2])
    bend = left - 2 * middle + right
    return min(max((left - right) / (2 * bend), -0.5), 0.5) if bend < -1e-9 else 0.0


def _components(above: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]]:
    """Connected components, 8 neighbours: one (k, 2) array of (row, col) each, in order of their first cell."""
    waiting = {(int(r), int(c)) for r, c in zip(*np.nonzero(above), strict=True)}
    components = []
    for start in sorted(waiting):
        if start not in waiting:
            continue
        waiting.discard(start)
        cells, position = [start], 0
        while position < len(cells):
            row, col = cells[position]
            position += 1
            near = {(row + dr, col + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)} & waiting
            waiting -= near
            cells.extend(sorted(near))
        components.append(np.array(cells, np.int64))
    return components


def _span(first: int, last: int, cells: int, pixels: int) -> tuple[int, int]:
    """Pixels that cells first...last look at, end exclusive, never empty; border cells reach to the border."""
    low = 0 if first == 0 else math.floor((first - CELL_SHIFT) * pixels / cells)
    high = pixels if last == cells - 1 else math.ceil((last + 1 - CELL_SHIFT) * pixels / cells)
    return min(low, pixels - 1), high


def _resize(cells: npt.NDArray[Any], size: tuple[int, int], shift: float) -> npt.NDArray[np.float32]:
    m, (width, height) = _checked(cells), _size(size)
    i, j, weight = _axis(m.shape[1], width, shift)
    rows = _lerp(m[:, i], m[:, j], weight)
    i, j, weight = _axis(m.shape[0], height, shift)
    return _lerp(rows[i], rows[j], weight[:, None])


def _axis(
    cells: int, pixels: int, shift: float = 0.0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each pixel: the cell before its centre, the cell after, and the weight of the latter."""
    x = (np.arange(pixels) + 0.5) * (cells / pixels) - 0.5 + shift
    before = np.clip(np.floor(x).astype(np.int64), 0, cells - 1)
    after = np.minimum(before + 1, cells - 1)
    weight = np.where((x < 0) | (before >= cells - 1), 0.0, x - before).astype(np.float32)
    return before, after, weight


def _stretch_ends(cells: int, pixels: int) -> npt.NDArray[np.int64]:
    """First and last pixel of each stretch between two cell centres, ascending."""
    before, _, _ = _axis(cells, pixels)
    change = np.diff(before) != 0
    ends: npt.NDArray[np.int64] = np.flatnonzero(np.r_[True, change] | np.r_[change, True])
    return ends


def _lerp(
    a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    return ((b - a).astype(np.float64) * weight + a).astype(np.float32)


def _checked(cells: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    m = np.asarray(cells, np.float32)
    if m.ndim != 2 or m.size == 0:
        raise ConfigError(f"similarity map has shape {m.shape}; want (rows, columns), e.g. (14, 14)")
    return m


def _size(size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    if width < 1 or height < 1:
        raise ConfigError(f"size {size}: width and height must be at least 1 pixel")
    return int(width), int(height)
