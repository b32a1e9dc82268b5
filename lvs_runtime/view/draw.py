"""Drawing on a BGR uint8 picture with numpy alone: every function changes `image` in place and clips at its edges."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .text import Font, coverage

Image = npt.NDArray[np.uint8]
Color = tuple[int, int, int]  # B, G, R
_MARGIN_PX = 2  # of a line of text, left and right


def blend_mask(image: Image, mask: npt.NDArray[np.uint8], x: int, y: int, color: Color, opacity: float = 1.0) -> None:
    """Lay `color` over `image` where `mask` (h, w), 0...255, is set; its upper left corner at (x, y)."""
    height, width = image.shape[:2]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], width), min(y + mask.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = image[y0:y1, x0:x1]
    alpha = (mask[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32) * (opacity / 255))[..., None]
    part[:] = (part * (1 - alpha) + np.array(color, np.float32) * alpha + 0.5).astype(np.uint8)


def fill(image: Image, box: tuple[int, int, int, int], color: Color, opacity: float = 1.0) -> None:
    """Fill x0, y0, x1, y1 (exclusive)."""
    x0, y0, x1, y1 = (max(0, value) for value in box)
    part = image[y0:y1, x0:x1]
    if not part.size:
        return
    if opacity >= 1:
        part[:] = color
    else:
        part[:] = (part * np.float32(1 - opacity) + np.array(color, np.float32) * np.float32(opacity)).astype(np.uint8)


def text(image: Image, line: str, x: int, y: int, font: Font, color: Color = (255, 255, 255)) -> None:
    """One line of text, its upper left corner at (x, y)."""
    blend_mask(image, coverage(line, font), x - _MARGIN_PX, y, color)


@lru_cache(maxsize=64)
def disc(radius: float, inner: float = 0.0) -> npt.NDArray[np.uint8]:
    """Mask of a disc (a ring with `inner` > 0), smooth edges, odd size, centre in the middle."""
    half = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    d = np.hypot(x, y)
    cover = np.clip(radius + 0.5 - d, 0, 1)
    if inner > 0:
        cover *= np.clip(d - inner + 0.5, 0, 1)
    mask: npt.NDArray[np.uint8] = np.round(255 * cover).astype(np.uint8)
    return mask


@lru_cache(maxsize=64)
def pill(width: int, height: int, radius: int) -> npt.NDArray[np.uint8]:
    """Mask of a rectangle with round corners, smooth edges."""
    x = np.arange(width) + 0.5
    y = np.arange(height) + 0.5
    dx = np.maximum(np.maximum(radius - x, x - (width - radius)), 0)
    dy = np.maximum(np.maximum(radius - y, y - (height - radius)), 0)
    d = np.hypot(dx[None, :], dy[:, None])
    mask: npt.NDArray[np.uint8] = np.round(255 * np.clip(radius + 0.5 - d, 0, 1)).astype(np.uint8)
    return mask


def spot(
    image: Image, centre: tuple[int, int], radius: float, color: Color, inner: float = 0, opacity: float = 1
) -> None:
    """A disc or ring around `centre` (x, y)."""
    mask = disc(radius, inner)
    half = mask.shape[0] // 2
    blend_mask(image, mask, centre[0] - half, centre[1] - half, color, opacity)


def frame_corners(image: Image, box: tuple[int, int, int, int], thick: int, color: Color) -> None:
    """The four corners of a box x0, y0, x1, y1 (exclusive), with a dark edge so that they show on any ground."""
    x0, y0, x1, y1 = box
    arm = max(2 * thick, min(x1 - x0, y1 - y0) // 4)
    for grow, paint, opacity in ((1, (0, 0, 0), 0.7), (0, color, 1.0)):
        for left, right in ((x0, min(x0 + arm, x1)), (max(x1 - arm, x0), x1)):
            for top in (y0, y1 - thick):
                fill(image, (left - grow, top - grow, right + grow, top + thick + grow), paint, opacity)
        for upper, lower in ((y0, min(y0 + arm, y1)), (max(y1 - arm, y0), y1)):
            for left in (x0, x1 - thick):
                fill(image, (left - grow, upper - grow, left + thick + grow, lower + grow), paint, opacity)
