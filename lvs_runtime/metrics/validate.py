"""Checks that every metric makes first; each message names the mistake that usually causes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError


def validate_map(cells: npt.NDArray[Any], finite: bool = True) -> npt.NDArray[np.float32]:
    """The map of one clip as (n, m) float32, at least 2 x 2. `finite` False lets NaN through."""
    m = np.asarray(cells, np.float32)
    if m.ndim != 2 or min(m.shape) < 2:
        hint = "; take one clip of the batch" if m.ndim > 2 else ""
        raise ConfigError(f"map has shape {m.shape}; want cells of one clip, e.g. (14, 14){hint}")
    if finite and not np.isfinite(m).all():
        raise ConfigError(f"map has {int((~np.isfinite(m)).sum())} cells that are NaN or infinite")
    return m


def validate_varied(cells: npt.NDArray[np.float32]) -> None:
    """Raise when the map is constant: it points nowhere, yet the released code scores it as the whole picture."""
    if cells.min() == cells.max():
        raise ConfigError(
            f"map is {cells.flat[0]:g} everywhere: it points nowhere (dead model, zero embedding?); "
            f'protocol="lvs" scores it as the released code does'
        )


def validate_target(target: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The target as float64 weights of `shape` in [0, 1]."""
    weights = np.asarray(target, np.float64)
    if weights.shape != shape:
        raise ConfigError(f"target has shape {weights.shape}; want {shape}: draw the boxes at this size")
    if weights.size and not (weights.min() >= 0 and weights.max() <= 1):
        raise ConfigError(f"target runs from {weights.min():g} to {weights.max():g}; want [0, 1]: divide 8 bits by 255")
    return weights


def validate_mask(mask: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """The mask as it is when it is bool."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise ConfigError(f"ciou: mask is {array.dtype}; want bool: did you hand over the map itself?")
    return array


def validate_cious(cious: Sequence[float] | npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """One ciou a clip, in [0, 1]; NaN (nothing marked, nothing wanted) is allowed and counts as failure."""
    values = np.asarray(cious, np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ConfigError(f"cious have shape {values.shape}; want one value for each clip, at least one")
    if (values < 0).any() or (values > 1).any():
        raise ConfigError(f"cious run from {np.nanmin(values):g} to {np.nanmax(values):g}; want [0, 1], not percent")
    return values


def validate_finite(values: Sequence[float] | npt.NDArray[Any], what: str) -> npt.NDArray[np.float64]:
    """One finite number a clip."""
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ConfigError(f"{what} have shape {array.shape}; want one value for each clip, at least one")
    if not np.isfinite(array).all():
        raise ConfigError(f"{what}: {int((~np.isfinite(array)).sum())} of {len(array)} are NaN or infinite")
    return array


def validate_lengths(**columns: Sequence[Any] | npt.NDArray[Any]) -> None:
    """Raise when lists that speak of the same clips differ in length."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"lists of different length: {lengths}; want one value for each clip in each of them")
