"""From bytes to pictures (H, W, 3) uint8 BGR and sound (n, channels) float32: what buses and recordings carry."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError, DataError
from .cdr import RosImage

Image = npt.NDArray[np.uint8]

# encoding: (channels, which of them are blue, green, red)
_RAW = {
    "bgr8": (3, (0, 1, 2)),
    "rgb8": (3, (2, 1, 0)),
    "bgra8": (4, (0, 1, 2)),
    "rgba8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
    "8UC1": (1, (0, 0, 0)),
    "8UC3": (3, (0, 1, 2)),
}
_PCM = {
    "s16le": ("<i2", 32768.0),
    "pcm-s16": ("<i2", 32768.0),
    "s32le": ("<i4", 2147483648.0),
    "f32le": ("<f4", 1.0),
}


def picture(message: RosImage) -> Image | None:
    """The picture of a message; None when its bytes are none. `CaptureError` for an encoding that is not supported."""
    if not message.height:
        return compressed(message.data)
    if message.encoding not in _RAW:
        raise CaptureError(
            f"pictures come as {message.encoding!r}; supported: {', '.join(_RAW)}, or a compressed topic (JPEG, PNG)"
        )
    channels, order = _RAW[message.encoding]
    if message.step < message.width * channels or len(message.data) < message.step * message.height:
        return None
    rows = np.frombuffer(message.data, np.uint8, message.step * message.height).reshape(message.height, message.step)
    pixels = rows[:, : message.width * channels].reshape(message.height, message.width, channels)
    return np.ascontiguousarray(pixels[:, :, list(order)])


def compressed(data: bytes | memoryview) -> Image | None:
    """A JPEG or PNG file's picture, None when it is broken. By OpenCV where it is installed, else by PyAV."""
    try:
        import cv2
    except ImportError:
        return _by_av(bytes(data))
    if not len(data):
        return None
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)


def _by_av(data: bytes) -> Image | None:
    try:
        import av
    except ImportError as error:
        raise CaptureError("pictures need OpenCV or PyAV. Run: pip install 'lvs[live]' or 'lvs[video]'") from error
    import io

    try:
        with av.open(io.BytesIO(data), "r") as container:
            return np.asarray(next(container.decode(video=0)).to_ndarray(format="bgr24"), np.uint8)
    except (av.error.FFmpegError, OSError, StopIteration):
        return None


def sound(data: bytes | memoryview, sample_format: str, channels: int) -> npt.NDArray[np.float32]:
    """(n, channels) in [-1, 1] from interleaved PCM; `DataError` for a format that is not supported."""
    kind = _PCM.get(sample_format.lower())
    if kind is None:
        raise DataError(f"sound comes as {sample_format!r}; supported: {', '.join(_PCM)} (interleaved)")
    width = np.dtype(kind[0]).itemsize * channels
    samples = np.frombuffer(data, kind[0], len(data) // width * channels).reshape(-1, channels)
    return (samples / np.float32(kind[1])).astype(np.float32)


def protobuf_fields(data: bytes | memoryview) -> dict[int, int | memoryview]:
    """The last value of each field of a protobuf message: numbers as int, everything else as bytes, not copied.

    Enough for Foxglove's flat messages; the wire format is public (protobuf.dev, "Encoding").
    """
    view, at, fields = memoryview(data), 0, dict[int, "int | memoryview"]()
    while at < len(view):
        tag, at = _varint(view, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            fields[number], at = _varint(view, at)
            continue
        length = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            length, at = _varint(view, at)
        if length is None or at + length > len(view):
            raise DataError("not a protobuf message, or cut short")
        part = view[at : at + length]
        fields[number] = part if wire == 2 else int.from_bytes(part, "little")
        at += length
    return fields


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise DataError("not a protobuf message, or cut short")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
