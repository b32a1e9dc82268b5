"""Whose clock stamped a message? Its stamps on this machine's monotonic clock, whatever clock they were made with.

    lateness = arrival as a date - stamp      its minimum over some seconds is the clocks' offset plus the fastest way

    -0.1 ... 1 s: stamps of a wall clock like ours, taken as they are       "header"
    beyond: another domain (simulated time, time since boot, a clock never set), shifted by the envelope "other_clock"

Pure: arrivals are arguments.
"""

from __future__ import annotations

from collections import deque

# Clocks of two machines differ by milliseconds, and drivers often stamp a block of sound at its end.
_SAME_NS = (-100_000_000, 1_000_000_000)
_SPAN_NS = 5_000_000_000
_SLICE_NS = 500_000_000


class DomainClock:
    """One for all streams of a source, so that picture and sound are shifted alike."""

    def __init__(self, wall_offset_ns: int) -> None:
        """`wall_offset_ns`: this machine's wall clock minus its monotonic clock."""
        self._wall_offset_ns = wall_offset_ns
        self._minima: deque[tuple[int, int]] = deque()  # (slice, least arrival - stamp in it)

    @property
    def offset_ns(self) -> int:
        """Monotonic clock minus the stamps' clock, as it is used."""
        return min(least for _, least in self._minima) if self.is_other else -self._wall_offset_ns

    @property
    def is_other(self) -> bool:
        """The stamps are of another clock domain."""
        if not self._minima:
            return False
        lateness_ns = min(least for _, least in self._minima) + self._wall_offset_ns
        return not _SAME_NS[0] <= lateness_ns <= _SAME_NS[1]

    def observe(self, stamp_ns: int, arrival_ns: int) -> None:
        """A message whose event ended at `stamp_ns` was held at `arrival_ns` on the monotonic clock."""
        at, offset_ns = arrival_ns // _SLICE_NS, arrival_ns - stamp_ns
        if self._minima and abs(offset_ns - self._minima[-1][1]) > 1_000_000_000 and self._jumped(offset_ns):
            self._minima.clear()
        if self._minima and self._minima[-1][0] == at:
            self._minima[-1] = at, min(offset_ns, self._minima[-1][1])
        else:
            self._minima.append((at, offset_ns))
        while self._minima[0][0] < at - _SPAN_NS // _SLICE_NS:
            self._minima.popleft()

    def capture_ns(self, stamp_ns: int, arrival_ns: int) -> tuple[int, str]:
        """(stamp on the monotonic clock, "header" | "other_clock"); never later than the arrival."""
        return min(stamp_ns + self.offset_ns, arrival_ns), "other_clock" if self.is_other else "header"

    def restart(self) -> None:
        """The stamps' clock began anew (a simulation was reset)."""
        self._minima.clear()

    def _jumped(self, offset_ns: int) -> bool:
        """Stamps cannot be that much fresher than the freshest: their clock was set."""
        return offset_ns < min(least for _, least in self._minima) - 1_000_000_000


class StampOrder:
    """Sorts out what a bus delivers twice or late. `restarted` is set when the stamps began anew."""

    def __init__(self) -> None:
        self.restarted = False
        self._last_ns: int | None = None
        self._backwards = 0

    def check(self, stamp_ns: int) -> str:
        """ "" for a message that goes on, else "duplicate" or "out_of_order"."""
        self.restarted = False
        last = self._last_ns
        if last is None or stamp_ns > last:
            self._last_ns, self._backwards = stamp_ns, 0
            return ""
        if stamp_ns == last:
            return "duplicate"
        self._backwards += 1
        if last - stamp_ns > 1_000_000_000 and self._backwards >= 3:
            self.restarted, self._last_ns, self._backwards = True, stamp_ns, 0
            return ""
        return "out_of_order"
