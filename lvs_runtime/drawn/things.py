"""Drawings of things: bell, drum, siren, engine, clock, kettle. See `figures` for what they have in common."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from .canvas import Canvas, length
from .looks import Look, shade
from .pose import WHITE, turned, wave


def bell(canvas: Canvas, look: Look, pose: float) -> None:
    """A bell that swings from its crown, with a clapper."""
    swing = 0.24 * wave(pose)
    old = turned(canvas, swing, 0.0, -0.8)
    wide, waist = look.mix(0, 0.62, 0.84), look.mix(1, 0.36, 0.5)
    canvas.fill(canvas.arc(0.0, -0.82, 0.13, 0.055), look.second)
    canvas.fill(canvas.disc(-0.5 * swing, 0.82, 0.16), shade(look.second, 0.75))
    down = np.clip((canvas.y + 0.68) / 1.34, 0.0, 1.0)
    profile = waist * np.sqrt(np.minimum(down * 5.0, 1.0)) + (wide - waist) * down**3
    body = np.maximum((np.abs(canvas.x) - profile) * 0.85, np.maximum(-0.68 - canvas.y, canvas.y - 0.66))
    canvas.fill(body, look.main)
    canvas.mark(np.maximum(body, np.abs(canvas.y - 0.3) - 0.045), shade(look.main, 0.72))
    canvas.fill(canvas.slab(0.0, 0.64, wide + 0.07, 0.10, 0.09), shade(look.main, 0.85))
    canvas.mark(canvas.stroke((-0.24, -0.3), (-0.3, 0.1), 0.055), WHITE, 0.55)
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
    canvas.mark(np.maximum(cord, body), look.second)
    hoop = np.maximum(np.abs(canvas.y - bow - 0.70) - 0.07, np.abs(canvas.x) - wide - 0.03)
    canvas.fill(hoop, look.accent)
    canvas.fill(canvas.ellipse(0.0, top + 0.06, wide + 0.04, lid + 0.05), look.accent)
    canvas.fill(canvas.ellipse(0.0, top, wide + 0.04, lid + 0.05), shade(look.accent, 1.35))
    canvas.fill(canvas.ellipse(0.0, top, wide - 0.05, lid - 0.02), shade(look.second, 1.2))
    for side, lift in ((-1.0, wave(pose)), (1.0, -wave(pose))):
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
        inner = wide + 0.16 + 0.08 * wave(pose + k / 5.0)
        cx, cy = cos(angle), sin(angle)
        start = (inner * cx, top + 0.32 + inner * cy)
        end = ((inner + 0.2) * cx * reach, top + 0.32 + (inner + 0.2) * cy * reach)
        if abs(end[0]) < 1.05 and end[1] > -1.0:
            canvas.fill(canvas.stroke(start, end, 0.045), look.accent, lit=False)
    dome = np.maximum(canvas.stroke((0.0, top + wide), (0.0, 2.0), wide), canvas.y - 0.5)
    canvas.fill(dome, look.main)
    lamp = 0.34 * wide * sin(2 * pi * pose)
    bulb = canvas.slab(lamp, 0.25 - 0.25 * tall, 0.16, 0.34 * tall, 0.12)
    canvas.mark(bulb, shade(look.accent, 1.3), 0.85, lit=False)
    canvas.mark(np.maximum(canvas.disc(lamp, 0.2 - 0.3 * tall, 0.4), dome), WHITE, 0.4, glow=0.4, lit=False)
    canvas.mark(canvas.stroke((-0.62 * wide, top + 0.8 * wide), (-0.62 * wide, 0.25), 0.05), WHITE, 0.5)
    canvas.fill(canvas.slab(0.0, 0.50, wide + 0.12, 0.10, 0.06), shade(look.second, 1.25))
    base = [(-wide - 0.1, 0.6), (wide + 0.1, 0.6), (wide + 0.22, 0.92), (-wide - 0.22, 0.92)]
    canvas.fill(canvas.convex(base, 0.03), look.second)
    canvas.mark(canvas.slab(0.0, 0.76, 0.5 * wide, 0.05, 0.05), look.dark)


def engine(canvas: Canvas, look: Look, pose: float) -> None:
    """A motor car seen from the side; the wheels turn."""
    roof, nose = look.mix(0, -0.62, -0.42), look.mix(1, 0.34, 0.6)
    jolt = 0.02 * wave(2 * pose)
    back = look.mix(2, -0.72, -0.5)
    cabin = canvas.convex([(back + 0.16, roof + jolt), (0.12, roof + jolt), (nose, 0.0), (back - 0.08, 0.0)], 0.06)
    canvas.fill(cabin, look.main)
    canvas.fill(canvas.slab(0.0, 0.2 + jolt, 0.98, 0.3, 0.2), look.main)
    sill = roof + 0.1 + jolt
    rear = [(back + 0.2, sill), (-0.1, sill), (-0.1, -0.06), (back + 0.08, -0.06)]
    front = [(0.02, sill), (0.1, sill), (nose - 0.12, -0.06), (0.02, -0.06)]
    canvas.mark(canvas.convex(rear, 0.02), look.second)
    canvas.mark(canvas.convex(front, 0.02), look.second)
    canvas.mark(canvas.slab(0.0, 0.40 + jolt, 0.98, 0.06), shade(look.main, 0.7))
    canvas.mark(canvas.slab(-0.06, 0.12 + jolt, 0.09, 0.025, 0.02), shade(look.main, 0.6))
    canvas.mark(canvas.ellipse(0.92, 0.12 + jolt, 0.07, 0.1), look.accent, lit=False)
    canvas.mark(canvas.slab(-0.94, 0.14 + jolt, 0.05, 0.08, 0.03), (0.85, 0.15, 0.12))
    radius = look.mix(3, 0.24, 0.31)
    for cx in (-0.55, 0.55):
        canvas.fill(canvas.disc(cx, 0.5, radius), look.dark)
        canvas.mark(canvas.disc(cx, 0.5, radius * 0.58), (0.82, 0.84, 0.87))
        for k in range(2):
            a = 2 * pi * pose + k * pi / 2
            span = 0.5 * radius
            start, end = (cx - span * cos(a), 0.5 - span * sin(a)), (cx + span * cos(a), 0.5 + span * sin(a))
            canvas.mark(canvas.stroke(start, end, 0.03), shade(look.dark, 1.2))


def clock(canvas: Canvas, look: Look, pose: float) -> None:
    """A round clock on two feet; the hands turn."""
    rim, size = look.mix(0, 0.1, 0.17), look.mix(1, 0.74, 0.84)
    for side in (-1, 1):
        canvas.fill(canvas.stroke((side * 0.4, 0.6), (side * 0.58, 0.93), 0.07), shade(look.main, 0.7))
    canvas.fill(canvas.slab(0.0, -size - 0.02, 0.1, 0.1, 0.05), shade(look.main, 0.7))
    canvas.fill(canvas.disc(0.0, 0.0, size), look.main)
    canvas.mark(canvas.disc(0.0, 0.0, size - rim), look.second)
    radius = length(canvas.x, canvas.y)
    sector = np.arctan2(canvas.y, canvas.x) * (12 / (2 * pi))
    off = np.abs(sector - np.round(sector)) * (2 * pi / 12) * radius
    marks = np.maximum(off - 0.028, np.abs(radius - (size - rim - 0.09)) - 0.055)
    canvas.mark(np.asarray(marks, np.float32), look.dark)
    reach = size - rim - 0.16
    hands = (  # share of a turn, tail, length, width, colour
        (look.proportions[2], 0.0, 0.6 * reach, 0.05, look.dark),
        (look.proportions[3], 0.0, 0.95 * reach, 0.035, look.dark),
        (pose, 0.15, reach, 0.018, look.accent),
    )
    for share, tail, size, width, colour in hands:
        dx, dy = sin(2 * pi * share), -cos(2 * pi * share)
        canvas.mark(canvas.stroke((-tail * dx, -tail * dy), (size * dx, size * dy), width), colour)
    canvas.mark(canvas.disc(0.0, 0.0, 0.065), look.accent)


def kettle(canvas: Canvas, look: Look, pose: float) -> None:
    """A kettle with spout, handle and lid; the lid lifts and steam puffs."""
    wide, lift = look.mix(0, 0.52, 0.62), 0.05 * abs(wave(2 * pose))
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
    canvas.mark(np.maximum(np.asarray(body, np.float32), np.abs(canvas.y - 0.52) - 0.05), look.second)
    canvas.fill(canvas.slab(-0.08, -0.2 - lift, wide * 0.6, 0.07, 0.06), shade(look.main, 0.75))
    canvas.fill(canvas.disc(-0.08, -0.33 - lift, 0.1), look.accent)
    canvas.mark(canvas.stroke((-0.44, 0.1), (-0.5, 0.36), 0.05), WHITE, 0.5)
    for k in range(3):
        rise = (pose + k / 3) % 1.0
        puff = canvas.disc(0.8 + 0.08 * sin(5 * rise + k), -0.34 - 0.5 * rise, 0.06 + 0.09 * rise)
        canvas.mark(puff, WHITE, 0.85 * (1 - rise) + 0.1, glow=0.08, lit=False)
