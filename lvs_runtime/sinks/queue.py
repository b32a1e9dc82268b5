"""A bounded queue and a worker thread around one sink: a slow sink loses its own output and delays nobody.

session thread            SinkQueue                worker thread (daemon)
put(frame, result) ──► [oldest dropped when full] ──► sink.write(...)
put_audio(samples) ──► [bounded in seconds      ] ──► sink.write_audio(...)
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, DropReason, Result, VideoFrame
from .base import ResultSink, SessionInfo

_LOG = logging.getLogger(__name__)
_MAX_AUDIO_SECONDS = 30.0  # mono float32 at 48 kHz: 5.8 MB; more than any sink needs to catch up


@dataclass(slots=True)
class _Item:
    call: Callable[[], None]
    audio_seconds: float  # 0 for a result


class SinkQueue:
    """Runs one `ResultSink` in its own thread. Thread-safe; `put` never blocks unless asked to.

    `written` and `dropped` count results; `dropped_audio_s` is sound lost, in seconds. `error` holds the
    `SinkError` that ended the sink, or None.
    """

    def __init__(self, sink: ResultSink, maxsize: int | None = None) -> None:
        """`maxsize`: results that may wait (default `sink.queue_size`, at least 1)."""
        self.sink = sink
        self.maxsize = max(1, sink.queue_size if maxsize is None else maxsize)
        self.written = 0
        self.dropped = 0
        self.dropped_audio_s = 0.0
        self.error: SinkError | None = None
        self._items: deque[_Item] = deque()
        self._results_waiting = 0
        self._audio_waiting_s = 0.0
        self._writing_result = False
        self._closing = False
        self._changed = threading.Condition()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"lvs-sink-{sink.name}", daemon=True)
        self._info = SessionInfo()

    @property
    def name(self) -> str:
        """The sink's name, for messages."""
        return self.sink.name

    @property
    def wants_stop(self) -> bool:
        """The user asked in this sink for the session to end."""
        return self.sink.wants_stop

    @property
    def alive(self) -> bool:
        """The sink still takes results."""
        return self.error is None and not self._closing

    @property
    def drops(self) -> dict[str, int]:
        """Results this sink lost, by `DropReason` value (empty when none)."""
        return {DropReason.SINK_BUSY.value: self.dropped} if self.dropped else {}

    def start(self, info: SessionInfo, timeout_s: float = 10.0) -> None:
        """Open the sink in its thread and wait for it; raises the sink's `SinkError`, also when it hangs."""
        self._info = info
        self._thread.start()
        if not self._opened.wait(timeout_s):
            self.error = SinkError(
                f"sink {self.name}: did not open within {timeout_s:g} s. A named pipe without a reader, or a network "
                f"folder that does not answer? Choose another path."
            )
        if self.error is not None:
            raise self.error

    def put(self, frame: VideoFrame, result: Result, audio: AudioWindow | None = None, block: bool = False) -> bool:
        """Hand over one result. Full: drops the oldest waiting one, or waits for room with `block=True` (files).

        Returns False when something was lost by this call (counted in `dropped`).
        """
        with self._changed:
            if block:
                self._changed.wait_for(lambda: self._results_waiting < self.maxsize or not self.alive)
            if not self.alive:
                self.dropped += 1
                return False
            lost = self._results_waiting >= self.maxsize
            if lost:
                self._drop_oldest_result()
            self._items.append(_Item(lambda: self.sink.write(frame, result, audio), 0.0))
            self._results_waiting += 1
            self._changed.notify_all()
            return not lost

    def put_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int, block: bool = False) -> bool:
        """Hand over continuous sound, mono (n,); the array must not be changed afterwards. False when it was lost."""
        seconds = len(samples) / sample_rate
        with self._changed:
            if block:
                self._changed.wait_for(lambda: self._audio_waiting_s < _MAX_AUDIO_SECONDS or not self.alive)
            if not self.alive or self._audio_waiting_s + seconds > max(_MAX_AUDIO_SECONDS, seconds):
                self.dropped_audio_s += seconds
                return False
            self._items.append(_Item(lambda: self.sink.write_audio(samples, sample_rate, start_ns), seconds))
            self._audio_waiting_s += seconds
            self._changed.notify_all()
            return True

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what waits, close the sink, join. False when it did not end in time (its thread is left behind)."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            with self._changed:
                self.dropped += self._results_waiting + self._writing_result
                self._results_waiting, self._writing_result = 0, False
                self._items.clear()
            if self.error is None:
                self.error = SinkError(f"sink {self.name}: did not finish within {timeout_s:g} s; its output is cut")
            return False
        return True

    def _drop_oldest_result(self) -> None:
        for position, item in enumerate(self._items):
            if item.audio_seconds == 0.0:
                del self._items[position]
                self._results_waiting -= 1
                self.dropped += 1
                return

    def _take(self) -> _Item | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items) or self._closing)
            if not self._items:
                return None
            item = self._items.popleft()
            if item.audio_seconds:
                self._audio_waiting_s -= item.audio_seconds
            else:
                self._results_waiting -= 1
            self._writing_result = item.audio_seconds == 0.0
            self._changed.notify_all()
            return item

    def _work(self) -> None:
        try:
            self.sink.open(self._info)
            self._opened.set()
            while (item := self._take()) is not None:
                item.call()
                self.written += self._writing_result
                self._writing_result = False
        except SinkError as error:
            self._fail(error)
        except OSError as error:
            self._fail(
                SinkError(f"sink {self.name}: {error.strerror or error}. The session goes on without it."), error
            )
        except Exception as error:  # noqa: BLE001  (top of a thread: logged whole, and the session is told)
            _LOG.exception("sink %s failed", self.name)
            self._fail(SinkError(f"sink {self.name}: {type(error).__name__}: {error}"), error)
        finally:
            self._close_sink()
            self._opened.set()

    def _fail(self, error: SinkError, cause: BaseException | None = None) -> None:
        error.__cause__ = cause if cause is not None else error.__cause__
        with self._changed:
            self.error = error
            self.dropped += self._results_waiting + self._writing_result
            self._results_waiting, self._audio_waiting_s = 0, 0.0
            self._items.clear()
            self._changed.notify_all()
        if self._opened.is_set():  # a failed open is raised by start(); a later failure nobody would see otherwise
            _LOG.error("%s", error)

    def _close_sink(self) -> None:
        try:
            self.sink.close()
        except (SinkError, OSError) as error:
            if self.error is None:
                self._fail(error if isinstance(error, SinkError) else SinkError(f"sink {self.name}: {error}"), error)
        except Exception as error:  # noqa: BLE001  (top of a thread)
            _LOG.exception("sink %s failed while closing", self.name)
            if self.error is None:
                self._fail(SinkError(f"sink {self.name}: {type(error).__name__}: {error}"), error)
