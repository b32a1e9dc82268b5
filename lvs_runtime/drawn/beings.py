"""Drawings of beings: a bird and a talking face. See `figures` for what they have in common."""

from __future__ import annotations

import numpy as np

from .canvas import Canvas
from .looks import Look, shade
from .pose import WHITE, turned, wave


def bird(canvas: Canvas, look: Look, pose: float) -> None:
    """A small bird that opens its beak and lifts its wing."""
    plump, gape = look.mix(0, 0.46, 0.58), 0.06 + 0.13 * max(0.0, wave(pose))
    tail = look.mix(1, -0.1, 0.35)
    for k in (-0.1, 0.1):
        canvas.fill(canvas.stroke((-0.05 + k, 0.5), (-0.02 + 1.3 * k, 0.92), 0.035), look.accent)
        canvas.fill(canvas.stroke((-0.1 + 1.3 * k, 0.93), (0.1 + 1.3 * k, 0.93), 0.035), look.accent)
    plumes = [(-0.5, -0.02), (-0.3, 0.38), (-1.0, tail + 0.2), (-0.98, tail - 0.12)]
    canvas.fill(canvas.convex(plumes, 0.02), shade(look.main, 0.7))
    canvas.fill(canvas.ellipse(-0.08, 0.17, 0.62, plump), look.main)
    near = canvas.disc(0.38, -0.34, 0.61)  # blunts the tips, or their outline would run on
    upper = canvas.convex([(0.62, -0.48), (1.02, -0.34 - gape), (0.66, -0.28)], 0.02)
    lower = canvas.convex([(0.62, -0.34), (0.98, -0.24 + gape), (0.6, -0.2)], 0.02)
    canvas.fill(np.maximum(upper, near), look.accent)
    canvas.fill(np.maximum(lower, near), shade(look.accent, 0.8))
    canvas.fill(canvas.disc(0.38, -0.36, look.mix(2, 0.36, 0.42)), look.main)
    belly = np.maximum(canvas.ellipse(0.14, 0.34, 0.44, 0.36), canvas.ellipse(-0.08, 0.17, 0.6, plump - 0.02))
    canvas.mark(belly, look.second)
    if look.proportions[3] > 0.5:  # a crest
        canvas.fill(canvas.convex([(0.12, -0.6), (0.2, -0.98), (0.48, -0.68)], 0.03), shade(look.main, 0.8))
    old = turned(canvas, -0.35 * max(0.0, wave(pose + 0.2)), 0.1, 0.05)
    canvas.mark(canvas.ellipse(-0.24, 0.1, 0.4, 0.25), shade(look.main, 0.72))
    canvas.mark(canvas.ellipse(-0.18, 0.05, 0.28, 0.15), shade(look.main, 0.88))
    canvas.x, canvas.y = old
    canvas.mark(canvas.disc(0.46, -0.42, 0.105), WHITE, lit=False)
    canvas.mark(canvas.disc(0.485, -0.42, 0.062), (0.08, 0.08, 0.1), lit=False)


def voice(canvas: Canvas, look: Look, pose: float) -> None:
    """A talking face with hair and a mouth that opens."""
    wide, gape = look.mix(0, 0.56, 0.68), 0.05 + 0.15 * abs(wave(pose))
    long_hair = look.proportions[1] > 0.5
    canvas.fill(canvas.slab(0.0, 0.94, 0.76, 0.24, 0.23), look.accent)
    if long_hair:
        canvas.fill(canvas.slab(0.0, 0.02, wide + 0.17, look.mix(2, 0.62, 0.8), 0.5), look.second)
    canvas.fill(canvas.slab(0.0, 0.66, 0.2, 0.22, 0.1), shade(look.main, 0.85))
    for side in (-1.0, 1.0):
        canvas.fill(canvas.disc(side * (wide + 0.02), 0.0, 0.13), shade(look.main, 0.9))
    face = canvas.ellipse(0.0, 0.0, wide, 0.72)
    canvas.fill(face, look.main)
    fringe = canvas.y - look.mix(3, -0.42, -0.24) - look.mix(4, -0.2, 0.2) * canvas.x
    canvas.fill(np.maximum(canvas.ellipse(0.0, -0.1, wide + 0.05, 0.74), fringe), look.second)
    for side in (-0.24, 0.24):
        canvas.mark(canvas.ellipse(side, -0.07, 0.115, 0.125), WHITE, lit=False)
        canvas.mark(canvas.disc(side + 0.02, -0.06, 0.068), (0.1, 0.09, 0.12), lit=False)
        canvas.mark(canvas.stroke((side - 0.1, -0.25), (side + 0.1, -0.25), 0.03), shade(look.second, 0.8))
    canvas.mark(canvas.stroke((0.0, 0.02), (0.03, 0.15), 0.035), shade(look.main, 0.8))
    mouth = canvas.ellipse(0.0, 0.38, look.mix(5, 0.2, 0.3), gape + 0.04)
    canvas.mark(mouth, (0.78, 0.25, 0.27))
    canvas.mark(mouth + 0.045, (0.28, 0.05, 0.08), lit=False)
    canvas.mark(np.maximum(mouth + 0.05, canvas.y - 0.38 + 0.35 * gape), WHITE, lit=False)
