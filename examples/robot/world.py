"""A drawn world around a pan-tilt head: what its camera sees at any pose, what its microphone hears, what is true."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lvs_runtime.drawn.scene import Scene, scene
from lvs_runtime.drawn.timeline import Turn
from lvs_runtime.geometry import CameraModel
from lvs_runtime.geometry.bearing import angles

WORLD_PX = (640, 280)
WORLD_RAD = (math.radians(120), math.radians(52.5))  # what the drawn picture spans, azimuth and elevation
RATE = 16_000
TURN_S, PAUSE_S = 5.0, 2.0


class World:
    """A scene on a sphere around the head; the camera is a pinhole. Angles: left and up are positive, radians."""

    def __init__(self, seed: int, seconds: float, size_px: tuple[int, int] = (320, 240), hfov_deg: float = 60) -> None:
        drawn = scene(seed, max(10.0, seconds))
        self.scene = Scene(seed, seconds, drawn.actors, _turns(drawn, seconds))
        self.sound = self.scene.sound(RATE)
        self.camera = CameraModel.from_hfov(hfov_deg, size_px)
        x, y = np.meshgrid(np.arange(size_px[0]), np.arange(size_px[1]))
        self._rays = self.camera.rays(np.stack([x, y], axis=-1))

    def view(self, t_s: float, pan: float, tilt: float) -> npt.NDArray[np.uint8]:
        """What the camera sees: (height, width, 3) BGR. Beyond the drawn part its border goes on."""
        around = self.scene.frame(t_s, WORLD_PX)
        azimuth, elevation = angles(self._rays @ _head(pan, tilt).T)
        column = (0.5 - azimuth / WORLD_RAD[0]) * WORLD_PX[0]
        row = (0.5 - elevation / WORLD_RAD[1]) * WORLD_PX[1]
        x = np.clip(column, 0, WORLD_PX[0] - 1).astype(np.intp)
        y = np.clip(row, 0, WORLD_PX[1] - 1).astype(np.intp)
        return np.ascontiguousarray(around[y, x])

    def heard(self, start_s: float, end_s: float) -> npt.NDArray[np.float32]:
        """The sound between two times."""
        return self.sound[round(start_s * RATE) : round(end_s * RATE)]

    def truth(self, t_s: float) -> tuple[float, float] | None:
        """(azimuth, elevation) of what sounds; None while nothing sounds, or nothing that is to be seen."""
        sounding = next((o for o in self.scene.truth(t_s, WORLD_PX) if o.sounding), None)
        if sounding is None:
            return None
        x0, y0, x1, y1 = sounding.box_px
        return (
            (0.5 - (x0 + x1) / 2 / WORLD_PX[0]) * WORLD_RAD[0],
            (0.5 - (y0 + y1) / 2 / WORLD_PX[1]) * WORLD_RAD[1],
        )


def _turns(drawn: Scene, seconds: float) -> tuple[Turn, ...]:
    """One object after the other for `TURN_S`, now and then silence: slow enough for a head to get there."""
    cast = [(index, actor.name) for index, actor in enumerate(drawn.actors) if actor.name is not None]
    turns: list[Turn] = []
    while not turns or turns[-1].end_s < seconds:
        start = turns[-1].end_s if turns else 0.0
        if len(turns) % 4 == 3:
            turns.append(Turn(start, start + PAUSE_S, None, None))
        else:
            index, name = cast[(len(turns) - len(turns) // 4) % len(cast)]
            turns.append(Turn(start, start + TURN_S, name, index))
    return tuple(turns)


def _head(pan: float, tilt: float) -> npt.NDArray[np.float64]:
    """Rotation from the camera's optical frame to that of a head that looks straight ahead."""
    cp, sp, ct, st = math.cos(pan), math.sin(pan), math.cos(tilt), math.sin(tilt)
    up = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])  # about x: tilt > 0 looks up (y is down)
    left = np.array([[cp, 0, -sp], [0, 1, 0], [sp, 0, cp]])  # about y: pan > 0 looks left
    return np.asarray(left @ up)
