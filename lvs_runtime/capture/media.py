"""A media file: picture and sound from one demuxer, in time order, stamps from 0. Deterministic, no clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import CaptureError
from ..results import VideoFrame
from .base import Dropped, EndOfSource, Item, SourceInfo, SourceLost
from .demux import Demuxer, import_av
from .time_order import TimeOrder

_LOG = logging.getLogger(__name__)
_EXACT_LENGTH = ("mov", "matroska")  # containers whose stated length can be believed
_CUT_S = 1.0


class MediaFile:
    """`picture` and `sound` say what is wanted; what the file lacks is a `CaptureError` with the way out."""

    is_live = False

    def __init__(self, path: str, picture: bool = True, sound: bool = True) -> None:
        self.path = path
        self.has_picture, self.has_sound = picture, sound
        self.info = SourceInfo(name=path, kind="file", stamp_source="file")
        self._demuxer: Demuxer | None = None
        self._items: Iterator[Item] = iter(())
        self._order = TimeOrder(picture, sound)
        self._error: str | None = None
        self._ended = False
        self._reached_ns = 0
        self._num_frames = 0

    def open(self) -> None:
        """Open the file and check that it holds what is wanted."""
        path = Path(self.path)
        if not path.exists():
            raise CaptureError(f"{self.path}: no such file in {path.parent.absolute()}")
        if path.is_dir():
            raise CaptureError(f"{self.path}: is a folder. For pictures in a folder: --camera images:{self.path}@15")
        av = import_av(self.path)
        try:
            # A playlist inside a file must not open other protocols.
            container = av.open(str(path), options={"protocol_whitelist": "file,crypto,data"})
        except PermissionError as error:
            raise CaptureError(f"{self.path}: not readable by this user (chmod u+r?)") from error
        except (av.error.FFmpegError, OSError) as error:
            raise CaptureError(_cannot_open(path, error)) from error
        self._demuxer = Demuxer(av, container, self.has_picture, self.has_sound)
        try:
            self._check_streams(self._demuxer)
        except CaptureError:
            self.close()
            raise
        for name, value in self._demuxer.describe().items():
            setattr(self.info, name, value)
        self._items = self._demuxer.items()
        self._order = TimeOrder(self.has_picture, self.has_sound)
        self._error, self._ended, self._reached_ns, self._num_frames = None, False, 0, 0

    def read(self, timeout_s: float) -> Item | None:
        """The next item in time order; `SourceLost` at the end of a file that was cut, after all that it held."""
        while (item := self._order.pop()) is None:
            if self._ended:
                if self._error:
                    raise SourceLost(self._error)
                raise EndOfSource
            decoded = self._decode()
            if isinstance(decoded, Dropped):
                return decoded
        return item

    def close(self) -> bool:
        """Close the file."""
        if self._demuxer is not None:
            self._demuxer.container.close()
            self._demuxer = None
        return True

    def _decode(self) -> Dropped | None:
        av = import_av(self.path)
        try:
            item = next(self._items, None)
        except (av.error.FFmpegError, OSError) as error:
            self._finish(f"{self.path}: unreadable after {self._reached_ns / 1e9:.2f} s ({_reason(error)})")
            return None
        if item is None:
            self._finish(self._cut_short())
        elif isinstance(item, Dropped):
            return item
        else:
            self._order.add(item)
            is_frame = isinstance(item, VideoFrame)
            self._num_frames += is_frame
            stamp_ns = item.capture_ns if isinstance(item, VideoFrame) else item.start_ns or 0
            self._reached_ns = max(self._reached_ns, stamp_ns)
        return None

    def _finish(self, error: str | None) -> None:
        self._order.end()
        self._ended = True
        if error is None and self.has_picture and not self._num_frames:
            error = f"{self.path}: has a picture stream but not one frame could be decoded; is it damaged?"
        if error:
            self._error = f"{error}; it seems truncated. What came before was processed. Make the file again"

    def _cut_short(self) -> str | None:
        length_s = self.info.duration_s
        exact = self._demuxer is not None and any(n in self._demuxer.container.format.name for n in _EXACT_LENGTH)
        if length_s and exact and self._reached_ns / 1e9 < length_s - _CUT_S:
            return f"{self.path}: ends after {self._reached_ns / 1e9:.2f} s of the {length_s:.2f} s that it states"
        return None

    def _check_streams(self, demuxer: Demuxer) -> None:
        if self.has_picture and demuxer.video is None:
            found = "only sound" if demuxer.has_any_sound else "no stream at all"
            raise CaptureError(
                f"--camera {self.path}: has no picture ({found} was found). To use its sound with a camera: "
                f"--camera 0 --mic {self.path}"
            )
        if self.has_sound and demuxer.audio is None:
            if not self.has_picture:
                raise CaptureError(f"--mic {self.path}: has no sound (a picture was found). Give a file with sound")
            raise CaptureError(
                f"{self.path}: has a picture but no sound, and where a sound comes from cannot be told without one. "
                f"Give its sound: --mic sound.wav, or go on without any: --mic none"
            )


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".")


def _cannot_open(path: Path, error: Any) -> str:
    size = path.stat().st_size
    if size == 0:
        return f"{path}: the file is empty (0 bytes). Copy or record it again"
    return (
        f"{path}: not a media file that can be read, or cut off ({_reason(error)}; {size:,} bytes). An mp4 that was "
        f"not closed properly lacks its index: record it again, or repair it (ffmpeg -i {path.name} -c copy new.mp4)"
    )
