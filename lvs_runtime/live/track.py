"""The sound of a session: blocks in, a stamped 16 kHz ring out. Pure: every stamp is an argument. Thread-safe."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..capture.base import SoundBlock
from ..capture.resample import StreamResampler, stream_resampler
from ..results import AudioWindow
from .clock import ClockEvent, EnvelopeClock, TimeLine
from .ring import AudioRing

_TOLERANCE_NS = 20_000_000  # stated stamps may wander by this before it counts as a gap or a new start
_FOLLOW_NS = 1_000_000  # how much of that wandering is followed per block
_ZERO = 1e-9
_SILENT_S = 1.0  # a real converter never gives exact zeros this long
_DEAD_S, _DEAD_MOST_S = 5.0, 60.0


@dataclass(frozen=True, slots=True, eq=False)
class TrackSound:
    """Sound as it entered the ring: (n,) at the ring's rate, its first sample at `start_ns`."""

    samples: npt.NDArray[np.float32]
    start_ns: int


class SoundTrack:
    """Resamples, stamps and keeps the sound of one source; knows gaps, digital silence and bad values."""

    def __init__(self, sample_rate: int = 16_000, keep_s: float = 30.0, offset_ms: float = 0.0) -> None:
        """`offset_ms` is added to every sound stamp: the constant offset of a camera and microphone pair."""
        self.ring = AudioRing(sample_rate, keep_s)
        self.gaps = 0
        self.bad_samples = 0  # NaN or infinite, replaced by 0
        self._offset_ns = round(offset_ms * 1e6)
        self._clock: EnvelopeClock | None = None
        self._resampler: StreamResampler | None = None
        self._rate_in = 0
        self._count_in = 0
        self._first_out = 0  # ring count at which the current stream began
        self._expected_ns = 0  # stated streams: where the next block should begin
        self._zeros = 0
        self._silent = False
        self._dead_after_s = _DEAD_S
        self._blocks = 0
        self._lock = threading.Lock()

    @property
    def settled(self) -> bool:
        """The clock has seen enough: stamps no longer move by more than 1 ms a block."""
        return self._clock.settled if self._clock else self.ring.newest_ns is not None

    @property
    def drift_ppm(self) -> float:
        """How much slower (positive) than nominal the sound card runs."""
        return self._clock.slope * 1e6 if self._clock else 0.0

    @property
    def digital_silence(self) -> bool:
        """Exact zeros for a second or more: muted, vanished or moved away. Only for counted (live) streams."""
        return self._silent

    @property
    def dead(self) -> bool:
        """Exact zeros for so long that the microphone should be reopened; each time in vain doubles the patience."""
        return self._zeros >= self._dead_after_s * max(self._rate_in, 1)

    def restart(self) -> None:
        """The source was reopened: the next block begins a new stream, the time between becomes a gap."""
        with self._lock:
            self._restart()

    def cut(self, end_ns: int, num_samples: int) -> tuple[AudioWindow | None, int]:
        """`AudioRing.window`, with the number of blocks that it was cut from: never in the middle of one."""
        with self._lock:
            return self.ring.window(end_ns, num_samples), self._blocks

    def add(self, block: SoundBlock) -> TrackSound | None:
        """Take one block; returns what entered the ring, None when the resampler still holds it."""
        with self._lock:
            self._blocks += 1
            return self._add(block)

    def _restart(self) -> None:
        if self._silent:
            self._dead_after_s = min(2 * self._dead_after_s, _DEAD_MOST_S)
        self._clock, self._resampler, self._rate_in, self._count_in, self._zeros = None, None, 0, 0, 0

    def _add(self, block: SoundBlock) -> TrackSound | None:
        samples = self._clean(block.samples)
        if self._resampler is None or block.sample_rate != self._rate_in:
            self._restart()
            self._rate_in = block.sample_rate
            self._resampler = stream_resampler(block.sample_rate, self.ring.sample_rate)
            first_ns = block.start_ns if block.start_ns is not None else block.arrival_ns - block.duration_ns
            self._bridge(first_ns + self._offset_ns)
        out = self._resampler.process(samples)
        if block.start_ns is None:
            line = self._counted(block, samples)
        else:
            line = self._stated(block.start_ns + self._offset_ns, len(samples))
        if not len(out):
            return None
        return TrackSound(out, self.ring.append(out, line))

    def _clean(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        finite = np.isfinite(samples)
        if finite.all():
            return samples
        self.bad_samples += int(len(samples) - finite.sum())
        return np.where(finite, samples, np.float32(0))

    def _bridge(self, start_ns: int) -> None:
        """Fill the outage between the newest sound and `start_ns` with a known gap."""
        newest_ns = self.ring.newest_ns
        if newest_ns is not None and start_ns > newest_ns:
            self._gap_at_end(start_ns - newest_ns)
        self._first_out = self.ring.end_count

    def _gap_at_end(self, length_ns: int) -> None:
        self.ring.append_gap(round(length_ns * self.ring.sample_rate / 1e9))
        self.gaps += 1

    def _counted(self, block: SoundBlock, samples: npt.NDArray[np.float32]) -> TimeLine:
        """Live sound: count and arrival go to the envelope clock."""
        self._clock = self._clock or EnvelopeClock(block.sample_rate)
        self._count_in += len(samples)
        self._watch_zeros(samples)
        event = self._clock.add(self._count_in, block.arrival_ns, block.overflow)
        line = self._line(self._clock)
        return self._lost(event, line) if event is not None and event.kind == "gap" else line

    def _line(self, clock: EnvelopeClock) -> TimeLine:
        assert clock.timeline is not None
        assert self._resampler is not None
        line = clock.timeline.resampled(self._resampler.ratio, self._resampler.shift_in, self._first_out)
        return TimeLine(line.count, line.ns + self._offset_ns, line.ns_per_count)

    def _lost(self, event: ClockEvent, line: TimeLine) -> TimeLine:
        """Sound went missing some seconds ago: put zeros where it belongs, everything after keeps its stamp."""
        assert self._resampler is not None
        assert self._clock is not None
        at_out = self._first_out + round(event.count / self._resampler.ratio)
        lost_out = round(event.lost / self._resampler.ratio)
        self._first_out += lost_out
        line = self._line(self._clock)
        self.ring.insert_gap(at_out, lost_out, line)
        self.gaps += 1
        return line

    def _watch_zeros(self, samples: npt.NDArray[np.float32]) -> None:
        loud = np.flatnonzero(np.abs(samples) > _ZERO)
        if len(loud):
            self._zeros = len(samples) - 1 - int(loud[-1])
            self._silent, self._dead_after_s = False, _DEAD_S
        else:
            self._zeros += len(samples)
            self._silent = self._silent or self._zeros >= _SILENT_S * self._rate_in

    def _stated(self, start_ns: int, num_samples: int) -> TimeLine:
        """Stamped sound (files, streams, push): follow the stamps gently, turn leaps into gaps or a new start."""
        assert self._resampler is not None
        base_ns = start_ns
        error_ns = start_ns - self._expected_ns
        if self._count_in and abs(error_ns) <= _TOLERANCE_NS:
            base_ns = self._expected_ns + max(-_FOLLOW_NS, min(_FOLLOW_NS, error_ns))
        elif self._count_in and error_ns > 0:
            lost_out = round(error_ns * self.ring.sample_rate / 1e9)
            self._gap_at_end(error_ns)
            self._first_out += lost_out
        first_out = self._first_out + (self._count_in + self._resampler.shift_in) / self._resampler.ratio
        self._count_in += num_samples
        self._expected_ns = base_ns + round(num_samples * 1e9 / self._rate_in)
        return TimeLine(first_out, base_ns, 1e9 / self.ring.sample_rate)
