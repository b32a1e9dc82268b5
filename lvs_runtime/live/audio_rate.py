"""When a frame gets an audio embedding of its own, and when it takes the one before. Pure: moments are arguments.

frame   |   |   |   |   |   |   |   |        there is time:  own own own own own own own own
own     *   *   *   *   *   *   *   *        there is none:  own  .   .  own  .   .  own  .   (8 a second or more)
"""

from __future__ import annotations

from typing import Protocol

LEAST_HZ = 8.0  # however busy the machine is (a session with fewer results embeds for each of them)
_BUSY = 0.85  # share of the time between two frames that one frame's work may take
_WEIGHT = 0.1  # of the newest value in a running mean


class AudioRate(Protocol):
    """Decides for each frame; called in the inference thread."""

    def wants(self, begin_ns: int, now_ns: int) -> bool:
        """Whether the frame whose inference began at `begin_ns`, and whose picture is embedded now, gets its own."""

    def took(self, cost_ns: int) -> None:
        """An embedding was made for that frame."""


class EveryFrame:
    """Files: each frame its own, always."""

    def wants(self, begin_ns: int, now_ns: int) -> bool:
        """True."""
        return True

    def took(self, cost_ns: int) -> None:
        """Of no interest."""


class SpareTime:
    """Live: each frame its own while the work of a frame fits between two; else as often as `LEAST_HZ` demands."""

    def __init__(self, most_hz: float | None = None) -> None:
        """`most_hz`: a rate that the user wants instead of what the machine can do."""
        self._fixed_ns = None if most_hz is None else 1e9 / most_hz
        self._begin_ns: int | None = None
        self._own_ns: int | None = None
        self._period_ns = self._picture_ns = self._sound_ns = 0.0  # running means

    def wants(self, begin_ns: int, now_ns: int) -> bool:
        """See `AudioRate`. Between frames lie whole periods: an embedding comes before the limit, never after."""
        if self._begin_ns is not None:
            self._period_ns = _mean(self._period_ns, min(begin_ns - self._begin_ns, 1_000_000_000))
        self._begin_ns = begin_ns
        self._picture_ns = _mean(self._picture_ns, now_ns - begin_ns)
        if self._own_ns is None:
            return True
        since_ns = begin_ns - self._own_ns
        if self._fixed_ns is not None:
            return since_ns + self._period_ns / 2 >= self._fixed_ns
        if since_ns + self._period_ns > 1e9 / LEAST_HZ:
            return True
        return self._picture_ns + self._sound_ns <= _BUSY * self._period_ns

    def took(self, cost_ns: int) -> None:
        """See `AudioRate`."""
        self._own_ns = self._begin_ns
        self._sound_ns = _mean(self._sound_ns, cost_ns)


def _mean(before: float, newest: float) -> float:
    return before + _WEIGHT * (newest - before) if before else float(newest)
