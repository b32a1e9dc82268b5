"""A picture that nobody can take for a new one: grey, dark, with the reason on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .draw import blend_mask, pill, text
from .overlay import to_drawing_size
from .text import font_for


def stale_picture(image_bgr: npt.NDArray[np.uint8], reason: str) -> npt.NDArray[np.uint8]:
    """`image_bgr` (H, W, 3) without colour, half as bright, `reason` in its middle; at the size that is drawn on."""
    out, _ = to_drawing_size(image_bgr)
    out[:] = (out.mean(axis=2, keepdims=True) * 0.5).astype(np.uint8)
    height, width = out.shape[:2]
    font = font_for(max(12.0, 16 * max(width / 640, height / 480)))
    pad = font.height_px // 2
    box_w, box_h = min(width, font.width_px(reason) + 2 * pad), font.height_px + pad
    left, top = (width - box_w) // 2, (height - box_h) // 2
    blend_mask(out, pill(box_w, box_h, box_h // 3), left, top, (18, 16, 14), 0.8)
    text(out, reason, left + pad, top + pad // 2, font)
    return out
