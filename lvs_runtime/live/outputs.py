"""Where results go: every sink behind its own queue, a callback, an iterating caller."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks import ResultSink, SessionInfo, SinkQueue, open_sink
from .slot import FrameSlot
from .track import TrackSound

_BEHIND = 4  # results that a lossless iteration may be behind
_CLOSE_S, _CLOSE_LOSSLESS_S = 10.0, 120.0  # what a sink may take to write what waits: a file run loses nothing
_EARLY = 300  # results kept for an iteration that begins a little after the session


class Outputs:
    """Fans out. With `lossless` everything waits for the slowest; else each sink loses its own and nobody waits."""

    def __init__(self, sinks: Sequence[str | ResultSink], on_result: Callable[[Result], None] | None) -> None:
        self._queues = [SinkQueue(open_sink(sink) if isinstance(sink, str) else sink) for sink in sinks]
        self._on_result = on_result
        self._lossless = False
        self._iterating = False
        self._started = False
        self._rate_hz = 16_000
        self.results: FrameSlot[Result] = FrameSlot()  # for an iterating caller: the newest, or all (lossless)

    def iterate(self) -> FrameSlot[Result]:
        """From now on somebody takes the results: with `lossless` everything waits for that."""
        self._iterating = True
        if self._lossless:
            self.results.configure(_BEHIND, lossless=True)
        return self.results

    def start(self, info: SessionInfo, lossless: bool) -> None:
        """Open every sink; raises the first one's `SinkError`."""
        self._lossless = lossless
        if lossless:
            self.results.configure(_BEHIND if self._iterating else _EARLY, lossless=self._iterating)
        self._rate_hz = info.sample_rate or self._rate_hz
        for queue in self._queues:
            queue.start(info)
        self._started = True

    def put(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Hand one result to everybody."""
        for queue in self._queues:
            queue.put(frame, result, audio, block=self._lossless)
        if self._on_result is not None:
            self._on_result(result)
        self.results.put(result)

    def put_sound(self, sound: TrackSound) -> None:
        """Hand continuous sound to the sinks, from the moment they are open."""
        if not self._started:
            return
        for queue in self._queues:
            queue.put_audio(sound.samples, self._rate_hz, sound.start_ns, block=self._lossless)

    @property
    def wants_stop(self) -> bool:
        """A sink asks for the end (window closed)."""
        return any(queue.wants_stop for queue in self._queues)

    @property
    def errors(self) -> list[SinkError]:
        """Why sinks died."""
        return [queue.error for queue in self._queues if queue.error is not None]

    def drops(self) -> dict[str, int]:
        """Results that sinks lost, by reason, over all sinks."""
        total: dict[str, int] = {}
        for queue in self._queues:
            for reason, count in queue.drops.items():
                total[reason] = total.get(reason, 0) + count
        return total

    def describe(self) -> dict[str, dict[str, object]]:
        """What each sink wrote and lost."""
        return {
            queue.name: {
                "written": queue.written,
                "dropped": queue.dropped,
                "dropped_audio_s": queue.dropped_audio_s,
                "error": str(queue.error) if queue.error else None,
            }
            for queue in self._queues
        }

    def close(self, completed: bool) -> bool:
        """Finish every sink; False when one did not end in time. `completed`: nobody is in a hurry."""
        self.results.finish()
        patience_s = _CLOSE_LOSSLESS_S if self._lossless and completed else _CLOSE_S
        closed = [queue.close(patience_s) for queue in self._queues]  # every one, also after one that hangs
        return all(closed)
