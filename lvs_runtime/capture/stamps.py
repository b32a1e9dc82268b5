"""Which stamp a camera's frame gets: the driver's when it can be trusted, else its arrival."""

from __future__ import annotations

_MAX_AHEAD_NS = 5_000_000
_MAX_BEHIND_NS = 500_000_000
_PROBATION = 10  # frames with one verdict before it is believed


class StampTrust:
    """Judges driver stamps against arrivals; the verdict changes only after ten frames that agree.

    Until then, and for ever where the driver lies (wall clock, zero, a stamp that stands still), arrival is used.
    Pure: the stamps are arguments.
    """

    def __init__(self) -> None:
        self.trusted = False
        self.switches = 0  # each later change of the verdict moves the skew by the driver's delay
        self._agreeing = 0
        self._last_ns = 0
        self._decided = False

    def choose(self, driver_ns: int, arrival_ns: int) -> tuple[int, str]:
        """(stamp, "driver" | "arrival") for one frame; `driver_ns` 0 means that the driver gave none."""
        plausible = -_MAX_AHEAD_NS <= arrival_ns - driver_ns <= _MAX_BEHIND_NS and driver_ns > self._last_ns
        self._last_ns = driver_ns
        self._agreeing = self._agreeing + 1 if plausible != self.trusted else 0
        if self._agreeing >= _PROBATION:
            self.trusted, self._agreeing = plausible, 0
            self.switches += self._decided
            self._decided = True
        # A single bad stamp of a trusted driver is not used either.
        return (driver_ns, "driver") if self.trusted and plausible else (arrival_ns, "arrival")
