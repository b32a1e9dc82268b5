"""Opening a recording without trusting it, and the key of its content."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..capture.demux import import_av
from ..errors import DataError
from .sources import Source, open_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE_BYTES = 8 << 20  # smaller files are hashed whole
_END_BYTES = 1 << 20  # of larger ones the first and last MiB, where indices and headers are ...
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16  # ... and 64 pieces of 64 KiB in between
# Demuxers of recordings. Playlists (hls, dash, concat) are none: they would make FFmpeg open further files.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo,mpegts,flv,ogg,asf,mxf,nut,ivf,yuv4mpegpipe,"
    "wav,w64,mp3,aac,flac,aiff,h264,hevc,av1,obu,m4v,mjpeg,rm,gif,dv,swf,wtv"
)
_MAX_PIXELS = 8192 * 8192  # a picture of more is a bomb, not a recording


class MemberFile(io.RawIOBase):
    """`size_bytes` bytes from `offset` of another file, as a file of its own."""

    def __init__(self, whole: BinaryIO, offset: int, size_bytes: int) -> None:
        self._whole, self._offset, self._size, self._at = whole, offset, size_bytes, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, to: int, whence: int = io.SEEK_SET) -> int:
        """As any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = min(max(base + to, 0), self._size)
        return self._at

    def tell(self) -> int:
        """As any file."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As any file; never beyond the member."""
        wanted = min(len(buffer), self._size - self._at)
        self._whole.seek(self._offset + self._at)
        data = self._whole.read(wanted)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Close the whole file too."""
        if not self.closed:
            self._whole.close()
        super().close()


def open_bytes(source: Source) -> BinaryIO:
    """The recording's bytes; `DataError` with the reason where they cannot be had."""
    if source.problem:
        raise DataError(source.problem)
    try:
        if not source.is_remote and not Path(source.path).is_file():  # a named pipe or device would hang
            raise DataError("no such file" if not Path(source.path).exists() else "not a regular file")
        whole = open_whole(source.path)
    except PermissionError as error:
        raise DataError("not readable by this user (chmod a+r?)") from error
    except (OSError, ImportError, ValueError) as error:
        raise DataError(f"cannot be opened: {error}") from error
    if not source.member:
        return whole
    return io.BufferedReader(MemberFile(whole, source.offset, source.size_bytes or 0), 1 << 16)


def content_key(stream: BinaryIO) -> tuple[str, int]:
    """(32 hexadecimal digits, size in bytes) of the content, whatever its name or date.

    Up to 8 MiB all of it; of larger files the size, both ends and 64 pieces between, so that a night's job does not
    read a petabyte twice. Two recordings of one size that differ in none of these places would be taken for one.
    """
    size = stream.seek(0, io.SEEK_END)
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    if size <= _WHOLE_BYTES:
        pieces = [(0, size)]
    else:
        step = (size - 2 * _END_BYTES) // _SAMPLES
        between = [(_END_BYTES + i * step, _SAMPLE_BYTES) for i in range(_SAMPLES)]
        pieces = [(0, _END_BYTES), *between, (size - _END_BYTES, _END_BYTES)]
    for start, length in pieces:
        stream.seek(start)
        digest.update(stream.read(length))
    stream.seek(0)
    return digest.hexdigest(), size


@contextmanager
def open_container(source: Source) -> Iterator[Any]:
    """The recording as a PyAV container; `DataError` with the reason when it is none. Closes everything at the end."""
    av = import_av(str(source))
    stream = open_bytes(source)
    plain = not (source.is_remote or source.member)
    if plain:
        stream.close()
    try:
        options = {"protocol_whitelist": "file,crypto,data", "format_whitelist": _FORMATS}
        container = av.open(source.path if plain else stream, options=options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        stream.close()
        raise DataError(f"not a media file that can be read, or cut off ({reason(error)})") from error
    try:
        for video in container.streams.video:
            video.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
        yield container
    finally:
        container.close()
        stream.close()


def reason(error: BaseException) -> str:
    """FFmpeg's own words, without the path."""
    return str(getattr(error, "strerror", None) or error).rstrip(".")
