"""Stamps of messages: what the source wrote, unchanged; else the capture stamp as a date.

The wall clock may be set while we run (NTP). Its offset to the monotonic clock is looked at once a second and taken
anew when it moved by more than 5 ms; each such step is counted.
"""

from __future__ import annotations

import logging
import time

from ..results import Result

_LOG = logging.getLogger(__name__)
_STEP_NS = 5_000_000
_LOOK_NS = 1_000_000_000
DEFAULT_FRAME_ID = "camera_optical_frame"


class MessageStamps:
    """Turns a session's stamps into those of messages. Used by one sink, in its thread."""

    def __init__(self, wall_offset_ns: int) -> None:
        """`wall_offset_ns`: wall clock minus monotonic clock, as the session saw it at its start (0: ask now)."""
        self.offset_ns = wall_offset_ns or time.time_ns() - time.monotonic_ns()
        self.steps = 0  # times that the wall clock was set meanwhile
        self._looked_ns = time.monotonic_ns()
        self._source_offset_ns: int | None = None

    def of(self, result: Result) -> int:
        """Nanoseconds since 1970 on this machine, or the source's own stamp where it has one."""
        if result.source_stamp_ns is not None:
            self._source_offset_ns = result.source_stamp_ns - result.capture_ns
            return result.source_stamp_ns
        self._source_offset_ns = None
        return self.date_ns(result.capture_ns)

    def of_sound(self, start_ns: int) -> int:
        """The same for sound: on the clock that the pictures' stamps are on."""
        if self._source_offset_ns is not None:
            return start_ns + self._source_offset_ns
        return self.date_ns(start_ns)

    def date_ns(self, monotonic_ns: int) -> int:
        """A stamp of the monotonic clock as a date."""
        self.look(time.time_ns(), time.monotonic_ns())
        return monotonic_ns + self.offset_ns

    def look(self, wall_ns: int, monotonic_ns: int) -> None:
        """Compare the clocks, at most once a second."""
        if monotonic_ns - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns = monotonic_ns
        moved_ns = wall_ns - monotonic_ns - self.offset_ns
        if abs(moved_ns) > _STEP_NS:
            self.steps += 1
            self.offset_ns += moved_ns
            _LOG.warning("the wall clock was set by %.3f s: message stamps follow it from here on", moved_ns / 1e9)


def split_ns(stamp_ns: int) -> tuple[int, int]:
    """(seconds, nanoseconds) as ROS and Foxglove write a stamp."""
    return divmod(stamp_ns, 1_000_000_000)
