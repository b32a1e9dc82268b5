"""The drawings: one function a class, each painting an individual `look` in a `pose` onto a canvas.

`pose` in [0, 1) is the place in a movement that repeats: a swing, a beat, a turn of the wheel. It says nothing about
sound: a silent object takes every pose too.
"""

from __future__ import annotations

from collections.abc import Callable

from .beings import bird, voice
from .canvas import Canvas
from .looks import Look
from .things import bell, clock, drum, engine, kettle, siren

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
