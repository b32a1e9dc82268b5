"""A live source on a bus: the library's thread hands over raw messages, the session's thread decodes them.

subscriber threads ──► [newest pictures, all sound] ──► read(): order, clock domain, decode ──► frame, block
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from ..capture.base import Dropped, Item, SoundBlock, SourceInfo
from ..capture.mono import MonoMix
from ..errors import DataError
from ..results import DropReason, VideoFrame
from . import decode
from .cdr import RosImage
from .domain_clock import DomainClock, StampOrder
from .spec import BusSpec

_PICTURES, _BLOCKS = 4, 200  # what may wait: old pictures are worth nothing, sound is


@dataclass(frozen=True, slots=True)
class Heard:
    """Sound as a bus delivers it: interleaved PCM with its format."""

    stamp_ns: int
    data: bytes | memoryview
    sample_rate: int
    channels: int = 1
    sample_format: str = "s16le"


class LiveBusSource:
    """Base of the live sources. A subclass subscribes in `subscribe` and calls `deliver` from whatever thread."""

    is_live = True

    def __init__(self, picture: BusSpec | None, sound: BusSpec | None) -> None:
        self.picture_spec, self.sound_spec = picture, sound
        self.has_picture, self.has_sound = picture is not None, sound is not None
        names = [spec.text for spec in (picture, sound) if spec is not None]
        self.info = SourceInfo(name=" ".join(names), kind="bus", stamp_source="header")
        self._changed = threading.Condition()
        self._pictures: deque[tuple[RosImage, int]] = deque()
        self._blocks: deque[tuple[Heard, int]] = deque()
        self._overrun = 0
        self._reset()

    def _reset(self) -> None:
        self.clock = DomainClock(time.time_ns() - time.monotonic_ns())
        self._picture_order, self._sound_order = StampOrder(), StampOrder()
        self._mix = MonoMix()
        self.sound_lost = 0  # blocks that came twice or too late
        self.bad_messages = 0

    def open(self) -> None:
        """Subscribe. A topic that nobody publishes is no error: it may come."""
        with self._changed:
            self._pictures.clear()
            self._blocks.clear()
        self._reset()
        self.subscribe()

    def subscribe(self) -> None:
        """Begin to deliver."""
        raise NotImplementedError

    def unsubscribe(self) -> bool:
        """End it; False when that did not work in time."""
        raise NotImplementedError

    def close(self) -> bool:
        """Unsubscribe."""
        return self.unsubscribe()

    def deliver(self, message: RosImage | Heard) -> None:
        """Take a message over; called in the library's thread, returns at once."""
        now_ns = time.monotonic_ns()
        with self._changed:
            if isinstance(message, RosImage):
                self._pictures.append((message, now_ns))
                if len(self._pictures) > _PICTURES:
                    self._pictures.popleft()
                    self._overrun += 1
            else:
                self._blocks.append((message, now_ns))
                if len(self._blocks) > _BLOCKS:
                    self._blocks.popleft()  # a gap: the track fills it with zeros and counts it
            self._changed.notify()

    def read(self, timeout_s: float) -> Item | None:
        """The next item; sound first, so that a frame finds its sound."""
        with self._changed:
            self._changed.wait_for(lambda: self._pictures or self._blocks, timeout_s)
            if self._overrun:
                count, self._overrun = self._overrun, 0
                return Dropped(DropReason.SUPERSEDED, count)
            block = self._blocks.popleft() if self._blocks else None
            picture = self._pictures.popleft() if block is None and self._pictures else None
        if block is not None:
            return self._sound(*block)
        return self._frame(*picture) if picture is not None else None

    def _frame(self, message: RosImage, arrival_ns: int) -> Item:
        why = self._picture_order.check(message.stamp_ns)
        if why:
            return Dropped(DropReason(why))
        if self._picture_order.restarted:
            self.clock.restart()
        self.clock.observe(message.stamp_ns, arrival_ns)
        image = decode.picture(message)
        if image is None:
            return Dropped(DropReason.CORRUPT_FRAME)
        capture_ns, stamp_source = self.clock.capture_ns(message.stamp_ns, arrival_ns)
        self.info.size_px, self.info.stamp_source = (image.shape[1], image.shape[0]), stamp_source
        return VideoFrame(
            image_bgr=image,
            capture_ns=capture_ns,
            arrival_ns=arrival_ns,
            stamp_source=stamp_source,
            frame_id=message.frame_id,
            source_stamp_ns=message.stamp_ns,
        )

    def _sound(self, heard: Heard, arrival_ns: int) -> Item | None:
        if self._sound_order.check(heard.stamp_ns):
            self.sound_lost += 1
            return None
        samples = decode.sound(heard.data, heard.sample_format, heard.channels)
        length_ns = len(samples) * 1_000_000_000 // heard.sample_rate
        self.clock.observe(heard.stamp_ns + length_ns, arrival_ns)
        end_ns, _ = self.clock.capture_ns(heard.stamp_ns + length_ns, arrival_ns)
        self.info.sample_rate, self.info.channels = heard.sample_rate, heard.channels
        return SoundBlock(
            samples=self._mix.mix(samples),
            sample_rate=heard.sample_rate,
            arrival_ns=arrival_ns,
            start_ns=end_ns - length_ns,
        )

    def guarded(self, parse: Any, *args: Any) -> None:
        """Parse and deliver one message; a malformed one is counted, not fatal (anybody may write on a bus)."""
        try:
            message = parse(*args)
        except (DataError, ValueError, KeyError, TypeError):
            self.bad_messages += 1
            return
        self.deliver(message)


def sound_format(spec: BusSpec) -> tuple[int, int]:
    """Sample rate and channels of raw sound, from the options `rate` (16000) and `channels` (1)."""
    return int(spec.number("rate", 16_000, 8_000, 384_000)), int(spec.number("channels", 1, 1, 32))
