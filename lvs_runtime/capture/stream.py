"""A network stream (RTSP, MJPEG over HTTP, UDP): picture and sound from one demuxer, stamped on the monotonic clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from ..errors import CaptureError
from ..results import VideoFrame
from .base import Item, SoundBlock, SourceInfo, SourceLost
from .demux import Demuxer, import_av
from .uri import redact

_PROTOCOLS = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto"
_OPEN_S, _READ_S = 5.0, 2.0
_OPTIONS = {
    "rtsp_transport": "tcp",
    "timeout": "2000000",  # us; without it a frozen server hangs the read for ever
    "fflags": "nobuffer",
    "flags": "low_delay",
    "probesize": "65536",
    "analyzeduration": "500000",
    "protocol_whitelist": _PROTOCOLS,
}


class PtsClock(Protocol):
    """Maps media time of a stream to the monotonic clock from what has arrived."""

    def stamp(self, media_ns: int, arrival_ns: int) -> int:
        """The stamp of `media_ns`, held at `arrival_ns`."""


class MediaStream:
    """A live stream. The age of a wireless camera's picture before it reached us is not known: stamps are arrivals,
    smoothed by the stream's own time stamps (`make_clock`), and called "arrival".
    """

    is_live = True

    def __init__(self, url: str, make_clock: Callable[[], PtsClock], picture: bool = True, sound: bool = True) -> None:
        self._url, self._make_clock = url, make_clock
        self.has_picture, self.has_sound = picture, sound
        self.info = SourceInfo(name=redact(url), kind="stream", stamp_source="arrival")
        self._demuxer: Demuxer | None = None
        self._items: Iterator[Item] = iter(())
        self._waiting: deque[Item] = deque()
        self._clock: PtsClock | None = None

    def open(self) -> None:
        """Connect; bounded to a few seconds."""
        av = import_av(self._url)
        try:
            container = av.open(self._url, options=dict(_OPTIONS), timeout=(_OPEN_S, _READ_S))
        except (av.error.FFmpegError, OSError) as error:
            raise CaptureError(self._no_answer(error)) from error
        demuxer = Demuxer(av, container, self.has_picture, self.has_sound, live=True)
        self._demuxer = demuxer
        missing = self._missing(demuxer)
        if missing:
            self.close()
            raise CaptureError(missing)
        for name, value in demuxer.describe().items():
            if name != "duration_s":
                setattr(self.info, name, value)
        # Motion JPEG over HTTP has no time stamps of its own: FFmpeg invents 25 a second.
        self._clock = None if container.format.name == "mpjpeg" else self._make_clock()
        self._items = demuxer.items()
        self._waiting.clear()

    def read(self, timeout_s: float) -> Item | None:
        """The next item; the end of a live stream is a loss."""
        av = import_av(self._url)
        try:
            item = next(self._items, None)
        except (av.error.FFmpegError, OSError) as error:
            raise SourceLost(f"{self.info.name}: lost ({_reason(error)})") from error
        if item is None:
            raise SourceLost(f"{self.info.name}: the server ended the stream")
        return self._stamp(item, time.monotonic_ns())

    def close(self) -> bool:
        """Disconnect."""
        if self._demuxer is not None:
            self._demuxer.container.close()
            self._demuxer = None
        return True

    def _stamp(self, item: Item, arrival_ns: int) -> Item:
        if isinstance(item, VideoFrame):
            stamp_ns = self._clock.stamp(item.capture_ns, arrival_ns) if self._clock else arrival_ns
            return replace(item, capture_ns=min(stamp_ns, arrival_ns), arrival_ns=arrival_ns, stamp_source="arrival")
        if isinstance(item, SoundBlock):
            end_ns = (item.start_ns or 0) + item.duration_ns
            stamp_ns = self._clock.stamp(end_ns, arrival_ns) if self._clock else arrival_ns
            return replace(item, start_ns=stamp_ns - item.duration_ns, arrival_ns=arrival_ns)
        return item

    def _missing(self, demuxer: Demuxer) -> str | None:
        if self.has_picture and demuxer.video is None:
            return f"--camera {self.info.name}: the stream has no picture"
        if self.has_sound and demuxer.audio is None:
            return (
                f"{self.info.name}: the stream has a picture but no sound. Take a microphone: --mic default, or none: "
                f"--mic none"
            )
        return None

    def _no_answer(self, error: Any) -> str:
        asked = f"--camera {self.info.name}"
        if self._url.startswith("udp:"):
            return f"{asked}: nothing arrived there within {_READ_S:g} s ({_reason(error)}). Is the sender running?"
        if "401" in str(error):
            return f"{asked}: the server refuses this user and password. Write: SCHEME://USER:PASSWORD@HOST/PATH"
        return (
            f"{asked}: no stream there ({_reason(error)}). Is the server running and the path right? "
            f"Try: ffprobe {self.info.name}"
        )


def _reason(error: Any) -> str:
    """FFmpeg's words without its own numbers, and without the address that it quotes."""
    return redact(getattr(error, "strerror", None) or str(error))
