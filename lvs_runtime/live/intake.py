"""Where everything that comes in goes, called in the threads that bring it: slot, track, checks, recording."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..capture.base import SoundBlock, SourceLost
from ..errors import LvsError
from ..results import DropReason, Result, VideoFrame
from . import flags as names
from .flags import Flags
from .health import PictureCheck
from .hearing import Heard, SoundArrival
from .inference import Offered
from .recording.recorder import Recorder
from .slot import FrameSlot
from .stats import StatsCollector
from .track import SoundTrack, TrackSound


class Intake:
    """The receiver of every pump, and of what the caller pushes."""

    def __init__(
        self,
        stats: StatsCollector,
        flags: Flags,
        stop: threading.Event,
        on_sound: Callable[[TrackSound], None],
        on_error: Callable[[LvsError], None],
    ) -> None:
        """`on_sound` gets what entered the track, `on_error` why a source ended."""
        self._stats, self._flags, self._stop = stats, flags, stop
        self._on_sound, self._on_error = on_sound, on_error
        self._answered = threading.Event()
        self.mic = ""  # as the user named it
        self.watch_picture = False  # look for frozen and black pictures
        self.single = False  # one source delivers picture and sound
        self.recorder: Recorder | None = None
        self.slot: FrameSlot[Offered] = FrameSlot()
        self.listen(SoundTrack())
        self._picture = PictureCheck()
        self._newest_ns: int | None = None

    def listen(self, track: SoundTrack) -> None:
        """Put the sound there."""
        self.track = track
        self.arrival = SoundArrival(track)

    def take_frame(self, frame: VideoFrame, due_ns: int) -> None:
        """Offer a frame to inference."""
        if self.watch_picture and self._is_old(frame.capture_ns):
            return
        self._stats.offer()
        self._flags.put(names.OTHER_CLOCK, frame.stamp_source == "other_clock")
        if self.watch_picture:
            self._picture.add(frame.image_bgr, frame.capture_ns)
            self._flags.put(names.FROZEN_PICTURE, self._picture.frozen)
            self._flags.put(names.BLACK_PICTURE, self._picture.black)
        if self.recorder is not None:
            self.recorder.frame(frame)
        lost = self.slot.put(Offered(frame, due_ns))
        self._stats.drop(DropReason.STOPPED if self.slot.finished else DropReason.SUPERSEDED, lost)

    def take_sound(self, block: SoundBlock) -> None:
        """Add sound to the track and hand it on."""
        if self.recorder is not None:
            self.recorder.block(block)
        sound = self.track.add(block)
        self._flags.put(names.MIC_DIGITAL_SILENCE, self.track.digital_silence)
        if sound is not None:
            self._on_sound(sound)
            self.arrival.tell()
        if self.track.dead:
            raise SourceLost(f"--mic {self.mic}: delivers digital zeros (muted, or its device is gone)")

    def source_reopened(self, role: str) -> None:
        """Start that side anew."""
        if role == "mic" or self.single:
            if self.recorder is not None:
                self.recorder.restart()
            self.track.restart()
        if role == "camera":
            self._picture = PictureCheck()

    def source_ended(self, role: str, error: LvsError | None) -> None:
        """The end of the picture ends the session; the end of a sound file alone is flagged."""
        if error is not None:
            self._on_error(error)
        if role == "camera" or error is not None:
            self.slot.finish()
        elif not self._stop.is_set():
            self._flags.put(names.SOUND_ENDED, True)

    def _is_old(self, capture_ns: int) -> bool:
        """Not newer than what was shown: a buffer that was still full when the camera came back. Counted."""
        if self._newest_ns is not None and capture_ns <= self._newest_ns:
            same = capture_ns == self._newest_ns
            self._stats.lose_frames(DropReason.DUPLICATE if same else DropReason.OUT_OF_ORDER)
            return True
        self._newest_ns = capture_ns
        return False

    def answer(self, result: Result, heard: Heard) -> None:
        """The frame in work has its result, made from what it `heard`."""
        if self.recorder is not None:
            self.recorder.result(result.frame_index, heard.own, heard.blocks)
        self._answered.set()

    def await_result(self) -> bool:
        """Wait for the result of the frame offered last; False when the session stops."""
        while not self._answered.wait(0.1):
            if self._stop.is_set():
                return False
        self._answered.clear()
        return True
