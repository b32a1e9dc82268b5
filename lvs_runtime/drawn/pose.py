"""What the drawings share: the swing of a pose, and turning a part of an object about a point."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from .canvas import Canvas, Field

WHITE = (1.0, 1.0, 1.0)


def wave(pose: float) -> float:
    """A sine of period 1."""
    return sin(2 * pi * pose)


def turned(canvas: Canvas, angle: float, cx: float, cy: float) -> tuple[Field, Field]:
    """Turn the canvas's coordinates about a point; returns the old ones, to be put back."""
    old = canvas.x, canvas.y
    dx, dy = canvas.x - np.float32(cx), canvas.y - np.float32(cy)
    c, s = np.float32(cos(angle)), np.float32(sin(angle))
    canvas.x, canvas.y = dx * c + dy * s + np.float32(cx), dy * c - dx * s + np.float32(cy)
    return old
