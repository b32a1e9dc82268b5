"""Takes what comes in, from several threads, and writes it in one of its own: a slow disk loses recordings only."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...capture.base import SoundBlock
from ...errors import SinkError
from ...results import DropReason, VideoFrame
from .files import RecordingFiles

_LOG = logging.getLogger(__name__)
_MOST_BYTES = 64_000_000  # of frames that wait: 2 s of 640x480 at 30 fps
_MOST_EVENTS = 20_000  # blocks and results: three minutes


class Recorder:
    """Bounded: what does not fit is counted (`DropReason.NOT_RECORDED`) and stands as lost in the recording.

    `error` says why it ended early (disk full): what came before stays readable, what comes after is counted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.error: SinkError | None = None
        self.lost = 0  # frames, blocks, results
        self._told = 0  # of them: stand in the recording
        self._lossless = False
        self._files: RecordingFiles | None = None
        self._work: deque[tuple[Callable[[RecordingFiles], None], int]] = deque()
        self._bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="lvs-recorder", daemon=True)

    def open(self, lossless: bool) -> None:
        """Make the folder; raises `SinkError`. `lossless`: whoever brings something waits for room (files)."""
        self._lossless = lossless
        self._files = RecordingFiles(self.folder)
        self._thread.start()

    def about(self, facts: dict[str, Any]) -> None:
        """What recording.json says."""
        self._put(lambda files: files.about(facts))

    def block(self, block: SoundBlock) -> None:
        """A block of sound, before it enters the track."""
        self._put(lambda files: files.block(block))

    def restart(self) -> None:
        """The sound's source was opened anew."""
        self._put(lambda files: files.event("restart"))

    def frame(self, frame: VideoFrame) -> None:
        """A frame that is offered to inference."""
        self._put(lambda files: files.frame(frame), frame.image_bgr.nbytes)

    def result(self, frame_index: int, own: bool, blocks: int) -> None:
        """This frame became a result; `own`: with the window cut after `blocks` blocks, else with the one before."""
        self._put(lambda files: files.event("result", frame=frame_index, own=own, blocks=blocks))

    def drops(self) -> dict[str, int]:
        """By `DropReason` value."""
        with self._changed:
            return {DropReason.NOT_RECORDED.value: self.lost} if self.lost else {}

    def close(self, timeout_s: float) -> bool:
        """Write what waits and finish; False when that took too long (the files are readable all the same)."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _put(self, write: Callable[[RecordingFiles], None], num_bytes: int = 0) -> None:
        with self._changed:
            if self._lossless:
                self._changed.wait_for(lambda: self._fits(num_bytes) or self._over)
            if self._over or not self._fits(num_bytes):
                self.lost += 1
                return
            self._work.append((write, num_bytes))
            self._bytes += num_bytes
            self._changed.notify_all()

    @property
    def _over(self) -> bool:
        return self.error is not None or self._closing

    def _fits(self, num_bytes: int) -> bool:
        return not self._work or (self._bytes + num_bytes <= _MOST_BYTES and len(self._work) < _MOST_EVENTS)

    def _run(self) -> None:
        assert self._files is not None
        try:
            while (write := self._take()) is not None:
                write(self._files)
                if self._lost_now():
                    self._files.event("lost", total=self.lost)
        except OSError as error:
            self._fail(error.strerror or str(error), error)
        except Exception as error:  # noqa: BLE001  (top of a thread: logged whole, and the session is told)
            _LOG.exception("the recorder failed")
            self._fail(f"{type(error).__name__}: {error}", error)
        finally:
            try:
                self._files.close()
            except OSError as error:
                self._fail(error.strerror or str(error), error)

    def _take(self) -> Callable[[RecordingFiles], None] | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._work) or self._closing)
            if not self._work:
                return None
            write, num_bytes = self._work.popleft()
            self._bytes -= num_bytes
            self._changed.notify_all()
            return write

    def _lost_now(self) -> bool:
        with self._changed:
            told, self._told = self._told, self.lost
            return told != self.lost

    def _fail(self, why: str, cause: BaseException) -> None:
        with self._changed:
            if self.error is not None:
                return
            self.error = SinkError(
                f"--record {self.folder}: {why}. What was written until then can be replayed; the session goes on."
            )
            self.error.__cause__ = cause
            self.lost += 1 + len(self._work)
            self._work.clear()
            self._bytes = 0
            self._changed.notify_all()
        _LOG.error("%s", self.error)
