"""Anti-aliased drawing with signed distances: a patch of picture on which one object is painted, part by part.

A distance field is an array (H, W) float32: negative inside a shape, positive outside, in object units. An object is
drawn about the origin within [-1, 1] on both axes, x to the right and y down; the patch reaches a little further so
that a turned object and its shadow still fit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Colour = tuple[float, float, float]
Point = tuple[float, float]

REACH = 1.34  # half side of a patch, in object units


class Canvas:
    """A patch for one object of half height `scale_px`, squeezed sideways by `aspect` and turned by `angle` (rad).

    Attributes `x`, `y` (H, W) are each pixel's place in object units. `rgb` (3, H, W) is premultiplied by `alpha`
    (H, W), both in [0, 1]; `outside` is the distance to everything painted so far.
    """

    def __init__(self, scale_px: float, *, aspect: float = 1.0, angle: float = 0.0, mirror: bool = False) -> None:
        wide_px = scale_px / aspect
        half_h, half_w = int(np.ceil(scale_px * REACH)), int(np.ceil(wide_px * REACH))
        across = ((np.arange(-half_w, half_w, dtype=np.float32) + 0.5) / np.float32(wide_px))[None, :]
        down = ((np.arange(-half_h, half_h, dtype=np.float32) + 0.5) / np.float32(scale_px))[:, None]
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

    def fill(
        self, field: Field, colour: Colour, opacity: float = 1.0, *, glow: float = 0.0, lit: bool = True, edge: bool = True
    ) -> None:
        """Paint where `field` < 0. `glow` > 0 softens the edge to that width; `edge` False keeps it off the outline."""
        if edge:
            np.minimum(self.outside, field, out=self.outside)
        cover = 0.5 - field * (self.sharp if glow <= 0 else np.float32(1.0 / glow))
        np.clip(cover, 0.0, 1.0, out=cover)
        if opacity < 1.0:
            cover *= np.float32(opacity)
        rows = np.flatnonzero(cover.any(axis=1))
        if rows.size == 0:
            return
        band = slice(int(rows[0]), int(rows[-1]) + 1)
        cover = cover[band]
        ink = np.asarray(colour, np.float32)[:, None, None] * (self.light[band] if lit else np.float32(1.0))
        rgb = self.rgb[:, band]
        rgb += cover * (ink - rgb)
        alpha = self.alpha[band]
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

    def box(self) -> tuple[int, int, int, int]:
        """The smallest box round what was painted (x0, y0, x1, y1; outline in, shadow out), px of this patch."""
        solid = self.outside < 0.5 / self.sharp
        columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def paste(self, picture: Field, centre_px: tuple[float, float]) -> tuple[int, int, int, int]:
        """Lay the patch over `picture` (3, H, W) in [0, 1]; returns the object's box clipped to the picture, px."""
        height, width = self.alpha.shape
        x0, y0 = round(centre_px[0] - width / 2), round(centre_px[1] - height / 2)
        left, top = max(0, -x0), max(0, -y0)
        right, bottom = min(width, picture.shape[2] - x0), min(height, picture.shape[1] - y0)
        if right > left and bottom > top:
            window = picture[:, y0 + top : y0 + bottom, x0 + left : x0 + right]
            window *= 1.0 - self.alpha[top:bottom, left:right]
            window += self.rgb[:, top:bottom, left:right]
        box = self.box()
        return (
            min(max(box[0] + x0, 0), picture.shape[2]),
            min(max(box[1] + y0, 0), picture.shape[1]),
            min(max(box[2] + x0, 0), picture.shape[2]),
            min(max(box[3] + y0, 0), picture.shape[1]),
        )

    # ---- shapes, as distance fields -------------------------------------------------------------------------------

    def disc(self, cx: float, cy: float, radius: float) -> Field:
        """A disc."""
        return np.asarray(np.hypot(self.x - np.float32(cx), self.y - np.float32(cy)) - np.float32(radius), np.float32)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float) -> Field:
        """An upright ellipse (distance exact on the edge, approximate away from it)."""
        u, v = (self.x - np.float32(cx)) / np.float32(rx), (self.y - np.float32(cy)) / np.float32(ry)
        k = np.hypot(u, v)
        slope = np.hypot(u / np.float32(rx), v / np.float32(ry)) + np.float32(1e-6)
        return np.asarray(k * (k - 1.0) / slope, np.float32)

    def slab(self, cx: float, cy: float, hx: float, hy: float, radius: float = 0.0) -> Field:
        """A rectangle of half sides `hx`, `hy` with rounded corners."""
        dx = np.abs(self.x - np.float32(cx)) - np.float32(hx - radius)
        dy = np.abs(self.y - np.float32(cy)) - np.float32(hy - radius)
        far = np.hypot(np.maximum(dx, 0.0), np.maximum(dy, 0.0))
        return np.asarray(far + np.minimum(np.maximum(dx, dy), 0.0) - np.float32(radius), np.float32)

    def stroke(self, start: Point, end: Point, radius: float) -> Field:
        """A round-ended line."""
        ux, uy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
        px, py = self.x - np.float32(start[0]), self.y - np.float32(start[1])
        along = np.clip((px * ux + py * uy) / np.float32(ux * ux + uy * uy + 1e-9), 0.0, 1.0)
        return np.asarray(np.hypot(px - along * ux, py - along * uy) - np.float32(radius), np.float32)

    def arc(self, cx: float, cy: float, radius: float, width: float) -> Field:
        """A ring; cut it with `np.maximum` to get an arc."""
        return np.asarray(np.abs(self.disc(cx, cy, radius)) - np.float32(width), np.float32)

    def convex(self, corners: Sequence[Point], radius: float = 0.0) -> Field:
        """A convex polygon, corners clockwise as seen on the screen; `radius` grows it."""
        field: Field | None = None
        for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
            length = float(np.hypot(bx - ax, by - ay)) + 1e-9
            nx, ny = np.float32((by - ay) / length), np.float32((ax - bx) / length)
            side = (self.x - np.float32(ax)) * nx + (self.y - np.float32(ay)) * ny
            field = side if field is None else np.maximum(field, side)
        assert field is not None
        return np.asarray(field - np.float32(radius), np.float32)
