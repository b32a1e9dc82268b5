"""Who belongs to whom: pairs of rows and columns with the least total cost (Hungarian method, potentials, O(n^3))."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def assign(cost: npt.ArrayLike) -> list[tuple[int, int]]:
    """Pairs (row, column) of a cost matrix (n, m); an infinite cost forbids a pair. As many pairs as can be.

    Among those the cheapest together. Costs must not be negative or NaN.
    """
    given = np.asarray(cost, float)
    if given.size == 0:
        return []
    if given.ndim != 2 or not (given >= 0).all():
        raise ValueError(f"assign: cost of shape {given.shape}; want (n, m) without negative values or NaN")
    finite = np.isfinite(given)
    # Dearer than any sum of allowed pairs: forbidden ones are taken only where nothing else is left, then removed.
    forbidden = 1.0 + float(given[finite].sum())
    square = np.where(finite, given, forbidden)
    turned = given.shape[0] > given.shape[1]
    pairs = _hungarian(square.T if turned else square)
    pairs = [(column, row) for row, column in pairs] if turned else pairs
    return sorted((row, column) for row, column in pairs if finite[row, column])


def _hungarian(cost: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Every row of (n, m), n <= m, to a column of its own: shortest augmenting paths, one for each row."""
    n, m = cost.shape
    u, v = np.zeros(n + 1), np.zeros(m + 1)
    row_of, way = np.zeros(m + 1, int), np.zeros(m + 1, int)  # column 0 is where a path starts
    for row in range(1, n + 1):
        row_of[0], column = row, 0
        least, used = np.full(m + 1, np.inf), np.zeros(m + 1, bool)
        while row_of[column] != 0:
            used[column] = True
            slack = cost[row_of[column] - 1] - u[row_of[column]] - v[1:]
            better = ~used[1:] & (slack < least[1:])
            least[1:][better], way[1:][better] = slack[better], column
            nearest = int(np.where(used, np.inf, least)[1:].argmin()) + 1
            delta = least[nearest]
            u[row_of[used]] += delta
            v[used] -= delta
            least[~used] -= delta
            column = nearest
        while column:
            row_of[column], column = row_of[way[column]], int(way[column])
    return [(int(row_of[column]) - 1, column - 1) for column in range(1, m + 1) if row_of[column]]
