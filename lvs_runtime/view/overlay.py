"""The annotated picture: heat where the sound is seen, boxes, peak, and a strip that says what is heard.

Stateless but for one thing: the heat fades in and out over `FADE_MS` of capture time, so that it does not flicker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..results import Result
from .colors import heat_alpha, heat_colors_rgb
from .draw import Color, Image, blend_mask, fill, frame_corners, pill, spot, text
from .heat import heat, heat_stops, heat_strength, smooth, state_of
from .text import font_for

FADE_MS = 160.0
MIN_WIDTH_PX = 240  # smaller pictures are enlarged by whole factors, so that the text fits
MAX_WIDTH_PX = 1920  # larger ones are reduced by whole factors
FLOOR_DBFS = -70.0  # left end of the level bar

_CAPTIONS = {"silent": "silent", "unseen": "heard, not in view", "seen": "heard, in view"}
_STATE_BGR: dict[str, Color] = {"silent": (150, 150, 150), "unseen": (60, 170, 250), "seen": (120, 220, 90)}
_WHITE: Color = (255, 255, 255)
_PALE: Color = (215, 215, 215)


def to_drawing_size(image: Image, max_width_px: int = MAX_WIDTH_PX) -> tuple[Image, float]:
    """A copy enlarged or reduced by a whole factor to a size worth drawing on, and that factor (2.0, 1.0, 0.5...)."""
    height, width = image.shape[:2]
    reduce = max(math.ceil(width / max_width_px), math.ceil(height / max_width_px))
    if reduce > 1:
        return image[reduce // 2 :: reduce, reduce // 2 :: reduce].copy(), 1 / reduce
    enlarge = max(math.ceil(MIN_WIDTH_PX / width), math.ceil(MIN_WIDTH_PX * 0.6 / height))
    return (image.repeat(enlarge, 0).repeat(enlarge, 1), float(enlarge)) if enlarge > 1 else (image.copy(), 1.0)


@dataclass(slots=True)
class Overlay:
    """Draws results on frames of one stream. Heat colours are scaled by each result's `box_threshold`."""

    opacity: float = 1.0
    _strength: float = field(default=0.0, init=False)
    _last_ns: int | None = field(default=None, init=False)

    def draw(self, image_bgr: Image, result: Result, clock: str = "") -> Image:
        """A new annotated picture (H, W, 3) BGR; `image_bgr` is left as it is. `clock` is shown in the corner.

        Very small and very large pictures come back enlarged or reduced (`to_drawing_size`).
        """
        out, factor = to_drawing_size(image_bgr)
        strength = self._fade(heat_strength(result), result.capture_ns) * self.opacity
        if strength > 0.01:
            blend_heat(out, heat(result.similarity_map, heat_stops(result.box_threshold)), strength)
        scale = max(out.shape[1] / 640, out.shape[0] / 480)
        self._marks(out, result, factor, scale)
        _strip(out, result, scale)
        if clock:
            _clock(out, clock, scale)
        return out

    def _fade(self, wanted: float, now_ns: int) -> float:
        first = self._last_ns is None
        passed_ms = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / 1e6
        self._last_ns = now_ns
        if first or not 0 <= passed_ms < 1000:
            self._strength = wanted
        else:
            self._strength += (wanted - self._strength) * (1 - math.exp(-passed_ms / (FADE_MS / 3)))
        return self._strength

    @staticmethod
    def _marks(image: Image, result: Result, factor: float, scale: float) -> None:
        if state_of(result) != "seen":
            return
        thick = max(2, round(2 * scale))
        for box in result.boxes_px:
            x0, y0, x1, y1 = (round(value * factor) for value in box)
            frame_corners(image, (x0, y0, x1, y1), thick, _WHITE)
        x, y = (int((value + 0.5) * factor) for value in result.peak_px)
        radius = max(5.0, 8 * scale)
        spot(image, (x, y), radius + 1.5, (0, 0, 0), inner=radius - 3.5, opacity=0.7)
        spot(image, (x, y), radius, _WHITE, inner=radius - 2)
        spot(image, (x, y), max(1.5, 1.8 * scale), _WHITE)


def blend_heat(image: Image, cells: npt.NDArray[np.float32], strength: float) -> None:
    """Lay the heat of the cells (rows, columns), in [0, 1], over the picture, in place."""
    height, width = image.shape[:2]
    values = np.round(255 * smooth(cells, (width, height))).astype(np.uint8)
    rows = np.flatnonzero(values.any(axis=1))
    if not rows.size:
        return
    columns = np.flatnonzero(values.any(axis=0))
    area = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alpha = heat_alpha() * strength
    keep = np.round(256 * (1 - alpha)).astype(np.uint16)
    paint = np.round(heat_colors_rgb()[:, ::-1] * (256 * alpha)[:, None]).astype(np.uint16)
    step = values[area]
    part = image[area]
    mixed = part * keep[step][..., None]
    mixed += paint[step]
    mixed >>= 8
    part[:] = mixed


def level_fraction(level_dbfs: float) -> float:
    """Length of the level bar, in [0, 1]: `FLOOR_DBFS` to 0 dBFS."""
    return min(max((level_dbfs - FLOOR_DBFS) / -FLOOR_DBFS, 0.0), 1.0)


def _strip(image: Image, result: Result, scale: float) -> None:
    """State and confidence on the left, level bar on the right, on a dark strip at the bottom."""
    height, width = image.shape[:2]
    font = font_for(max(12.0, 15 * scale))
    pad = max(5, round(8 * scale))
    top = height - font.height_px - pad
    fill(image, (0, top, width, height), (18, 16, 14), 0.62)
    middle = (top + height) // 2
    state = state_of(result)
    dot = max(3.5, 4.5 * scale)
    spot(image, (pad + round(dot), middle), dot, _STATE_BGR[state])
    line = f"{_CAPTIONS[state]} \u00b7 {result.confidence:.2f}" if state == "seen" else _CAPTIONS[state]
    left = pad + round(2 * dot) + pad
    text(image, line, left, middle - font.height_px // 2, font, _WHITE if state != "silent" else _PALE)
    _level(image, result.level_dbfs, left + font.width_px(line) + 2 * pad, middle, scale, state)


def _level(image: Image, level_dbfs: float, free_from: int, middle: int, scale: float, state: str) -> None:
    width = image.shape[1]
    pad = max(5, round(8 * scale))
    font = font_for(max(12.0, 13 * scale))
    label = f"{level_dbfs:.0f} dB" if level_dbfs > -100 else "no sound"
    label = label.replace("-", "\u2212")
    room = font.width_px("\u221288 dB" if level_dbfs > -100 else label)
    label_left = width - pad - room
    bar_length = min(round(110 * scale), label_left - pad - free_from)
    if bar_length < 24:
        return
    thick = max(4, round(5 * scale))
    left, top = label_left - pad - bar_length, middle - thick // 2
    blend_mask(image, pill(bar_length, thick, thick // 2), left, top, (110, 106, 102), 0.8)
    filled = round(bar_length * level_fraction(level_dbfs))
    if filled >= thick:
        blend_mask(image, pill(filled, thick, thick // 2), left, top, _STATE_BGR[state])
    text(image, label, width - pad - font.width_px(label), middle - font.height_px // 2, font, _PALE)


def _clock(image: Image, clock: str, scale: float) -> None:
    font = font_for(max(12.0, 13 * scale))
    pad = max(4, round(6 * scale))
    width, height = font.width_px(clock) + 2 * pad, font.height_px + pad // 2
    left = image.shape[1] - width - pad
    blend_mask(image, pill(width, height, height // 2), left, pad, (18, 16, 14), 0.55)
    text(image, clock, left + pad, pad + pad // 4, font, _PALE)
