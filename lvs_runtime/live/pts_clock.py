"""Media time of a live stream on the monotonic clock: its own stamps laid under the earliest arrivals."""

from __future__ import annotations

from .clock import EnvelopeClock


class EnvelopePtsClock:
    """The microphone's estimator with the stream's nanoseconds in place of a sample count."""

    def __init__(self) -> None:
        self._clock = EnvelopeClock(1e9)

    def stamp(self, media_ns: int, arrival_ns: int) -> int:
        """The stamp of `media_ns`, which was held at `arrival_ns`."""
        self._clock.add(media_ns, arrival_ns)
        assert self._clock.timeline is not None
        return self._clock.timeline.ns_at(media_ns)
