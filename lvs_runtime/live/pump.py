"""One thread per source: open, read, pace, watch, reopen. What it reads goes to a receiver at once."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import Protocol

from ..capture.base import Dropped, EndOfSource, SoundBlock, Source, SourceLost
from ..errors import CaptureError, LvsError
from ..results import VideoFrame
from .backoff import Backoff
from .flags import Flags
from .pace import Pacer
from .stats import StatsCollector

_LOG = logging.getLogger(__name__)
_READ_S = 0.1
_REOPEN_NS = 3_000_000_000  # a stall of this length is a loss


class Receiver(Protocol):
    """Where items go; called in the pump's thread. A `SourceLost` raised here makes the pump reopen its source."""

    def take_frame(self, frame: VideoFrame, due_ns: int) -> None:
        """A frame; its age counts from `due_ns` on the real clock."""

    def take_sound(self, block: SoundBlock) -> None:
        """A block of sound."""

    def source_reopened(self, role: str) -> None:
        """Items of this role start anew after a loss."""

    def source_ended(self, role: str, error: LvsError | None) -> None:
        """No more will come."""


class Pump(Protocol):
    """What a session starts, waits for and joins."""

    role: str  # "camera" | "mic"
    opened: threading.Event
    go: threading.Event
    error: LvsError | None

    @property
    def source(self) -> Source:
        """What is played."""

    @property
    def slipped_s(self) -> float:
        """Seconds by which a file was played slower than 1x."""

    def start(self) -> None:
        """Begin to open the source."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is still stuck in its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpRules:
    """How a pump behaves."""

    paced: bool = True  # media at 1x
    seconds: float | None = None  # media: end after this much of it
    max_reconnects: int | None = None  # tries after one loss; None: for ever


class SourcePump:
    """Runs `source` in a daemon thread. `start()`, wait for `opened`, set `go`, later `stop` and `join`."""

    def __init__(
        self,
        source: Source,
        receiver: Receiver,
        stats: StatsCollector,
        flags: Flags,
        stop: threading.Event,
        rules: PumpRules,
    ) -> None:
        self.source = source
        self.role = "camera" if source.has_picture else "mic"
        self.opened = threading.Event()
        self.go = threading.Event()
        self.error: LvsError | None = None  # why it could not open, or why it ended
        self.let_go = True  # False: the device did not close in time
        self._receiver, self._stats, self._flags, self._stop, self._rules = receiver, stats, flags, stop, rules
        self._pacer = None if source.is_live else Pacer(rules.paced)
        self._backoff = Backoff(most_s=5.0 if source.info.kind == "stream" else 2.0)
        self._last_ns = 0
        self._index = 0
        self._thread = threading.Thread(target=self._run, name=f"lvs-{self.role}", daemon=True)

    @property
    def slipped_s(self) -> float:
        """Seconds by which a file was played slower than 1x."""
        return self._pacer.slipped_s if self._pacer else 0.0

    @property
    def started(self) -> bool:
        """The thread was started."""
        return self._thread.ident is not None

    def start(self) -> None:
        """Begin to open the source."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is still stuck in its source."""
        if not self.started:
            return True
        self.go.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and self.let_go

    def _run(self) -> None:
        try:
            self.source.open()
            self.opened.set()
            if not self.source.is_live:
                self.go.wait()
            self._last_ns = time.monotonic_ns()
            self._serve()
        except LvsError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  (top of a thread: logged whole, ends the session)
            _LOG.exception("%s: %s failed", self.role, self.source.info.name)
            self.error = CaptureError(f"{self.source.info.name}: {type(error).__name__}: {error}")
            self.error.__cause__ = error
        finally:
            self.let_go = self.source.close() and self.let_go
            opened = self.opened.is_set()
            self.opened.set()
            if opened:
                self._receiver.source_ended(self.role, self.error)

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._step():
                    return
            except EndOfSource:
                return
            except SourceLost as error:
                if self._stop.is_set():
                    return
                if not self.source.is_live:
                    raise
                self._reopen(error)

    def _step(self) -> bool:
        """Read one item and pass it on; False when enough was read."""
        item = self.source.read(_READ_S)
        now_ns = time.monotonic_ns()
        if item is None:
            self._watch(now_ns)
            return True
        if not (self.go.is_set() or isinstance(item, SoundBlock)):
            return True  # live pictures before the session runs would be old at once; sound is worth having
        if isinstance(item, Dropped):
            self._stats.lose_frames(item.reason, item.count)
            return True
        self._alive(now_ns)
        if self._pacer is not None:
            return self._play(item, self._pacer)
        if isinstance(item, SoundBlock):
            self._receiver.take_sound(item)
        else:
            self._receiver.take_frame(self._numbered(item), item.capture_ns)
        return True

    def _play(self, item: VideoFrame | SoundBlock, pacer: Pacer) -> bool:
        media_ns = item.capture_ns if isinstance(item, VideoFrame) else item.start_ns or 0
        if self._rules.seconds is not None and media_ns >= self._rules.seconds * 1e9:
            return False
        stamp_ns = pacer.stamp_ns(media_ns, time.monotonic_ns())
        due_ns = pacer.due_ns(stamp_ns, time.monotonic_ns())
        while (early_ns := due_ns - time.monotonic_ns()) > 0:
            if self._stop.wait(early_ns / 1e9):
                return False
        before_ns = time.monotonic_ns()
        if isinstance(item, SoundBlock):
            self._receiver.take_sound(replace(item, start_ns=stamp_ns, arrival_ns=stamp_ns))
        else:
            arrival_ns = stamp_ns + max(0, before_ns - due_ns)
            frame = replace(self._numbered(item), capture_ns=stamp_ns, arrival_ns=arrival_ns)
            self._receiver.take_frame(frame, due_ns)
        pacer.hold(time.monotonic_ns() - before_ns)
        return True

    def _numbered(self, frame: VideoFrame) -> VideoFrame:
        index, self._index = self._index, self._index + 1
        return replace(frame, index=index)

    def _alive(self, now_ns: int) -> None:
        self._last_ns = now_ns
        if self._flags.put(f"{self.role}_stalled", False):
            _LOG.warning("%s %s: goes on", self.role, self.source.info.name)
        self._flags.put(f"{self.role}_lost", False)
        self._backoff.reset()

    def _watch(self, now_ns: int) -> None:
        if not self.source.is_live:
            return
        quiet_ns = now_ns - self._last_ns
        if self.source.has_picture:
            limit_ns = max(1_000_000_000, round(5e9 / (self.source.info.fps or 30)))
        else:
            limit_ns = 500_000_000
        if quiet_ns > limit_ns and self._flags.put(f"{self.role}_stalled", True):
            _LOG.warning("%s %s: delivers nothing since %.1f s", self.role, self.source.info.name, quiet_ns / 1e9)
        if quiet_ns > limit_ns + _REOPEN_NS:
            raise SourceLost(f"{self.source.info.name}: delivered nothing for {quiet_ns / 1e9:.1f} s")

    def _reopen(self, why: SourceLost) -> None:
        """Try until the source is back, the session stops, or the tries are used up."""
        self._flags.put(f"{self.role}_lost", True)
        _LOG.warning("%s; trying to open it again", why)
        if not self.source.close():
            _LOG.warning("%s %s: did not close in time", self.role, self.source.info.name)
            self.let_go = False
        tries = 0
        while not self._stop.wait(self._backoff.next_s()):
            try:
                self.source.open()
            except CaptureError as error:
                tries += 1
                if self._rules.max_reconnects is not None and tries >= self._rules.max_reconnects:
                    raise SourceLost(f"{why}; {tries} tries to open it again failed, the last: {error}") from error
                continue
            self._last_ns = time.monotonic_ns()
            self._stats.reconnect(self.role)
            self._receiver.source_reopened(self.role)
            _LOG.warning("%s %s: open again", self.role, self.source.info.name)
            return
