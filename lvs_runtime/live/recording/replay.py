"""Plays a recording into a session, in the order in which inference heard it: the same input, the same results.

blocks up to result k ─► track        then frame k ─► inference, and nothing more until its result is there
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from ...capture.base import EndOfSource, SoundBlock, SourceInfo
from ...errors import CaptureError, LvsError
from ...results import VideoFrame
from .format import Recording

_LOG = logging.getLogger(__name__)


class ReplayReceiver(Protocol):
    """Where items go."""

    def take_frame(self, frame: VideoFrame, due_ns: int) -> None:
        """A frame that is due at `due_ns`."""

    def take_sound(self, block: SoundBlock) -> None:
        """A block of sound."""

    def source_reopened(self, role: str) -> None:
        """The sound begins anew."""

    def source_ended(self, role: str, error: LvsError | None) -> None:
        """No more will come."""

    def await_result(self) -> bool:
        """Wait for the result of the frame given last; False when the session stops."""


class AsRecorded:
    """An `AudioRate` that decides as the recording says."""

    def __init__(self) -> None:
        self.own = True
        self.missing = 0  # results whose frame was not recorded

    def wants(self, begin_ns: int, now_ns: int) -> bool:
        """What was decided for this frame then."""
        return self.own

    def took(self, cost_ns: int) -> None:
        """Of no interest."""


class RecordedSource:
    """A recording seen as a source, for whoever asks what is played. It is read by `ReplayPump` alone."""

    is_live = False
    has_picture = True

    def __init__(self, recording: Recording) -> None:
        about = recording.about
        self.has_sound = bool(about["sound"])
        self.info = SourceInfo(name=str(recording.folder), kind="recording", details={"of": about["source"]})

    def open(self) -> None:
        """Nothing to do."""

    def read(self, timeout_s: float) -> VideoFrame:
        """Never called."""
        raise EndOfSource

    def close(self) -> bool:
        """Nothing is held."""
        return True


class ReplayPump:
    """Has the face of `SourcePump`. Frames keep their recorded stamps; their age counts from when they are due now."""

    role = "camera"
    let_go = True
    slipped_s = 0.0

    def __init__(
        self,
        recording: Recording,
        receiver: ReplayReceiver,
        rate: AsRecorded,
        stop: threading.Event,
        paced: bool,
        seconds: float | None,
    ) -> None:
        self.source = RecordedSource(recording)
        self.opened, self.go = threading.Event(), threading.Event()
        self.error: LvsError | None = None
        self._recording, self._receiver, self._rate, self._stop = recording, receiver, rate, stop
        self._paced, self._seconds = paced, seconds
        self._shift_ns: int | None = None
        self._first_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="lvs-replay", daemon=True)

    def start(self) -> None:
        """Begin; frames come when `go` is set."""
        self.opened.set()
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread."""
        if self._thread.ident is None:
            return True
        self.go.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.go.wait()
            self._play(self._recording.sound())
        except LvsError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  (top of a thread: logged whole, ends the session)
            _LOG.exception("replay failed")
            self.error = CaptureError(f"--replay {self._recording.folder}: {type(error).__name__}: {error}")
            self.error.__cause__ = error
        finally:
            self._receiver.source_ended(self.role, self.error)

    def _play(self, sound: Iterator[SoundBlock | None]) -> None:
        played = 0
        for frame, event in self._recording.heard_frames():
            while event["own"] and played < event["blocks"]:
                item = next(sound, EndOfSource)
                if item is EndOfSource:
                    return  # killed: the sound of this result was not written any more
                if isinstance(item, SoundBlock):
                    self._receiver.take_sound(item)
                    played += 1
                else:
                    self._receiver.source_reopened("mic")
            if frame is None:
                self._rate.missing += 1
                continue
            self._rate.own = event["own"]
            if not self._show(frame):
                return

    def _show(self, frame: VideoFrame) -> bool:
        """False when enough was played."""
        self._first_ns = frame.capture_ns if self._first_ns is None else self._first_ns
        if self._seconds is not None and frame.capture_ns - self._first_ns >= self._seconds * 1e9:
            return False
        due_ns = self._due(frame.capture_ns)
        while (early_ns := due_ns - time.monotonic_ns()) > 0:
            if self._stop.wait(early_ns / 1e9):
                return False
        self._receiver.take_frame(frame, due_ns)
        return self._receiver.await_result()

    def _due(self, stamp_ns: int) -> int:
        now_ns = time.monotonic_ns()
        if not self._paced:
            return now_ns
        if self._shift_ns is None or stamp_ns + self._shift_ns < now_ns:
            self._shift_ns = now_ns - stamp_ns  # slower than 1x: the schedule moves, nothing is left out
        return stamp_ns + self._shift_ns
