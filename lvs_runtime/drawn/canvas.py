"""Anti-aliased drawing with signed distances: a patch of picture on which one object is painted, part by part.

A distance field is an array (H, W) float32: negative inside a shape, positive outside, in object units. An object is
drawn about the origin within [-1, 1] on both axes, x to the right and y down; the patch reaches a little further so
that a turned object and its shadow still fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
Point = tuple[float, float]
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 (x1, y1 exclusive)

REACH = 1.34  # half side of a patch, in object units


def _ruler(first_px: int, count: int, origin_px: float, unit_px: float) -> Field:
    """Places of `count` pixel centres from `first_px` on, measured from `origin_px` in units of `unit_px`."""
    return np.asarray((np.arange(first_px, first_px + count) + 0.5 - origin_px) / unit_px, np.float32)


def length(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Field:
    """Length of the vectors (x, y); several times faster than `np.hypot`, which guards against overflow."""
    return np.asarray(np.sqrt(x * x + y * y), np.float32)


class Canvas:
    """A patch for one object of half height `scale_px`, squeezed sideways by `aspect` and turned by `angle` (rad).

    `centre_px` is where the object's origin comes to lie in the picture; its fraction of a pixel is honoured, so slow
    movement is smooth. Attributes `x`, `y` (H, W) are each pixel's place in object units. `rgb` (3, H, W) is
    premultiplied by `alpha` (H, W), both in [0, 1]; `outside` is the distance to everything painted so far.
    """

    def __init__(
        self,
        centre_px: tuple[float, float],
        scale_px: float,
        *,
        aspect: float = 1.0,
        angle: float = 0.0,
        mirror: bool = False,
    ) -> None:
        wide_px = scale_px / aspect
        half_h, half_w = int(np.ceil(scale_px * REACH)), int(np.ceil(wide_px * REACH))
        self.left, self.top = int(np.floor(centre_px[0])) - half_w, int(np.floor(centre_px[1])) - half_h
        across = _ruler(self.left, 2 * half_w, centre_px[0], wide_px)[None, :]
        down = _ruler(self.top, 2 * half_h, centre_px[1], scale_px)[:, None]
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        self.x: Field = across * cos + down * sin
        self.y: Field = down * cos - across * sin
        if mirror:
            np.negative(self.x, out=self.x)
        self.sharp = np.float32(scale_px / np.sqrt(aspect))
        shape = self.x.shape
        self.rgb: Field = np.zeros((3, *shape), np.float32)
        self.alpha: Field = np.zeros(shape, np.float32)
        self.outside: Field = np.full(shape, 9.0, np.float32)
        self.light: Field = np.asarray(1.06 - 0.16 * (0.6 * across + down), np.float32)  # from the upper left

    def fill(self, field: Field, colour: Colour, opacity: float = 1.0, *, glow: float = 0.0, lit: bool = True) -> None:
        """Paint a part of the object where `field` < 0. `glow` > 0 softens the edge to that width (object units)."""
        np.minimum(self.outside, field, out=self.outside)
        self.mark(field, colour, opacity, glow=glow, lit=lit)

    def mark(self, field: Field, colour: Colour, opacity: float = 1.0, *, glow: float = 0.0, lit: bool = True) -> None:
        """Paint a detail: as `fill`, but the object's outline, shadow and box take no notice of it."""
        cover = 0.5 - field * (self.sharp if glow <= 0 else np.float32(1.0 / glow))
        np.clip(cover, 0.0, 1.0, out=cover)
        if opacity < 1.0:
            cover *= np.float32(opacity)
        touched = cover > 0
        rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
        if rows.size == 0:
            return
        part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        cover = cover[part]
        ink = np.asarray(colour, np.float32)[:, None, None] * (self.light[part] if lit else np.float32(1.0))
        rgb = self.rgb[:, part[0], part[1]]
        rgb += cover * (ink - rgb)
        alpha = self.alpha[part]
        alpha += cover * (1.0 - alpha)

    def finish(self, outline: float, outline_colour: Colour, shadow: float) -> None:
        """Put an outline of width `outline` (object units) and a soft drop shadow (opacity) under what was painted."""
        if outline > 0:
            rim = np.clip(0.5 - (self.outside - np.float32(outline)) * self.sharp, 0.0, 1.0) * (1.0 - self.alpha)
            self.rgb += rim * np.asarray(outline_colour, np.float32)[:, None, None]
            self.alpha += rim
        if shadow > 0:
            by_px = max(1, round(float(self.sharp) * 0.07))
            soft = np.clip(0.62 - self.outside[:-by_px] * 4.5, 0.0, 1.0) * np.float32(shadow)
            under = self.alpha[by_px:]
            under += soft * (1.0 - under)

    def box(self, width: int, height: int) -> Box:
        """The smallest box round what was painted (outline and shadow out), clipped to a picture of that size, px."""
        solid = self.outside < 0.0
        columns = np.flatnonzero(solid.any(axis=0)) + self.left
        rows = np.flatnonzero(solid.any(axis=1)) + self.top
        x0, x1 = np.clip([columns[0], columns[-1] + 1], 0, width)
        y0, y1 = np.clip([rows[0], rows[-1] + 1], 0, height)
        return int(x0), int(y0), int(x1), int(y1)

    def paste(self, picture: Field) -> None:
        """Lay the patch over `picture` (3, H, W) in [0, 1]."""
        window, patch = self._overlap(picture.shape[2], picture.shape[1])
        under = picture[:, window[0], window[1]]
        under *= 1.0 - self.alpha[patch]
        under += self.rgb[:, patch[0], patch[1]]

    def paste_bgr(self, frame: npt.NDArray[np.uint8]) -> None:
        """Lay the patch over `frame` (H, W, 3) uint8 BGR; touches only the pixels under the patch."""
        window, patch = self._overlap(frame.shape[1], frame.shape[0])
        clear, rgb = 1.0 - self.alpha[patch], self.rgb[:, patch[0], patch[1]]
        for channel in range(3):
            mixed = frame[window[0], window[1], channel] * clear + rgb[2 - channel] * np.float32(255.0)
            frame[window[0], window[1], channel] = np.clip(mixed + np.float32(0.5), 0.0, 255.0)

    def _overlap(self, width: int, height: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part (rows, columns) of a picture that the patch covers, and the same part of the patch."""
        rows, columns = self.alpha.shape
        x0, x1 = np.clip([self.left, self.left + columns], 0, width)
        y0, y1 = np.clip([self.top, self.top + rows], 0, height)
        patch = slice(y0 - self.top, y1 - self.top), slice(x0 - self.left, x1 - self.left)
        return (slice(y0, y1), slice(x0, x1)), patch

    # ---- shapes, as distance fields -------------------------------------------------------------------------------

    def disc(self, cx: float, cy: float, radius: float) -> Field:
        """A disc."""
        return length(self.x - np.float32(cx), self.y - np.float32(cy)) - np.float32(radius)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float) -> Field:
        """An upright ellipse (distance exact on the edge, approximate away from it)."""
        u, v = (self.x - np.float32(cx)) / np.float32(rx), (self.y - np.float32(cy)) / np.float32(ry)
        k = length(u, v)
        slope = length(u / np.float32(rx), v / np.float32(ry)) + np.float32(1e-6)
        return np.asarray(k * (k - 1.0) / slope, np.float32)

    def slab(self, cx: float, cy: float, hx: float, hy: float, radius: float = 0.0) -> Field:
        """A rectangle of half sides `hx`, `hy` with rounded corners."""
        dx = np.asarray(np.abs(self.x - np.float32(cx)) - np.float32(hx - radius), np.float32)
        dy = np.asarray(np.abs(self.y - np.float32(cy)) - np.float32(hy - radius), np.float32)
        far = length(dx.clip(min=0.0), dy.clip(min=0.0))
        return np.asarray(far + np.minimum(np.maximum(dx, dy), 0.0) - np.float32(radius), np.float32)

    def stroke(self, start: Point, end: Point, radius: float) -> Field:
        """A round-ended line."""
        ux, uy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
        px, py = self.x - np.float32(start[0]), self.y - np.float32(start[1])
        along = np.clip((px * ux + py * uy) / np.float32(ux * ux + uy * uy + 1e-9), 0.0, 1.0)
        return length(px - along * ux, py - along * uy) - np.float32(radius)

    def arc(self, cx: float, cy: float, radius: float, width: float) -> Field:
        """A ring; cut it with `np.maximum` to get an arc."""
        return np.asarray(np.abs(self.disc(cx, cy, radius)) - np.float32(width), np.float32)

    def convex(self, corners: Sequence[Point], radius: float = 0.0) -> Field:
        """A convex polygon, corners clockwise as seen on the screen; `radius` grows it."""
        field: Field | None = None
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
            size = hypot(bx - ax, by - ay)
            nx, ny = np.float32((by - ay) / size), np.float32((ax - bx) / size)
            side = (self.x - np.float32(ax)) * nx + (self.y - np.float32(ay)) * ny
            field = side if field is None else np.maximum(field, side)
        assert field is not None
        return np.asarray(field - np.float32(radius), np.float32)
