"""Arrivals on a schedule whatever the system does: the only loop in which waiting shows.

A camera does not slow down when inference does. Frame k of a camera is due at `start + phase + k * period`; its age
counts from there, also when this thread woke late. One worker takes the newest frame that is due (`latest`) or the
oldest (`all`); with several cameras each has a slot of its own and they are served in turn.

    due     |     |     |     |     |     |          closed loop: the stall is one sample
    work    [k][k+1][======== stall ========][k+5]   here: one late result, and k+2 ... k+4 dropped, with their due
                                                     moments on record
Nothing runs beside the worker: arrivals are computed, so the schedule costs no thread and no copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .clocks import Clock
from .rows import Recorder, Rows

SUPERSEDED = "superseded"
Work = Callable[[int, int], dict[str, float] | None]  # (frame number, camera) -> stages in ms, if it knows them


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Who arrives when."""

    period_ns: int
    frames: int  # of each camera
    streams: int = 1
    latest: bool = True  # newest frame only; False: every frame in order
    spread: bool = True  # cameras share the period evenly instead of all firing at once

    def due_ns(self, start_ns: int, stream: int, k: int) -> int:
        """When frame `k` of camera `stream` arrives."""
        phase_ns = self.period_ns * stream // self.streams if self.spread else 0
        return start_ns + phase_ns + k * self.period_ns


@dataclass
class LoopRun:
    """What came of a schedule."""

    rows: Rows
    dropped: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    offered: int = 0
    partial: bool = False
    start_ns: int = 0
    end_ns: int = 0


def run(work: Work, schedule: Schedule, clock: Clock) -> LoopRun:
    """Serve the schedule with one worker. Ctrl-C ends it with what there is."""
    start_ns = clock.now_ns()
    recorder = Recorder(schedule.frames * schedule.streams)
    loop = _Loop(schedule, start_ns)
    partial = False
    try:
        while (taken := loop.take(clock)) is not None:
            stream, k = taken
            taken_ns = clock.now_ns()
            stages = work(k, stream)
            due_ns = schedule.due_ns(start_ns, stream, k)
            recorder.add(
                k, due_ns, taken_ns, clock.now_ns(), stream=stream, stages_ms=_stages(stages, due_ns, taken_ns)
            )
    except KeyboardInterrupt:
        partial = True
    end_ns = clock.now_ns()
    offered = sum(loop.arrived(stream, end_ns) for stream in range(schedule.streams))
    return LoopRun(recorder.rows(), loop.dropped, offered, partial, start_ns, end_ns)


class _Loop:
    """Which frame is next. Keeps for each camera the number of the last frame that was taken or passed over."""

    def __init__(self, schedule: Schedule, start_ns: int) -> None:
        self._schedule, self._start_ns = schedule, start_ns
        self._last = [-1] * schedule.streams
        self._turn = 0
        self.dropped: dict[tuple[int, int], tuple[int, str]] = {}

    def arrived(self, stream: int, now_ns: int) -> int:
        """How many frames of this camera have arrived by now."""
        passed_ns = now_ns - self._schedule.due_ns(self._start_ns, stream, 0)
        return max(0, min(self._schedule.frames, passed_ns // self._schedule.period_ns + 1))

    def take(self, clock: Clock) -> tuple[int, int] | None:
        """(camera, frame), waiting for it; None when every camera is through."""
        schedule = self._schedule
        while True:
            now_ns = clock.now_ns()
            for step in range(schedule.streams):
                stream = (self._turn + step) % schedule.streams
                newest = self.arrived(stream, now_ns) - 1
                if newest > self._last[stream]:
                    self._turn = (stream + 1) % schedule.streams
                    return stream, self._next(stream, newest)
            due = [
                schedule.due_ns(self._start_ns, stream, self._last[stream] + 1)
                for stream in range(schedule.streams)
                if self._last[stream] + 1 < schedule.frames
            ]
            if not due:
                return None
            clock.sleep_until_ns(min(due))

    def _next(self, stream: int, newest: int) -> int:
        first = self._last[stream] + 1
        k = newest if self._schedule.latest else first
        for passed in range(first, k):
            self.dropped[stream, passed] = (self._schedule.due_ns(self._start_ns, stream, passed), SUPERSEDED)
        self._last[stream] = k
        return k


def _stages(stages: dict[str, float] | None, due_ns: int, taken_ns: int) -> dict[str, float]:
    return {"wait": (taken_ns - due_ns) / 1e6, **(stages or {})}
