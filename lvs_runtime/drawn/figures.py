"""The drawings: one function a class, each painting an individual `look` in a `pose` onto a canvas.

`pose` in [0, 1) is the place in a movement that repeats: a swing, a beat, a turn of the wheel. It says nothing about
sound: a silent object takes every pose too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np

from .canvas import Canvas, Field, length
from .looks import Look, shade

WHITE = (1.0, 1.0, 1.0)


def _wave(pose: float) -> float:
    return sin(2 * pi * pose)


def _turned(canvas: Canvas, angle: float, cx: float, cy: float) -> tuple[Field, Field]:
    """Turn the canvas's coordinates about a point; returns the old ones, to be put back."""
    old = canvas.x, canvas.y
    dx, dy = canvas.x - np.float32(cx), canvas.y - np.float32(cy)
    c, s = np.float32(cos(angle)), np.float32(sin(angle))
    canvas.x, canvas.y = dx * c + dy * s + np.float32(cx), dy * c - dx * s + np.float32(cy)
    return old


def bell(canvas: Canvas, look: Look, pose: float) -> None:
    """A bell that swings from its crown, with a clapper."""
    swing = 0.24 * _wave(pose)
    old = _turned(canvas, swing, 0.0, -0.8)
    wide, waist = look.mix(0, 0.62, 0.84), look.mix(1, 0.36, 0.5)
    canvas.fill(canvas.arc(0.0, -0.82, 0.13, 0.055), look.second)
    canvas.fill(canvas.disc(-0.5 * swing, 0.82, 0.16), shade(look.second, 0.75))
    down = np.clip((canvas.y + 0.68) / 1.34, 0.0, 1.0)
    profile = waist * np.sqrt(np.minimum(down * 5.0, 1.0)) + (wide - waist) * down**3
    body = np.maximum((np.abs(canvas.x) - profile) * 0.85, np.maximum(-0.68 - canvas.y, canvas.y - 0.66))
    canvas.fill(body, look.main)
    canvas.fill(np.maximum(body, np.abs(canvas.y - 0.3) - 0.045), shade(look.main, 0.72), edge=False)
    canvas.fill(canvas.slab(0.0, 0.64, wide + 0.07, 0.10, 0.09), shade(look.main, 0.85))
    canvas.fill(canvas.stroke((-0.24, -0.3), (-0.3, 0.1), 0.055), WHITE, 0.55, edge=False)
    canvas.x, canvas.y = old


def drum(canvas: Canvas, look: Look, pose: float) -> None:
    """A drum with cords and two sticks that strike in turn."""
    deep, wide = look.mix(0, 0.42, 0.62), look.mix(1, 0.72, 0.86)
    top, lid = 0.78 - 2 * deep, look.mix(2, 0.2, 0.28)
    body = np.maximum(np.abs(canvas.x) - wide, np.maximum(top - canvas.y, canvas.y - 0.74))
    body = np.minimum(body, canvas.ellipse(0.0, 0.74, wide, lid))
    canvas.fill(body, look.main)
    fold = np.abs(np.mod(canvas.x / wide * (1.5 + 0.5 * round(look.mix(3, 0, 2))) + 0.5, 1.0) - 0.5) * 2.0
    bow = lid * np.sqrt(np.maximum(0.0, 1.0 - (canvas.x / wide) ** 2))
    cord = np.abs((canvas.y - bow - top) / (0.74 - top) - fold) * 0.5 - 0.045
    canvas.fill(np.maximum(cord, body), look.second, edge=False)
    hoop = np.maximum(np.abs(canvas.y - bow - 0.70) - 0.07, np.abs(canvas.x) - wide - 0.03)
    canvas.fill(hoop, look.accent)
    canvas.fill(canvas.ellipse(0.0, top + 0.06, wide + 0.04, lid + 0.05), look.accent)
    canvas.fill(canvas.ellipse(0.0, top, wide + 0.04, lid + 0.05), shade(look.accent, 1.35))
    canvas.fill(canvas.ellipse(0.0, top, wide - 0.05, lid - 0.02), shade(look.second, 1.2))
    for side, lift in ((-1.0, _wave(pose)), (1.0, -_wave(pose))):
        tip = (side * 0.22, top - 0.05 - 0.24 * max(0.0, lift))
        grip = (side * 0.86, top - 0.42 - 0.22 * lift)
        canvas.fill(canvas.stroke(tip, grip, 0.045), shade(look.dark, 1.35))
        canvas.fill(canvas.disc(*tip, 0.1), shade(look.second, 0.85))


def siren(canvas: Canvas, look: Look, pose: float) -> None:
    """A beacon: a coloured dome with a turning lamp on a base."""
    wide, tall = look.mix(0, 0.48, 0.66), look.mix(1, 0.62, 0.92)
    top = 0.42 - tall
    for k in range(5):
        angle = pi * (1.0 + (k + 0.5) / 5)
        reach = 0.98 if k % 2 == 0 else 0.9
        inner = (wide + 0.16 + 0.08 * _wave(pose + k / 5.0))
        cx, cy = cos(angle), sin(angle)
        start = (inner * cx, top + 0.32 + inner * cy)
        end = ((inner + 0.2) * cx * reach, top + 0.32 + (inner + 0.2) * cy * reach)
        if abs(end[0]) < 1.05 and end[1] > -1.0:
            canvas.fill(canvas.stroke(start, end, 0.045), look.accent, lit=False)
    dome = np.maximum(canvas.stroke((0.0, top + wide), (0.0, 2.0), wide), canvas.y - 0.5)
    canvas.fill(dome, look.main)
    lamp = 0.34 * wide * sin(2 * pi * pose)
    canvas.fill(canvas.slab(lamp, 0.25 - 0.25 * tall, 0.16, 0.34 * tall, 0.12), shade(look.accent, 1.3), 0.85, lit=False, edge=False)
    canvas.fill(np.maximum(canvas.disc(lamp, 0.2 - 0.3 * tall, 0.4), dome), WHITE, 0.4, glow=0.4, lit=False, edge=False)
    canvas.fill(canvas.stroke((-0.62 * wide, top + 0.8 * wide), (-0.62 * wide, 0.25), 0.05), WHITE, 0.5, edge=False)
    canvas.fill(canvas.slab(0.0, 0.50, wide + 0.12, 0.10, 0.06), shade(look.second, 1.25))
    canvas.fill(canvas.convex([(-wide - 0.1, 0.6), (wide + 0.1, 0.6), (wide + 0.22, 0.92), (-wide - 0.22, 0.92)], 0.03), look.second)
    canvas.fill(canvas.slab(0.0, 0.76, 0.5 * wide, 0.05, 0.05), look.dark, edge=False)


def engine(canvas: Canvas, look: Look, pose: float) -> None:
    """A motor car seen from the side; the wheels turn."""
    roof, nose = look.mix(0, -0.62, -0.42), look.mix(1, 0.34, 0.6)
    jolt = 0.02 * _wave(2 * pose)
    back = look.mix(2, -0.72, -0.5)
    cabin = canvas.convex([(back + 0.16, roof + jolt), (0.12, roof + jolt), (nose, 0.0), (back - 0.08, 0.0)], 0.06)
    canvas.fill(cabin, look.main)
    canvas.fill(canvas.slab(0.0, 0.2 + jolt, 0.98, 0.3, 0.2), look.main)
    glass = [(back + 0.2, roof + 0.1 + jolt), (-0.1, roof + 0.1 + jolt), (-0.1, -0.06), (back + 0.08, -0.06)]
    canvas.fill(canvas.convex(glass, 0.02), look.second, edge=False)
    canvas.fill(canvas.convex([(0.02, roof + 0.1 + jolt), (0.1, roof + 0.1 + jolt), (nose - 0.12, -0.06), (0.02, -0.06)], 0.02), look.second, edge=False)
    canvas.fill(canvas.slab(0.0, 0.40 + jolt, 0.98, 0.06), shade(look.main, 0.7), edge=False)
    canvas.fill(canvas.slab(-0.06, 0.12 + jolt, 0.09, 0.025, 0.02), shade(look.main, 0.6), edge=False)
    canvas.fill(canvas.ellipse(0.92, 0.12 + jolt, 0.07, 0.1), look.accent, lit=False, edge=False)
    canvas.fill(canvas.slab(-0.94, 0.14 + jolt, 0.05, 0.08, 0.03), (0.85, 0.15, 0.12), edge=False)
    radius = look.mix(3, 0.24, 0.31)
    for cx in (-0.55, 0.55):
        canvas.fill(canvas.disc(cx, 0.5, radius), look.dark)
        canvas.fill(canvas.disc(cx, 0.5, radius * 0.58), (0.82, 0.84, 0.87), edge=False)
        for k in range(2):
            a = 2 * pi * pose + k * pi / 2
            span = 0.5 * radius
            start, end = (cx - span * cos(a), 0.5 - span * sin(a)), (cx + span * cos(a), 0.5 + span * sin(a))
            canvas.fill(canvas.stroke(start, end, 0.03), shade(look.dark, 1.2), edge=False)


def bird(canvas: Canvas, look: Look, pose: float) -> None:
    """A small bird that opens its beak and lifts its wing."""
    plump, gape = look.mix(0, 0.46, 0.58), 0.06 + 0.13 * max(0.0, _wave(pose))
    tail = look.mix(1, -0.1, 0.35)
    for k in (-0.1, 0.1):
        canvas.fill(canvas.stroke((-0.05 + k, 0.5), (-0.02 + 1.3 * k, 0.92), 0.035), look.accent)
        canvas.fill(canvas.stroke((-0.1 + 1.3 * k, 0.93), (0.1 + 1.3 * k, 0.93), 0.035), look.accent)
    canvas.fill(canvas.convex([(-0.5, -0.02), (-0.3, 0.38), (-1.0, tail + 0.2), (-0.98, tail - 0.12)], 0.02), shade(look.main, 0.7))
    canvas.fill(canvas.ellipse(-0.08, 0.17, 0.62, plump), look.main)
    head = (0.38, -0.36)
    near = canvas.disc(0.38, -0.34, 0.61)  # blunts the tips, or their outline would run on
    upper = canvas.convex([(0.62, -0.48), (1.02, -0.34 - gape), (0.66, -0.28)], 0.02)
    lower = canvas.convex([(0.62, -0.34), (0.98, -0.24 + gape), (0.6, -0.2)], 0.02)
    canvas.fill(np.maximum(upper, near), look.accent)
    canvas.fill(np.maximum(lower, near), shade(look.accent, 0.8))
    canvas.fill(canvas.disc(*head, look.mix(2, 0.36, 0.42)), look.main)
    canvas.fill(np.maximum(canvas.ellipse(0.14, 0.34, 0.44, 0.36), canvas.ellipse(-0.08, 0.17, 0.6, plump - 0.02)), look.second, edge=False)
    if look.proportions[3] > 0.5:  # a crest
        canvas.fill(canvas.convex([(0.12, -0.6), (0.2, -0.98), (0.48, -0.68)], 0.03), shade(look.main, 0.8))
    old = _turned(canvas, -0.35 * max(0.0, _wave(pose + 0.2)), 0.1, 0.05)
    canvas.fill(canvas.ellipse(-0.24, 0.1, 0.4, 0.25), shade(look.main, 0.72), edge=False)
    canvas.fill(canvas.ellipse(-0.18, 0.05, 0.28, 0.15), shade(look.main, 0.88), edge=False)
    canvas.x, canvas.y = old
    canvas.fill(canvas.disc(0.46, -0.42, 0.105), WHITE, lit=False, edge=False)
    canvas.fill(canvas.disc(0.485, -0.42, 0.062), (0.08, 0.08, 0.1), lit=False, edge=False)


def voice(canvas: Canvas, look: Look, pose: float) -> None:
    """A talking face with hair and a mouth that opens."""
    wide, gape = look.mix(0, 0.56, 0.68), 0.05 + 0.15 * abs(_wave(pose))
    long_hair = look.proportions[1] > 0.5
    canvas.fill(canvas.slab(0.0, 1.02, 0.78, 0.3, 0.28), look.accent)
    if long_hair:
        canvas.fill(canvas.slab(0.0, 0.02, wide + 0.17, look.mix(2, 0.62, 0.8), 0.5), look.second)
    canvas.fill(canvas.slab(0.0, 0.66, 0.2, 0.22, 0.1), shade(look.main, 0.85))
    for side in (-1, 1):
        canvas.fill(canvas.disc(side * (wide + 0.02), 0.0, 0.13), shade(look.main, 0.9))
    face = canvas.ellipse(0.0, 0.0, wide, 0.72)
    canvas.fill(face, look.main)
    fringe = look.mix(3, -0.42, -0.24)
    cap = np.maximum(canvas.ellipse(0.0, -0.1, wide + 0.05, 0.74), canvas.y - fringe - look.mix(4, -0.2, 0.2) * canvas.x)
    canvas.fill(cap, look.second)
    for side in (-0.24, 0.24):
        canvas.fill(canvas.ellipse(side, -0.07, 0.115, 0.125), WHITE, lit=False, edge=False)
        canvas.fill(canvas.disc(side + 0.02, -0.06, 0.068), (0.1, 0.09, 0.12), lit=False, edge=False)
        canvas.fill(canvas.stroke((side - 0.1, -0.25), (side + 0.1, -0.25), 0.03), shade(look.second, 0.8), edge=False)
    canvas.fill(canvas.stroke((0.0, 0.02), (0.03, 0.15), 0.035), shade(look.main, 0.8), edge=False)
    mouth = canvas.ellipse(0.0, 0.38, look.mix(5, 0.2, 0.3), gape + 0.04)
    canvas.fill(mouth, (0.78, 0.25, 0.27), edge=False)
    canvas.fill(mouth + 0.045, (0.28, 0.05, 0.08), lit=False, edge=False)
    canvas.fill(np.maximum(mouth + 0.05, canvas.y - 0.38 + 0.35 * gape), WHITE, lit=False, edge=False)


def clock(canvas: Canvas, look: Look, pose: float) -> None:
    """A round clock on two feet; the hands turn."""
    rim, size = look.mix(0, 0.1, 0.17), look.mix(1, 0.74, 0.84)
    for side in (-1, 1):
        canvas.fill(canvas.stroke((side * 0.4, 0.6), (side * 0.58, 0.93), 0.07), shade(look.main, 0.7))
    canvas.fill(canvas.slab(0.0, -size - 0.02, 0.1, 0.1, 0.05), shade(look.main, 0.7))
    canvas.fill(canvas.disc(0.0, 0.0, size), look.main)
    canvas.fill(canvas.disc(0.0, 0.0, size - rim), look.second, edge=False)
    radius = length(canvas.x, canvas.y)
    sector = np.arctan2(canvas.y, canvas.x) * (12 / (2 * pi))
    off = np.abs(sector - np.round(sector)) * (2 * pi / 12) * radius
    marks = np.maximum(off - 0.028, np.abs(radius - (size - rim - 0.09)) - 0.055)
    canvas.fill(np.asarray(marks, np.float32), look.dark, edge=False)
    hour, minute = 2 * pi * look.proportions[2], 2 * pi * look.proportions[3]
    reach = size - rim - 0.16
    canvas.fill(canvas.stroke((0, 0), (0.6 * reach * sin(hour), -0.6 * reach * cos(hour)), 0.05), look.dark, edge=False)
    canvas.fill(canvas.stroke((0, 0), (0.95 * reach * sin(minute), -0.95 * reach * cos(minute)), 0.035), look.dark, edge=False)
    second = 2 * pi * pose
    canvas.fill(canvas.stroke((-0.15 * sin(second), 0.15 * cos(second)), (reach * sin(second), -reach * cos(second)), 0.018), look.accent, edge=False)
    canvas.fill(canvas.disc(0.0, 0.0, 0.065), look.accent, edge=False)


def kettle(canvas: Canvas, look: Look, pose: float) -> None:
    """A kettle with spout, handle and lid; the lid lifts and steam puffs."""
    wide, lift = look.mix(0, 0.52, 0.62), 0.05 * abs(_wave(2 * pose))
    arch = look.mix(1, 0.42, 0.54)
    handle = np.maximum(canvas.arc(-0.08, -0.2, arch, 0.06), canvas.y + 0.12)
    canvas.fill(np.asarray(handle, np.float32), look.accent)
    canvas.fill(canvas.convex([(0.36, 0.28), (0.74, -0.22), (0.9, -0.16), (0.5, 0.66)], 0.03), shade(look.main, 0.85))
    canvas.fill(canvas.stroke((0.72, -0.24), (0.93, -0.15), 0.055), shade(look.main, 0.7))
    down = np.clip((canvas.y + 0.2) / 1.0, 0.0, 1.0)
    profile = wide * (0.62 + 0.62 * np.sqrt(down) - 0.14 * down)
    body = np.maximum((np.abs(canvas.x + 0.08) - profile) * 0.9, np.abs(canvas.y - 0.33) - 0.53)
    canvas.fill(np.asarray(body, np.float32), look.main)
    canvas.fill(canvas.slab(-0.08, 0.86, wide * 1.08, 0.07, 0.06), shade(look.second, 0.7))
    canvas.fill(np.maximum(np.asarray(body, np.float32), np.abs(canvas.y - 0.52) - 0.05), look.second, edge=False)
    canvas.fill(canvas.slab(-0.08, -0.2 - lift, wide * 0.6, 0.07, 0.06), shade(look.main, 0.75))
    canvas.fill(canvas.disc(-0.08, -0.33 - lift, 0.1), look.accent)
    canvas.fill(canvas.stroke((-0.44, 0.1), (-0.5, 0.36), 0.05), WHITE, 0.5, edge=False)
    for k in range(3):
        rise = (pose + k / 3) % 1.0
        puff = canvas.disc(0.8 + 0.08 * sin(5 * rise + k), -0.34 - 0.5 * rise, 0.06 + 0.09 * rise)
        canvas.fill(puff, WHITE, 0.85 * (1 - rise) + 0.1, glow=0.08, lit=False, edge=False)


FIGURES: dict[str, Callable[[Canvas, Look, float], None]] = {
    "bell": bell,
    "drum": drum,
    "siren": siren,
    "engine": engine,
    "bird": bird,
    "voice": voice,
    "clock": clock,
    "kettle": kettle,
}
