"""Bearings over time become tracks: a Kalman filter in angle for each source, optimal assignment, birth and death.

    bearing, bearing          unseen < forget_s              silent < forget_silent_s
    tentative ──► seen ◄──────────────────────► unseen ──► (gone)
                    ◄─────────────────────────► silent ──► (gone)

Pure: every time is an argument, nothing here reads a clock. A result is never held back: what comes in at a stamp goes
out with the same stamp.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..geometry.bearing import Bearing
from .assignment import assign

Floats = npt.NDArray[np.float64]

# Share of a bearing's covariance that does not average out from frame to frame (the map errs the same way for a
# while): part of what is told, not of the filter. benchmarks/buses/tracking.py prints what this number is fitted to.
_LASTING = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRules:
    """How tracks behave; the defaults suit people, pets and loudspeakers in a room."""

    acceleration_rad_s2: float = 0.6  # how lively sources are (standard deviation)
    gate: float = 4.0  # a bearing further off than so many standard deviations is another source
    gate_rad: float = 0.35  # and never further than this
    min_hits: int = 2  # bearings that make a track
    forget_s: float = 1.0  # something sounds, but not there
    forget_silent_s: float = 4.0  # nothing sounds: whoever was heard last may go on
    slow_down_s: float = 0.5  # an unseen source is expected to come to rest so soon

    def __post_init__(self) -> None:
        positive = (self.acceleration_rad_s2, self.gate, self.gate_rad, self.forget_s, self.slow_down_s)
        if min(positive) <= 0 or self.min_hits < 1 or self.forget_silent_s < self.forget_s:
            raise ConfigError(f"{self}: want values above 0 and forget_silent_s at least forget_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One source at one moment. Azimuth to the left and elevation upwards are positive (body frame), radians."""

    track_id: int  # never used twice by one `Tracker`
    state: str  # "seen" | "unseen" (something sounds, not here) | "silent" (nothing sounds)
    azimuth_rad: float
    elevation_rad: float
    azimuth_rate_rad_s: float
    elevation_rate_rad_s: float
    covariance: tuple[float, ...]  # 16 values, row by row: azimuth, elevation (rad), their rates (rad/s)
    age_s: float  # since its first bearing
    unseen_s: float  # since its last bearing

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "track_id": self.track_id,
            "state": self.state,
            "azimuth_rad": round(self.azimuth_rad, 5),
            "elevation_rad": round(self.elevation_rad, 5),
            "azimuth_rate_rad_s": round(self.azimuth_rate_rad_s, 5),
            "elevation_rate_rad_s": round(self.elevation_rate_rad_s, 5),
            "covariance": [round(v, 8) for v in self.covariance],
            "age_s": round(self.age_s, 3),
            "unseen_s": round(self.unseen_s, 3),
        }


@dataclass(slots=True, eq=False)
class _Source:
    """State (azimuth, elevation, their rates) and its covariance (4, 4)."""

    mean: Floats
    covariance: Floats
    first_ns: int
    seen_ns: int
    track_id: int = 0  # 0: tentative
    hits: int = 1
    silent: bool = False
    lasting: Floats = field(default_factory=lambda: np.zeros((2, 2)))

    def predict(self, dt_s: float, rules: TrackRules, at_rest: bool) -> None:
        """Constant velocity with white acceleration; a source out of sight comes to rest."""
        keep = math.exp(-dt_s / rules.slow_down_s) if at_rest else 1.0
        move = np.eye(4)
        move[0, 2] = move[1, 3] = rules.slow_down_s * (1 - keep) if at_rest else dt_s
        move[2, 2] = move[3, 3] = keep
        q = rules.acceleration_rad_s2**2
        noise = np.zeros((4, 4))
        for angle, rate in ((0, 2), (1, 3)):
            noise[angle, angle], noise[rate, rate] = q * dt_s**4 / 4, q * dt_s**2
            noise[angle, rate] = noise[rate, angle] = q * dt_s**3 / 2
        self.mean = move @ self.mean
        self.mean[0] = math.remainder(self.mean[0], 2 * math.pi)
        self.covariance = move @ self.covariance @ move.T + noise

    def innovation(self, bearing: Bearing) -> tuple[Floats, Floats]:
        """Measured minus expected angles (2,) and the covariance (2, 2) of that difference."""
        off = np.array([bearing.azimuth_rad - self.mean[0], bearing.elevation_rad - self.mean[1]])
        off[0] = math.remainder(off[0], 2 * math.pi)
        return off, self.covariance[:2, :2] + np.reshape(bearing.covariance_rad2, (2, 2))

    def update(self, bearing: Bearing, stamp_ns: int) -> None:
        """Take a bearing in."""
        off, spread = self.innovation(bearing)
        gain = np.linalg.solve(spread, self.covariance[:2]).T
        self.mean = self.mean + gain @ off
        self.mean[0] = math.remainder(self.mean[0], 2 * math.pi)
        left = np.eye(4)
        left[:, :2] -= gain
        noise = np.reshape(bearing.covariance_rad2, (2, 2))
        self.covariance = left @ self.covariance @ left.T + gain @ noise @ gain.T  # Joseph's form: stays symmetric
        self.lasting = _LASTING * noise
        self.seen_ns, self.hits = stamp_ns, self.hits + 1


class Tracker:
    """Not thread-safe. `late` counts updates whose stamp was not newer than the last: they change nothing."""

    def __init__(self, rules: TrackRules | None = None) -> None:
        self.rules = rules or TrackRules()
        self.late = 0
        self._sources: list[_Source] = []
        self._last_ns: int | None = None
        self._next_id = 1

    def update(self, stamp_ns: int, bearings: Sequence[Bearing], audible: bool) -> tuple[Track, ...]:
        """What was found in the frame of `stamp_ns`; returns every track at that stamp, the oldest first."""
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self.late += 1
            return self.tracks()
        dt_s = (stamp_ns - self._last_ns) / 1e9 if self._last_ns is not None else 0.0
        for source in self._sources:
            source.predict(dt_s, self.rules, at_rest=source.silent or source.seen_ns != self._last_ns)
            source.silent = not audible
        self._last_ns = stamp_ns
        pairs = assign(self._costs(bearings))
        for row, column in pairs:
            self._sources[row].update(bearings[column], stamp_ns)
        self._settle(stamp_ns, audible)
        taken = {column for _, column in pairs}
        for column, bearing in enumerate(bearings):
            if column not in taken:
                self._sources.append(_born(bearing, stamp_ns))
        self._name()
        return self.tracks()

    def tracks(self) -> tuple[Track, ...]:
        """The tracks as they were at the last update."""
        now_ns = self._last_ns or 0
        known = sorted((s for s in self._sources if s.track_id), key=lambda s: s.track_id)
        return tuple(self._told(source, now_ns) for source in known)

    def _costs(self, bearings: Sequence[Bearing]) -> Floats:
        """Squared normalized distance plus log-determinant (a vague track must not win), infinite outside the gate."""
        cost = np.full((len(self._sources), len(bearings)), np.inf)
        for row, source in enumerate(self._sources):
            for column, bearing in enumerate(bearings):
                off, spread = source.innovation(bearing)
                distance = float(off @ np.linalg.solve(spread, off))
                if distance <= self.rules.gate**2 and float(np.hypot(*off)) <= self.rules.gate_rad:
                    vague = math.log(float(np.linalg.det(spread))) + 30.0
                    cost[row, column] = distance + max(0.0, vague) + (0.0 if source.track_id else self.rules.gate**2)
        return cost

    def _settle(self, stamp_ns: int, audible: bool) -> None:
        """Let go of who was not found for too long; a tentative one must be found at once again."""

        def stays(source: _Source) -> bool:
            unseen_s = (stamp_ns - source.seen_ns) / 1e9
            if not source.track_id:
                return unseen_s == 0.0
            return unseen_s <= (self.rules.forget_s if audible else self.rules.forget_silent_s)

        self._sources = [source for source in self._sources if stays(source)]

    def _name(self) -> None:
        for source in self._sources:
            if not source.track_id and source.hits >= self.rules.min_hits:
                source.track_id, self._next_id = self._next_id, self._next_id + 1

    def _told(self, source: _Source, now_ns: int) -> Track:
        azimuth, elevation, azimuth_rate, elevation_rate = source.mean.tolist()
        unseen = "silent" if source.silent else "unseen"
        covariance = source.covariance.copy()
        covariance[:2, :2] += source.lasting
        return Track(
            track_id=source.track_id,
            state="seen" if source.seen_ns == now_ns else unseen,
            azimuth_rad=azimuth,
            elevation_rad=elevation,
            azimuth_rate_rad_s=azimuth_rate,
            elevation_rate_rad_s=elevation_rate,
            covariance=tuple(covariance.ravel().tolist()),
            age_s=(now_ns - source.first_ns) / 1e9,
            unseen_s=(now_ns - source.seen_ns) / 1e9,
        )


def _born(bearing: Bearing, stamp_ns: int) -> _Source:
    covariance = np.zeros((4, 4))
    covariance[:2, :2] = np.reshape(bearing.covariance_rad2, (2, 2))
    covariance[2, 2] = covariance[3, 3] = 0.5**2  # rad/s: nothing is known of its speed
    return _Source(np.array([bearing.azimuth_rad, bearing.elevation_rad, 0.0, 0.0]), covariance, stamp_ns, stamp_ns)
