"""Silent look-alikes: shapes without meaning in an object's colours and textures, painted in the same style."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from .canvas import Canvas, Field, length
from .looks import Look, shade


def decoy(canvas: Canvas, look: Look, kind: int) -> None:
    """Paint meaningless shape `kind` (any integer) in the colours of `look`."""
    body = _outline(canvas, look, kind % 4)
    canvas.fill(body, look.main)
    _texture(canvas, look, body, (kind // 4) % 4)
    if look.proportions[6] > 0.4:
        canvas.mark(canvas.stroke((-0.3, -0.34), (-0.38, -0.05), 0.05), (1.0, 1.0, 1.0), 0.5)


def _outline(canvas: Canvas, look: Look, kind: int) -> Field:
    if kind == 0:  # a wavy blob
        angle = np.arctan2(canvas.y, canvas.x)
        lobes = 3 + int(look.mix(0, 0, 3.99))
        wave = np.cos(lobes * angle + 6 * look.proportions[1]) + 0.5 * np.cos((lobes + 2) * angle)
        return np.asarray((length(canvas.x, canvas.y) - 0.72 - look.mix(2, 0.03, 0.13) * wave) * 0.85, np.float32)
    if kind == 1:  # a polygon
        corners = 3 + int(look.mix(0, 0, 4.99))
        turn = 6 * look.proportions[1]
        angles = [turn + 2 * pi * k / corners for k in range(corners)]
        return canvas.convex([(0.8 * cos(a), 0.8 * sin(a)) for a in angles], 0.06)
    if kind == 2:  # a slab
        return canvas.slab(0.0, 0.0, look.mix(0, 0.45, 0.9), look.mix(1, 0.45, 0.9), look.mix(2, 0.03, 0.4))
    apart = look.mix(0, 0.2, 0.4)  # two lobes
    left, right = canvas.disc(-apart, look.mix(1, -0.3, 0.3), look.mix(2, 0.3, 0.55)), canvas.disc(apart, 0.0, 0.45)
    return np.minimum(left, right)


def _texture(canvas: Canvas, look: Look, body: Field, kind: int) -> None:
    pitch = look.mix(3, 0.22, 0.5)
    if kind == 0:  # bands
        turn = 3 * look.proportions[4]
        across = canvas.x * np.float32(cos(turn)) + canvas.y * np.float32(sin(turn))
        bands = np.abs(np.mod(across / pitch, 1.0) - 0.5) * pitch - pitch * look.mix(5, 0.1, 0.3)
        canvas.mark(np.maximum(np.asarray(bands, np.float32), body), look.second)
    elif kind == 1:  # dots
        dx, dy = (np.mod(v / pitch, 1.0) - 0.5 for v in (canvas.x, canvas.y))
        dots = length(dx, dy) * pitch - pitch * look.mix(5, 0.2, 0.36)
        canvas.mark(np.maximum(np.asarray(dots, np.float32), body + np.float32(0.04)), look.second)
    elif kind == 2:  # a nested rim
        canvas.mark(body + np.float32(0.16), look.second)
        canvas.mark(body + np.float32(0.34), look.accent)
    else:  # scattered spots
        for k in range(3):
            a, r = 2 * pi * look.proportions[k], 0.45 * look.proportions[k + 3]
            spot = canvas.disc(r * cos(a), r * sin(a), 0.1 + 0.12 * look.proportions[7 - k])
            canvas.mark(np.maximum(spot, body), (look.second, look.accent, shade(look.main, 0.65))[k])
