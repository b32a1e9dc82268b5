"""The similarity map over time, steadier without being older: only what is past is used, nothing is waited for.

One-euro filter (Casiez, Roussel, Vogel, CHI 2012) on every cell: a low pass whose cut-off rises with the speed of the
change, so that a resting map is held steady and a new source is shown at once.

    alpha(f) = 1 - exp(-2 pi f dt)      speed = low pass of |newest - held| / dt      f = rest_hz + speed_gain * speed

Pure: stamps are arguments.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

KINDS = ("one-euro", "exponential", "off")
_FORGET_NS = 300_000_000  # after a gap of this length what was held is old
_Map = npt.NDArray[np.float32]


class Smoother(Protocol):
    """One map in, one map out, in the order of their stamps."""

    def update(self, similarity_map: _Map, stamp_ns: int) -> _Map:
        """Take the map of this moment, give the smoothed one: the same shape, values between those seen."""

    def reset(self) -> None:
        """Forget: silence, or another source."""


class Off:
    """Maps as they are."""

    def update(self, similarity_map: _Map, stamp_ns: int) -> _Map:
        """The map itself."""
        return similarity_map

    def reset(self) -> None:
        """Nothing is held."""


class OneEuro:
    """See the top of the module. `speed_gain` 0 is a plain exponential filter."""

    def __init__(self, rest_hz: float, speed_gain: float, speed_hz: float = 2.0) -> None:
        """`rest_hz`: cut-off for a map at rest; `speed_gain`: Hz for each 1/s of speed; `speed_hz`: the speed's own."""
        self._rest_hz, self._gain, self._speed_hz = rest_hz, speed_gain, speed_hz
        self._held: _Map | None = None
        self._speed: Any = 0.0
        self._stamp_ns = 0

    def update(self, similarity_map: _Map, stamp_ns: int) -> _Map:
        """See `Smoother`. The first map, and one after a gap, comes out as it is."""
        gap_ns = stamp_ns - self._stamp_ns
        self._stamp_ns = stamp_ns
        if self._held is None or not 0 < gap_ns <= _FORGET_NS:
            self._held, self._speed = similarity_map, 0.0
            return similarity_map
        dt_s = gap_ns / 1e9
        change = similarity_map - self._held
        self._speed = self._speed + _alpha(self._speed_hz, dt_s) * (np.abs(change) / dt_s - self._speed)
        alpha = 1 - np.exp(-2 * math.pi * dt_s * (self._rest_hz + self._gain * self._speed))
        self._held = (self._held + alpha * change).astype(np.float32)
        return self._held

    def reset(self) -> None:
        """See `Smoother`."""
        self._held = None


def make_smoother(kind: str) -> Smoother:
    """One of `KINDS`; the constants are those that `benchmarks/live/smoothing.py` measured on the drawn world."""
    if kind == "one-euro":
        return OneEuro(rest_hz=0.5, speed_gain=4.0)
    return OneEuro(rest_hz=2.5, speed_gain=0.0) if kind == "exponential" else Off()


def _alpha(cutoff_hz: float, dt_s: float) -> float:
    return 1 - math.exp(-2 * math.pi * cutoff_hz * dt_s)
