"""The inference thread: takes frames from the intake, hands results to everybody, until the end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ..errors import LvsError
from ..results import DropReason, Result
from .inference import Inference
from .intake import Intake
from .outputs import Outputs
from .stats import StatsCollector

_LOG = logging.getLogger(__name__)


class Worker:
    """One thread. Whatever ends it sets `stop` and `ended`; what is still waiting is counted as stopped."""

    def __init__(
        self,
        intake: Intake,
        outputs: Outputs,
        stats: StatsCollector,
        stop: threading.Event,
        ended: threading.Event,
        annotate: Callable[[Result], Result] | None,
        on_error: Callable[[LvsError], None],
    ) -> None:
        """`annotate` may add to each result; `on_error` gets why the thread died."""
        self._intake, self._outputs, self._stats = intake, outputs, stats
        self._stop, self._ended, self._annotate, self._on_error = stop, ended, annotate, on_error
        self._thread: threading.Thread | None = None
        self.completed = False  # every frame of a file went through

    @property
    def started(self) -> bool:
        """The thread was started."""
        return self._thread is not None

    def start(self, inference: Inference, seconds: float | None) -> None:
        """Begin; end by itself after `seconds`."""
        end_ns = None if seconds is None else time.monotonic_ns() + round(seconds * 1e9)
        self._thread = threading.Thread(target=self._run, args=(inference, end_ns), name="lvs-inference", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread (not in itself: a callback may close the session); False when it does not end."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def losses(self) -> dict[str, int]:
        """What sinks and the recorder lost, by reason."""
        recorder = self._intake.recorder
        return {**self._outputs.drops(), **(recorder.drops() if recorder is not None else {})}

    def _run(self, inference: Inference, end_ns: int | None) -> None:
        try:
            self._loop(inference, end_ns)
        except Exception as error:  # noqa: BLE001  (top of a thread: ends the session with the reason)
            self._fail(error)
        finally:
            self._stop.set()
            self._stats.drop(DropReason.STOPPED, self._intake.slot.close())
            self._outputs.results.finish()
            self._ended.set()

    def _loop(self, inference: Inference, end_ns: int | None) -> None:
        while not self._stop.is_set() and not self._outputs.wants_stop:
            if end_ns is not None and time.monotonic_ns() >= end_ns:
                return
            offered = self._intake.slot.take(0.1)
            if offered is None:
                if self._intake.slot.drained:
                    self.completed = True
                    return
                continue
            result, heard = inference.run(offered, self.losses())
            self._intake.answer(result, heard)
            window = heard.hearing.window if heard.hearing else None
            if self._annotate is not None:
                result = self._annotate(result)
            self._stats.process(result, time.monotonic_ns(), window is not None)
            self._outputs.put(offered.frame, result, window)

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, LvsError):
            _LOG.error("the session failed", exc_info=error)
            wrapped = LvsError(f"the session failed: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            error = wrapped
        self._on_error(error)
