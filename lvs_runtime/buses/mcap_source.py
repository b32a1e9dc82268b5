"""Pictures and sound from a recording: an MCAP file, or a folder that rosbag2 wrote. Paired by their header stamps.

Understood are Foxglove's CompressedImage and RawAudio (protobuf) and ROS 2's Image, CompressedImage and
AudioDataStamped (CDR). A file that was cut off is read up to the cut.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..capture.base import Dropped, EndOfSource, Item, SoundBlock, SourceInfo
from ..capture.mono import MonoMix
from ..capture.time_order import TimeOrder
from ..errors import CaptureError, DataError
from ..results import DropReason, VideoFrame
from . import cdr, decode
from .domain_clock import StampOrder
from .live_source import Heard, sound_format
from .recording import Channel, Recorded, Recording
from .spec import BusSpec

_LOG = logging.getLogger(__name__)
PICTURES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "foxglove.CompressedImage")
SOUNDS = ("audio_common_msgs/msg/AudioDataStamped", "foxglove.RawAudio")


@dataclass(slots=True)
class Counts:
    """What a recording held that was not used."""

    duplicates: int = 0
    out_of_order: int = 0
    bad: int = 0


class McapSource:
    """`mcap:FILE[#TOPIC]`; `picture` and `sound` say what is wanted of it. Stamps count from the first message."""

    is_live = False

    def __init__(self, picture: BusSpec | None, sound: BusSpec | None) -> None:
        spec = picture or sound
        assert spec is not None
        self.path = Path(spec.topic)
        self.has_picture, self.has_sound = picture is not None, sound is not None
        self.counts = Counts()
        self.info = SourceInfo(name=spec.text, kind="file", stamp_source="file")
        self._picture, self._sound = picture, sound
        self._form = sound_format(sound) if sound is not None else (16_000, 1)
        self._recording: Recording | None = None
        self._items: Iterator[Item] = iter(())

    def open(self) -> None:
        """Open the file and find the topics; `CaptureError` says which there are."""
        recording = Recording(self.path, self.info.name)
        self._recording = recording
        try:
            wanted: dict[str, Channel] = {}
            if self._picture is not None:
                wanted["picture"] = self._find(recording, self._picture.fragment, PICTURES, "picture")
            if self._sound is not None:
                own = self._sound.fragment if self._sound is not self._picture else ""
                wanted["sound"] = self._find(recording, own, SOUNDS, "sound")
        except CaptureError:
            self.close()
            raise
        self.info.duration_s = recording.duration_s
        self.info.details = {name: channel.topic for name, channel in wanted.items()}
        if not recording.whole:
            _LOG.warning("%s: was not finished; it is read up to where it breaks off", self.info.name)
        self._items = self._in_order(recording, {channel.topic for channel in wanted.values()})

    def read(self, timeout_s: float) -> Item:
        """The next item in time order."""
        for item in self._items:
            return item
        raise EndOfSource

    def close(self) -> bool:
        """Close the file."""
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.close()
        return True

    def _find(self, recording: Recording, topic: str, kinds: tuple[str, ...], what: str) -> Channel:
        fitting = [channel for channel in recording.channels if channel.kind in kinds]
        found = next((channel for channel in fitting if not topic or channel.topic == topic), None)
        if found is not None:
            return found
        there = ", ".join(f"{c.topic} ({c.kind})" for c in recording.channels) or "none"
        way_out = " Without sound: --mic none" if what == "sound" else ""
        raise CaptureError(
            f"{self.info.name}: no {what} topic{f' {topic}' if topic else ''} in it that is understood "
            f"({', '.join(kinds)}). Its topics: {there}.{way_out}"
        )

    def _in_order(self, recording: Recording, topics: set[str]) -> Iterator[Item]:
        order = TimeOrder(self.has_picture, self.has_sound)
        for item in self._decoded(recording, topics):
            if isinstance(item, Dropped):
                yield item
                continue
            order.add(item)
            while (ready := order.pop()) is not None:
                yield ready
        order.end()
        while (ready := order.pop()) is not None:
            yield ready

    def _decoded(self, recording: Recording, topics: set[str]) -> Iterator[Item]:
        orders = {topic: StampOrder() for topic in topics}
        mix = MonoMix()
        base_ns: int | None = None
        for recorded in recording.messages(topics):
            try:
                message = parse(recorded, self._form)
            except DataError:
                self.counts.bad += 1
                if recorded.kind in PICTURES:
                    yield Dropped(DropReason.CORRUPT_FRAME)
                continue
            why = orders[recorded.topic].check(message.stamp_ns)
            if why:
                self.counts.duplicates += why == "duplicate"
                self.counts.out_of_order += why == "out_of_order"
                if not isinstance(message, Heard):
                    yield Dropped(DropReason(why))
                continue
            if base_ns is None:
                base_ns = message.stamp_ns
            item = self._item(message, message.stamp_ns - base_ns, mix)
            if item is not None:
                yield item

    def _item(self, message: cdr.RosImage | Heard, media_ns: int, mix: MonoMix) -> Item | None:
        if isinstance(message, Heard):
            samples = decode.sound(message.data, message.sample_format, message.channels)
            self.info.sample_rate, self.info.channels = message.sample_rate, message.channels
            if not len(samples):
                return None
            return SoundBlock(samples=mix.mix(samples), sample_rate=message.sample_rate, start_ns=media_ns)
        image = decode.picture(message)
        if image is None:
            self.counts.bad += 1
            return Dropped(DropReason.CORRUPT_FRAME)
        self.info.size_px = (image.shape[1], image.shape[0])
        return VideoFrame(
            image_bgr=image,
            capture_ns=media_ns,
            arrival_ns=media_ns,
            stamp_source="file",
            frame_id=message.frame_id,
            source_stamp_ns=message.stamp_ns,
        )


def parse(recorded: Recorded, form: tuple[int, int]) -> cdr.RosImage | Heard:
    """One recorded message; a header stamp of zero is replaced by when it was logged. `DataError` when malformed."""
    data: Any = recorded.data
    if recorded.kind == "sensor_msgs/msg/Image":
        image = cdr.read_image(data)
    elif recorded.kind == "sensor_msgs/msg/CompressedImage":
        image = cdr.read_compressed(data)
    elif recorded.kind == "foxglove.CompressedImage":
        f = decode.protobuf_fields(data)
        image = cdr.RosImage(_stamp(f), bytes(_bytes(f, 4)).decode("utf-8", "replace"), "jpeg", _bytes(f, 2))
    elif recorded.kind == "foxglove.RawAudio":
        f = decode.protobuf_fields(data)
        rate, channels = f.get(4, form[0]), f.get(5, form[1])
        if not (isinstance(rate, int) and isinstance(channels, int) and rate > 0 and channels > 0):
            raise DataError("RawAudio without a rate")
        return Heard(_stamp(f) or recorded.log_ns, _bytes(f, 2), rate, channels, bytes(_bytes(f, 3)).decode())
    else:
        audio = cdr.read_audio(data)
        return Heard(audio.stamp_ns or recorded.log_ns, audio.data, *form)
    return image if image.stamp_ns else cdr.RosImage(recorded.log_ns, *_rest(image))


def _rest(image: cdr.RosImage) -> tuple[Any, ...]:
    return (
        *(image.frame_id, image.encoding, image.data),
        *(image.height, image.width, image.step, image.is_bigendian),
    )


def _stamp(fields: dict[int, int | memoryview]) -> int:
    """`google.protobuf.Timestamp` in field 1, as ns."""
    inner = decode.protobuf_fields(_bytes(fields, 1))
    seconds, nanoseconds = inner.get(1, 0), inner.get(2, 0)
    if not (isinstance(seconds, int) and isinstance(nanoseconds, int)):
        raise DataError("a stamp is no stamp")
    return seconds * 1_000_000_000 + nanoseconds


def _bytes(fields: dict[int, int | memoryview], number: int) -> memoryview:
    value = fields.get(number, memoryview(b""))
    if isinstance(value, int):
        raise DataError(f"field {number} is a number, want bytes")
    return value
