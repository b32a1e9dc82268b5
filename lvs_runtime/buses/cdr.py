"""Reading ROS 2 messages from their wire format (CDR): just those that carry pictures and sound.

A message begins with four bytes (byte order), every number is aligned to its size counted from there, a string has its
length with the final zero before it, a sequence its number of elements. Field order: the .msg files of ROS 2.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import DataError


@dataclass(frozen=True, slots=True)
class RosImage:
    """`sensor_msgs/Image`, or `CompressedImage` (then `encoding` is its format and `height` 0)."""

    stamp_ns: int
    frame_id: str
    encoding: str
    data: memoryview
    height: int = 0
    width: int = 0
    step: int = 0
    is_bigendian: bool = False


@dataclass(frozen=True, slots=True)
class RosAudio:
    """`audio_common_msgs/AudioDataStamped`: bytes whose format stands elsewhere (`AudioInfo`, or the user says)."""

    stamp_ns: int
    frame_id: str
    data: memoryview


class Cdr:
    """Takes values from the front of a message; `DataError` when it is cut short."""

    def __init__(self, message: bytes | memoryview) -> None:
        view = memoryview(message)
        if len(view) < 4 or view[0] != 0 or view[1] not in (0, 1):
            raise DataError(f"not a ROS 2 message: begins with {bytes(view[:4])!r}, want plain CDR")
        self._order = "<" if view[1] == 1 else ">"
        self._view, self._at = view[4:], 0

    def number(self, code: str) -> int:
        """One number of the `struct` format `code`."""
        size = struct.calcsize(code)
        self._at += -self._at % size
        try:
            (value,) = struct.unpack_from(self._order + code, self._view, self._at)
        except struct.error:
            raise DataError("a ROS 2 message is cut short") from None
        self._at += size
        return int(value)

    def string(self) -> str:
        """A string."""
        return bytes(self._bytes(self.number("I"))).rstrip(b"\0").decode("utf-8", errors="replace")

    def octets(self) -> memoryview:
        """A `uint8[]`, not copied."""
        return self._bytes(self.number("I"))

    def header(self) -> tuple[int, str]:
        """`std_msgs/Header`: stamp in ns and frame id."""
        seconds, nanoseconds = self.number("i"), self.number("I")
        return seconds * 1_000_000_000 + nanoseconds, self.string()

    def _bytes(self, length: int) -> memoryview:
        if self._at + length > len(self._view):
            raise DataError("a ROS 2 message is cut short")
        part = self._view[self._at : self._at + length]
        self._at += length
        return part


def read_image(message: bytes | memoryview) -> RosImage:
    """A `sensor_msgs/Image`."""
    cdr = Cdr(message)
    stamp_ns, frame_id = cdr.header()
    height, width, encoding = cdr.number("I"), cdr.number("I"), cdr.string()
    big, step = bool(cdr.number("B")), cdr.number("I")
    return RosImage(stamp_ns, frame_id, encoding, cdr.octets(), height, width, step, big)


def read_compressed(message: bytes | memoryview) -> RosImage:
    """A `sensor_msgs/CompressedImage`."""
    cdr = Cdr(message)
    stamp_ns, frame_id = cdr.header()
    return RosImage(stamp_ns, frame_id, cdr.string(), cdr.octets())


def read_audio(message: bytes | memoryview) -> RosAudio:
    """An `audio_common_msgs/AudioDataStamped`."""
    cdr = Cdr(message)
    stamp_ns, frame_id = cdr.header()
    return RosAudio(stamp_ns, frame_id, cdr.octets())
