"""From a captured frame to the network's picture, and from pixels to cells and back.

The frame is squashed to 224 x 224, never cropped: a sound at the frame's edge must stay findable. Each axis by
itself: a longer one is averaged by area (aliasing costs the network far more than the choice of kernel), a shorter
one interpolated. OpenCV does it where it is installed, else PyAV's swscale where it shrinks, else numpy: equal within
one level of 255.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import ConfigError
from .spec import ImageSpec


def to_network(image_bgr: npt.NDArray[np.uint8], spec: ImageSpec | None = None) -> npt.NDArray[np.uint8]:
    """Frame (H, W, 3) uint8 BGR -> (1, size, size, 3) uint8 RGB, contiguous.

    Raises `ConfigError` with the repair for another dtype, a grey or four-channel picture, or an empty one.
    """
    size = (spec or ImageSpec()).size_px
    image = check_frame(image_bgr)
    if _opencv() is not None:
        small = _resize_opencv(image, size)
    elif min(image.shape[:2]) >= size and _av() is not None:
        small = _shrink_swscale(image, size)
    else:
        small = resize_numpy(image, size)
    return np.ascontiguousarray(small[None, :, :, ::-1])


def check_frame(image_bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The frame itself when it is (H, W, 3) uint8 with at least one pixel, else `ConfigError` with the repair."""
    image = np.asarray(image_bgr)
    if image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 4)):
        kind, code = ("BGRA", "BGRA2BGR") if image.shape[-1] == 4 and image.ndim == 3 else ("grey", "GRAY2BGR")
        repair = f"cv2.cvtColor(picture, cv2.COLOR_{code})"
        raise ConfigError(f"picture has shape {image.shape} ({kind}?); want (H, W, 3) BGR: {repair}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ConfigError(f"picture has shape {image.shape}; want (H, W, 3), colours in the order blue, green, red")
    if image.dtype != np.uint8:
        raise ConfigError(f"picture is {image.dtype}; want uint8: for floats in 0...1, (picture * 255).astype('uint8')")
    if image.size == 0:
        raise ConfigError(f"picture has shape {image.shape}: it is empty; did the camera or file deliver a frame?")
    return image


def resize_numpy(image: npt.NDArray[np.uint8], size_px: int) -> npt.NDArray[np.uint8]:
    """(H, W, C) uint8 -> (size_px, size_px, C) uint8 as in the module's text, without OpenCV."""
    height, width, channels = image.shape
    rows = _resample(image.reshape(height, width * channels), size_px)
    turned = rows.reshape(size_px, width, channels).swapaxes(0, 1).reshape(width, size_px * channels)
    both = _resample(turned, size_px).reshape(size_px, size_px, channels).swapaxes(0, 1)
    return np.rint(both).clip(0, 255).astype(np.uint8)


@cache
def _opencv() -> ModuleType | None:
    """OpenCV where it is installed. Both ways give the same picture within one level, so this is no fallback."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2


def _resize_opencv(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    cv2: Any = _opencv()
    height, width, _ = image.shape
    shrunk = (min(width, size), min(height, size))
    if shrunk != (width, height):
        image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (size, size):
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image


@cache
def _av() -> ModuleType | None:
    """PyAV where it is installed: 640 x 480 in 0.7 ms where numpy needs 16 to 26."""
    try:
        import av
    except ImportError:
        return None
    return av


def _shrink_swscale(image: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    # Each colour as a grey picture: swscale takes a detour through YUV for colour ones and is off by up to 9 levels.
    av: Any = _av()
    small = np.empty((size, size, image.shape[2]), np.uint8)
    for channel in range(image.shape[2]):
        plane = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[..., channel]), format="gray")
        small[..., channel] = plane.reformat(size, size, interpolation="AREA").to_ndarray()
    return small


def _resample(rows: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    """(n, m) -> (size, m) float32 along the first axis: by area when n > size, else linear."""
    n = len(rows)
    if n <= size:
        x = ((np.arange(size) + 0.5) * (n / size) - 0.5).clip(0, n - 1)
        before = np.floor(x).astype(np.int64)
        weight = (x - before).astype(np.float32)[:, None]
        linear: npt.NDArray[np.float32] = rows[before] * (1 - weight) + rows[np.minimum(before + 1, n - 1)] * weight
        return linear
    out = np.empty((size, rows.shape[1]), np.float32)
    edges = np.arange(size + 1) * (n / size)
    for k in range(size):
        first, last = int(edges[k]), min(int(np.ceil(edges[k + 1] - 1e-9)), n)
        index = np.arange(first, last)
        weight = np.minimum(index + 1, edges[k + 1]) - np.maximum(index, edges[k])
        np.matmul((weight / weight.sum()).astype(np.float32), rows[first:last].astype(np.float32), out=out[k])
    return out
