"""How sure a printed figure is: percentile intervals of means over clips, drawn by whole pictures or videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError

_ROWS = 64  # resamples at a time: bounds memory


def bootstrap_means(
    columns: npt.NDArray[Any],
    clusters: Sequence[str] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Interval of each column's mean: (n, m) values, one row a clip -> low (m,), high (m,).

    `clusters` names each clip's picture or video: clips of one are drawn together, for they are not independent. Give
    `auc_by_clip` for an AUC, and the difference of two models on the same clips for their paired difference.
    """
    values = np.asarray(columns, np.float64)
    if values.ndim != 2 or len(values) == 0 or not np.isfinite(values).all():
        raise ConfigError(f"bootstrap_means: columns of shape {values.shape}; want (clips, figures), all finite")
    sums, counts = _by_cluster(values, clusters)
    rng = np.random.default_rng(seed)
    means = []
    for first in range(0, resamples, _ROWS):
        number = min(_ROWS, resamples - first)
        drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=number).astype(np.float64)
        means.append(drawn @ sums / (drawn @ counts)[:, None])
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0)
    return low, high


def _by_cluster(
    values: npt.NDArray[np.float64], clusters: Sequence[str] | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if clusters is None:
        return values, np.ones(len(values))
    if len(clusters) != len(values):
        raise ConfigError(f"bootstrap_means: {len(clusters)} clusters for {len(values)} clips")
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, index, values)
    return sums, np.bincount(index, minlength=len(names)).astype(np.float64)
