"""Which audio embedding a frame gets: made from the window that ends at its stamp, or the one before it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..localizer import Localizer
from ..results import AudioWindow
from .audio_rate import AudioRate
from .stats import StatsCollector
from .sync import Patience, remaining_wait_ns
from .track import SoundTrack

_LEAST_S = 0.1  # a shorter window says nothing
_STALE_NS = 250_000_000  # sound that ends this far from the frame is not the frame's sound


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """An audio embedding with the window it was made from."""

    embedding: npt.NDArray[np.float32]  # (512,)
    window: AudioWindow

    def fits(self, frame_ns: int) -> bool:
        """It is near enough to stand for the sound at this stamp."""
        return abs(frame_ns - self.window.end_ns) <= _STALE_NS


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What a frame heard, and how that came about: enough to hear the same again from a recording."""

    hearing: Hearing | None  # None: there is no sound for this frame
    own: bool  # the window was cut for this frame
    blocks: int = 0  # own: blocks of sound that had come by then


class SoundArrival:
    """Wakes who waits for newer sound."""

    def __init__(self, track: SoundTrack) -> None:
        self._track = track
        self._changed = threading.Condition()

    def tell(self) -> None:
        """The ring has grown."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, stamp_ns: int, patience: Patience) -> None:
        """Wait until the sound reaches `stamp_ns`, for as long as that can pay."""
        begin_ns = time.monotonic_ns()
        with self._changed:
            while True:
                waited_ns = time.monotonic_ns() - begin_ns
                left_ns = remaining_wait_ns(stamp_ns, self._track.ring.newest_ns, waited_ns, patience)
                if left_ns <= 0:
                    return
                self._changed.wait(left_ns / 1e9)


class Ears:
    """Finds the sound of each frame. Belongs to the inference thread.

    A frame's own window ends at its stamp, or at the newest sound before it; `rate` says which frames get one. With
    every frame its own and the sound there already (files), the same input gives the same windows each time.
    """

    def __init__(
        self,
        localizer: Localizer,
        track: SoundTrack,
        num_samples: int,
        stats: StatsCollector,
        rate: AudioRate,
        arrival: SoundArrival,
        patience: Patience | None,
    ) -> None:
        """`patience` None: what is there counts, without waiting."""
        self._localizer, self._track, self._num_samples = localizer, track, num_samples
        self._stats, self._rate, self._arrival, self._patience = stats, rate, arrival, patience
        self._last: Hearing | None = None

    def hear(self, frame_ns: int, begin_ns: int) -> Heard:
        """The sound of a frame with this stamp, whose inference began at `begin_ns`."""
        wanted = self._rate.wants(begin_ns, time.monotonic_ns())
        if self._last is not None and not wanted and self._last.fits(frame_ns):
            return Heard(self._last, own=False)
        if self._patience is not None:
            self._arrival.wait_for(frame_ns, self._patience)
        window, blocks = self._track.cut(frame_ns, self._num_samples)
        if window is None or len(window.waveform) < _LEAST_S * window.sample_rate:
            self._last = None
        elif self._last is None or not _same(self._last.window, window):
            self._last = self._embed(window)
        hearing = self._last if self._last is not None and self._last.fits(frame_ns) else None
        return Heard(hearing, own=True, blocks=blocks)

    def _embed(self, window: AudioWindow) -> Hearing:
        begin_ns = time.monotonic_ns()
        embedding = self._localizer.embed_audio(window.waveform)
        end_ns = time.monotonic_ns()
        self._stats.embed(end_ns, (end_ns - begin_ns) / 1e6)
        self._rate.took(end_ns - begin_ns)
        return Hearing(embedding, window)


def _same(one: AudioWindow, other: AudioWindow) -> bool:
    """No newer sound has come."""
    return (one.start_ns, one.end_ns, one.gap_samples) == (other.start_ns, other.end_ns, other.gap_samples)
