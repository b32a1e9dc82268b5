"""Which pixels a map answers with: half of the picture, as many as the target has, or those above a threshold.

The protocols are those of the published programs, by name. The choice moves the centre disc by at most 0.24 points on
VGG-SS and 1.6 on Flickr: small, and larger than many a claimed gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..heatmap import resize_bilinear
from .interpolation import resize_aligned
from .targets import SIZE_PX
from .validate import validate_map

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
HALF = SIZE_PX * SIZE_PX // 2  # index of the upper median among the sorted pixels


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a published program turns a map into a mask, and what its test lists leave out."""

    name: str
    resize: str  # "opencv", "bilinear_aligned", "bicubic_aligned"
    strict: bool  # mask pixels lie above the threshold (else: at or above)
    fixed: float | None  # threshold on (S + 1) / 2, in place of the median
    note: str


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol("lvs", "opencv", True, None, "Flickr list of 249; constant maps mark everything, NaN marks nothing"),
        Protocol("ssl_tie", "opencv", True, None, "as lvs; its VGG-SS list has 4,911 of 5,158 clips"),
        Protocol("ez_vsl", "bilinear_aligned", False, None, "clips that lack a file leave the list silently"),
        Protocol("fnac", "bilinear_aligned", False, None, "as ez_vsl"),
        Protocol("slavc", "bicubic_aligned", False, None, "relative prediction; prints ciou > 0.5 as precision"),
        Protocol("slavc_fixed", "bicubic_aligned", False, 0.5, "its default: (S + 1) / 2 >= 0.5, so S >= 0"),
    )
}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name, or `ConfigError` with the names."""
    if name not in PROTOCOLS:
        raise ConfigError(f"protocol {name!r} is unknown; possible: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def resize_map(cells: npt.NDArray[Any], protocol: Protocol) -> Floats:
    """The map at 224 x 224, raw values."""
    m = validate_map(cells, finite=False)
    if protocol.resize == "opencv":
        return resize_bilinear(m, (SIZE_PX, SIZE_PX))
    return resize_aligned(m, SIZE_PX, cubic=protocol.resize == "bicubic_aligned")


def protocol_mask(cells: npt.NDArray[Any], protocol: str = "lvs") -> Mask:
    """The mask (224, 224) bool of a map by a named protocol, constant and NaN maps as the published code has them."""
    chosen = find_protocol(protocol)
    heat = resize_map(cells, chosen)
    if chosen.fixed is not None:
        return (heat + 1) / 2 >= chosen.fixed
    return _upper_half(heat) if chosen.strict else _half_or_more(heat)


def median_mask(cells: npt.NDArray[Any]) -> Mask:
    """The half of the picture where the map is largest, by protocol "lvs": at most 25,087 pixels true.

    Ties at the median are left out, so fewer pixels may be true; a constant map >= 0 marks every pixel (worth 21.9 %
    on VGG-SS), one < 0 none; one NaN anywhere leaves the mask empty.
    """
    return protocol_mask(cells, "lvs")


def adaptive_mask(cells: npt.NDArray[Any], target: npt.NDArray[Any], protocol: str = "lvs") -> Mask:
    """As many pixels as the target has (ALIGN's adaptive threshold). An oracle: the true size is given away.

    t = the (50,176 - area)-th smallest pixel; mask is > t. An empty target counts as half of the picture.
    """
    heat = resize_map(cells, find_protocol(protocol))
    area = int((np.asarray(target) != 0).sum()) or HALF
    threshold = np.partition(heat, SIZE_PX * SIZE_PX - area, axis=None)[SIZE_PX * SIZE_PX - area]
    mask: Mask = heat > threshold
    return mask


def fixed_mask(cells: npt.NDArray[Any], threshold: float) -> Mask:
    """Pixels whose raw similarity, resized as by "lvs", lies above `threshold`: (224, 224) bool."""
    return resize_bilinear(validate_map(cells), (SIZE_PX, SIZE_PX)) > np.float32(threshold)


def _upper_half(heat: Floats) -> Mask:
    """The released LVS lines. Every step stays in float32: rounding merges or splits ties at the median."""
    v = -heat
    low, high = v.min(), v.max()
    with np.errstate(invalid="ignore"):
        if high != low:
            v = (v - low) / (high - low)
        p = 1 - v
    p[p > np.partition(p, HALF, axis=None)[HALF]] = 1
    p[p < 1] = 0
    return p >= 0.5


def _half_or_more(heat: Floats) -> Mask:
    """EZ-VSL's lines, kept by FNAC and SLAVC: >= the median of the map scaled to 0...1."""
    low, high = heat.min(), heat.max()
    with np.errstate(invalid="ignore"):
        p = heat if high == low else (heat - low) / (high - low)
    mask: Mask = p >= np.partition(p, HALF, axis=None)[HALF]
    return mask
