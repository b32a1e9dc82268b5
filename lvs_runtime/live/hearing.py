"""Which audio embedding a frame gets: made for it exactly, or the newest of a steady rate."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..localizer import Localizer
from ..results import AudioWindow
from . import sync
from .stats import StatsCollector
from .track import SoundTrack

_LOG = logging.getLogger(__name__)
_LEAST_S = 0.1  # a shorter window says nothing
_STALE_NS = 250_000_000  # sound that ends this far from the frame is not the frame's sound


@dataclass(frozen=True, slots=True, eq=False)
class Hearing:
    """An audio embedding with the window it was made from."""

    embedding: npt.NDArray[np.float32]  # (512,)
    window: AudioWindow

    @property
    def end_ns(self) -> int:
        """End of the window."""
        return self.window.end_ns


class Ears(Protocol):
    """Finds the sound for a frame."""

    def hear(self, frame_ns: int) -> Hearing | None:
        """The embedding for a frame with this stamp, None when there is no sound for it."""

    def start(self) -> None:
        """Begin."""

    def join(self, timeout_s: float) -> bool:
        """Wait for the end after `stop` was set; False when it does not come."""


class SoundArrival:
    """Wakes who waits for newer sound."""

    def __init__(self, track: SoundTrack) -> None:
        self._track = track
        self._changed = threading.Condition()

    def tell(self) -> None:
        """The ring has grown."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, stamp_ns: int) -> None:
        """Wait until the sound reaches `stamp_ns`, for as long as that can pay (at most 15 ms)."""
        begin_ns = time.monotonic_ns()
        with self._changed:
            while True:
                waited_ns = time.monotonic_ns() - begin_ns
                left_ns = sync.remaining_wait_ns(stamp_ns, self._track.ring.newest_ns, waited_ns)
                if left_ns <= 0:
                    return
                self._changed.wait(left_ns / 1e9)


class ExactEars:
    """Policy `all`: every frame's window ends at its stamp. The same file gives the same windows each time."""

    def __init__(
        self, localizer: Localizer, track: SoundTrack, arrival: SoundArrival, num_samples: int, stats: StatsCollector
    ) -> None:
        self._localizer, self._track, self._arrival = localizer, track, arrival
        self._num_samples, self._stats = num_samples, stats

    def start(self) -> None:
        """No thread of its own."""

    def join(self, timeout_s: float) -> bool:
        """No thread of its own."""
        return True

    def hear(self, frame_ns: int) -> Hearing | None:
        """Embed the window that ends at the frame's stamp."""
        self._arrival.wait_for(frame_ns)
        window = self._track.ring.window(frame_ns, self._num_samples)
        if window is None or frame_ns - window.end_ns > _STALE_NS:
            return None
        return embed(self._localizer, window, self._stats)


class SharedEars:
    """Policy `latest`: a thread embeds the newest window at a steady rate; frames take the nearest one."""

    def __init__(
        self,
        localizer: Localizer,
        track: SoundTrack,
        num_samples: int,
        rate_hz: float,
        stats: StatsCollector,
        stop: threading.Event,
        failed: Callable[[Exception], None],
    ) -> None:
        """`failed` is told when the thread dies of an error."""
        self._localizer, self._track, self._num_samples = localizer, track, num_samples
        self._period_s = 1.0 / rate_hz
        self._stats, self._stop, self._failed = stats, stop, failed
        self._recent: deque[Hearing] = deque(maxlen=8)
        self._lock = threading.Lock()
        self._tolerance_ns = max(_STALE_NS, round(2.5e9 / rate_hz))
        self._thread = threading.Thread(target=self._run, name="lvs-ears", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread, if it was started."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def hear(self, frame_ns: int) -> Hearing | None:
        """The embedding whose sound ends nearest to the frame, None when the sound stopped coming."""
        with self._lock:
            return sync.choose(frame_ns, self._recent, self._tolerance_ns)

    def _run(self) -> None:
        due_s, embedded_ns = time.monotonic(), 0
        try:
            while not self._stop.wait(max(0.001, due_s - time.monotonic())):
                due_s = max(due_s + self._period_s, time.monotonic())
                newest_ns = self._track.ring.newest_ns
                if newest_ns is None or newest_ns <= embedded_ns:
                    due_s = min(due_s, time.monotonic() + 0.01)
                    continue
                window = self._track.ring.window(newest_ns, self._num_samples)
                hearing = embed(self._localizer, window, self._stats) if window is not None else None
                if hearing is not None:
                    embedded_ns = hearing.end_ns
                    with self._lock:
                        self._recent.append(hearing)
        except Exception as error:  # noqa: BLE001  (top of a thread: logged whole, ends the session)
            _LOG.exception("the audio encoder failed")
            self._failed(error)


def embed(localizer: Localizer, window: AudioWindow, stats: StatsCollector) -> Hearing | None:
    """Run the audio encoder on a window; None when it is too short to say anything."""
    if len(window.waveform) < _LEAST_S * window.sample_rate:
        return None
    begin_ns = time.monotonic_ns()
    embedding = localizer.embed_audio(window.waveform)
    end_ns = time.monotonic_ns()
    stats.embed(end_ns, (end_ns - begin_ns) / 1e6)
    return Hearing(embedding, window)
