"""Time as an argument: the real clock, which sleeps to absolute moments. Tests hand in one that only counts."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Something that knows the time and can wait for a moment."""

    def now_ns(self) -> int:
        """Nanoseconds on a clock that never goes back."""

    def sleep_until_ns(self, moment_ns: int) -> None:
        """Return at `moment_ns` or a little later; at once when it has passed."""


class RealClock:
    """`time.monotonic_ns`. A sleep overshoots by 0.1 ms or so: ages count from the schedule, so that is inside them."""

    def now_ns(self) -> int:
        """See `Clock`."""
        return time.monotonic_ns()

    def sleep_until_ns(self, moment_ns: int) -> None:
        """See `Clock`."""
        while (left_ns := moment_ns - time.monotonic_ns()) > 0:
            time.sleep(left_ns / 1e9)
