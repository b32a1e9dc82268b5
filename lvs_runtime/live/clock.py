"""When a microphone's samples happened: the sample count laid under the earliest arrivals.

    arrival of a block = truth + delay, delay >= 0 and often bunched or backlogged
    y = arrival - count / rate      only its minimum means something: one minimum a second, a line through them

          y |   .  :   .        . :      .
            | .  .   :    .  :       .       <- late blocks: ignored
            |.__.______.__.______.___.__.    <- lower envelope: offset + slope (the card's drift)
            +------------------------------ count

Pure: arrivals are arguments, nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

_WARM_UP_S = 5.0  # until then the plain minimum, slope 0
_WINDOW_S = 30  # one-second minima that are kept
_PAIR_S = 7.5  # least distance of two minima for a slope
_MAX_SLOPE = 500e-6
_STEP_S = 0.020  # a lasting step of more than this is lost sound (up) or another stream (down)
_LASTING_S = 3  # seconds an upward step must stay
_SLEW_NS = 1_000_000  # most that a published stamp moves per block


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A straight line from sample counts to stamps: sample `count` begins at `ns`."""

    count: float
    ns: int
    ns_per_count: float

    def ns_at(self, count: float) -> int:
        """The stamp at which sample `count` begins."""
        return self.ns + round((count - self.count) * self.ns_per_count)

    def count_at(self, ns: int) -> float:
        """The sample that begins at `ns`, with its fraction."""
        return self.count + (ns - self.ns) / self.ns_per_count

    def resampled(self, ratio: float, shift_in: float, first_out: float) -> TimeLine:
        """The line of a resampled stream whose sample `first_out + k` lies at input sample `k * ratio - shift_in`."""
        return TimeLine(first_out + (self.count + shift_in) / ratio, self.ns, self.ns_per_count * ratio)


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """The stream is no longer the one that was counted: `lost` samples are missing at `count` (0: replaced)."""

    kind: str  # "gap" | "replaced"
    count: int
    lost: int = 0


@dataclass(slots=True)
class _Minimum:
    second: int
    count: int
    y_s: float


class EnvelopeClock:
    """Lower-envelope estimate of offset and drift for one counted stream (samples, or pts ticks)."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.slope = 0.0  # seconds of stamp per second of samples, minus one
        self.settled = False
        self.timeline: TimeLine | None = None
        self._zero_ns: int | None = None
        self._minima: deque[_Minimum] = deque(maxlen=_WINDOW_S)
        self._offset_s = 0.0
        self._raised_at: int | None = None  # count of the first block of the current upward step
        self._suspect = False  # the driver reported an overflow: one raised second is proof enough

    def add(self, count_end: int, arrival_ns: int, overflow: bool = False) -> ClockEvent | None:
        """One block: samples counted up to its end, and when it was held. Moves `timeline`; tells of lost sound."""
        if self._zero_ns is None:
            self._zero_ns = arrival_ns
        arrival_s = (arrival_ns - self._zero_ns) / 1e9
        y_s = arrival_s - count_end / self.rate_hz
        event = self._fell(y_s, count_end, arrival_ns) if self.settled else None
        if event is not None:
            return event
        self._suspect = self._suspect or overflow
        event = self._remember(int(arrival_s), count_end, y_s)
        self._watch_step(y_s, count_end)
        self.settled = self.settled or arrival_s >= _WARM_UP_S
        self._publish(count_end)
        return event

    def _remember(self, second: int, count: int, y_s: float) -> ClockEvent | None:
        if self._minima and self._minima[-1].second == second:
            last = self._minima[-1]
            if y_s < last.y_s:
                last.y_s, last.count = y_s, count
            if not self.settled:
                self._estimate()
            return None
        event = self._lost_sound() if self.settled else None
        if self._minima:
            self._estimate()
        self._minima.append(_Minimum(second, count, y_s))
        if not self.settled:
            self._estimate()
        return event

    def _estimate(self) -> None:
        counts = np.array([m.count for m in self._minima]) / self.rate_hz
        y = np.array([m.y_s for m in self._minima])
        if not self.settled:
            self.slope, self._offset_s = 0.0, float(y.min())
            return
        # A backlog at the start or a stall lifts whole seconds; drift lifts 30 s by 15 ms at most.
        honest = y <= y.min() + _STEP_S
        counts, y = counts[honest], y[honest]
        earlier, later = np.triu_indices(len(y), 1)
        apart = counts[later] - counts[earlier]
        far = apart >= _PAIR_S
        if far.any():
            slopes = (y[later] - y[earlier])[far] / apart[far]
            self.slope = float(np.clip(np.median(slopes), -_MAX_SLOPE, _MAX_SLOPE))
        self._offset_s = float(np.percentile(y - self.slope * counts, 10))

    def _expected_y(self, count: int) -> float:
        return self._offset_s + self.slope * count / self.rate_hz

    def _watch_step(self, y_s: float, count: int) -> None:
        if not self.settled or y_s - self._expected_y(count) <= _STEP_S:
            self._raised_at = None
        elif self._raised_at is None:
            self._raised_at = count

    def _lost_sound(self) -> ClockEvent | None:
        needed = 1 if self._suspect else _LASTING_S
        recent = list(self._minima)[-needed:]
        if self._raised_at is None or len(recent) < needed or recent[0].count < self._raised_at:
            return None
        step_s = min(m.y_s - self._expected_y(m.count) for m in recent)
        if step_s <= _STEP_S:
            return None
        event = ClockEvent("gap", self._raised_at, round(step_s * self.rate_hz))
        for minimum in self._minima:  # the drift learnt so far stays valid on the other side of the step
            if minimum.count < self._raised_at:
                minimum.y_s += step_s
        self._raised_at, self._suspect, self.timeline = None, False, None
        return event

    def _fell(self, y_s: float, count: int, arrival_ns: int) -> ClockEvent | None:
        if y_s >= self._expected_y(count) - _STEP_S:
            return None
        # Sound cannot come before it happened: this is another stream (a daemon moved it). Start over.
        self._minima.clear()
        self._zero_ns = arrival_ns
        self.settled, self.timeline, self._raised_at, self._suspect = False, None, None, False
        self._remember(0, count, -count / self.rate_hz)
        self._publish(count)
        return ClockEvent("replaced", count)

    def _publish(self, count: int) -> None:
        assert self._zero_ns is not None
        target_ns = self._zero_ns + round((count / self.rate_hz + self._expected_y(count)) * 1e9)
        if self.timeline is not None and self.settled:
            current_ns = self.timeline.ns_at(count)
            target_ns = current_ns + max(-_SLEW_NS, min(_SLEW_NS, target_ns - current_ns))
        self.timeline = TimeLine(count, target_ns, 1e9 / self.rate_hz * (1 + self.slope))
