"""Several sources in one picture: each sound must be found, or the picture fails (ALIGN's interactive scores)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .ciou import auc, ciou_success
from .validate import validate_cious, validate_lengths


def picture_of(name: str) -> str:
    """The picture that an item of IS3, VPO or ALIGN's lists belongs to: the file name up to the last `_`.

    >>> picture_of("accordion_dog_12_dog.jpg")
    'accordion_dog_12'
    """
    stem = name.rpartition("/")[2].rpartition(".")[0] or name.rpartition("/")[2]
    return stem.rpartition("_")[0] or stem


def worst_of_pictures(cious: Sequence[float] | npt.NDArray[Any], pictures: Sequence[str]) -> npt.NDArray[np.float64]:
    """The smallest ciou of each picture, in order of first appearance; a NaN makes its picture 0."""
    values = np.nan_to_num(validate_cious(cious), nan=0.0)
    validate_lengths(cious=values, pictures=pictures)
    worst: dict[str, float] = {}
    for picture, value in zip(pictures, values, strict=True):
        worst[picture] = min(worst.get(picture, 1.0), float(value))
    return np.array(list(worst.values()))


def iiou(cious: Sequence[float] | npt.NDArray[Any], pictures: Sequence[str], threshold: float = 0.5) -> float:
    """Share of pictures in which every sound's ciou reaches `threshold`. A centre disc gets 6.9 % on IS3.

    >>> iiou([0.9, 0.6, 0.9, 0.1], ["a", "a", "b", "b"])
    0.5
    """
    return ciou_success(worst_of_pictures(cious, pictures), threshold)


def iauc(cious: Sequence[float] | npt.NDArray[Any], pictures: Sequence[str]) -> float:
    """Area under `iiou` over thresholds 0, 0.05 ... 1 (trapezoid)."""
    return auc(worst_of_pictures(cious, pictures))
