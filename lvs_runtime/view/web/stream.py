"""The picture for whoever runs no JavaScript: `/stream.mjpg` (multipart) and `/snapshot.jpg`, with heat drawn in.

Such a viewer acknowledges nothing and shows its last picture for ever. So each has a slot for the newest picture alone,
little may wait in its socket (see `PageServer`), and when the source falls silent it gets that picture grey, with the
reason on it. Everything here runs on the server's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

BOUNDARY = "lvs-picture"
STALLED_S = 1.5
SNAPSHOT_S = 3.0


class PictureStreams:
    """Open streams and snapshots that wait. `wanted` is read by the sink: only then is a picture drawn."""

    def __init__(self, stale: Callable[[str], bytes | None]) -> None:
        """`stale(reason)`: JPEG of the last picture, recognizable as old; None when there was none yet."""
        self.skipped = 0
        self._stale = stale
        self._open: set[_Slot] = set()
        self._ended = False

    @property
    def wanted(self) -> bool:
        """Somebody waits for a picture."""
        return bool(self._open)

    def __len__(self) -> int:
        return len(self._open)

    def picture(self, jpeg: bytes) -> None:
        """The newest picture, to everybody."""
        for slot in self._open:
            self.skipped += slot.jpeg is not None
            slot.jpeg = jpeg
            slot.news.set()

    def end(self) -> None:
        """The session is over: each stream gets a last grey picture and closes."""
        self._ended = True
        for slot in self._open:
            slot.news.set()

    async def stream(self) -> AsyncIterator[bytes]:
        """Parts of one `multipart/x-mixed-replace` body, until the session ends or the viewer leaves."""
        slot, silent_s = self._enter(), 0.0
        try:
            yield f"--{BOUNDARY}\r\n".encode()
            while not self._ended:
                jpeg = await slot.take(STALLED_S if not silent_s else 1.0)
                if jpeg is None and not self._ended:
                    silent_s += 1.0 if silent_s else STALLED_S
                    jpeg = self._stale(f"no new picture for {int(silent_s)} s")
                elif jpeg is not None:
                    silent_s = 0.0
                if jpeg is not None:
                    yield part(jpeg)
            farewell = self._stale("the session has ended")
            if farewell is not None:
                yield part(farewell)
        finally:
            self._open.discard(slot)

    async def snapshot(self) -> bytes | None:
        """The next picture; None when none comes in time: an old one is never given out as new."""
        slot = self._enter()
        try:
            return await slot.take(SNAPSHOT_S)
        finally:
            self._open.discard(slot)

    def _enter(self) -> _Slot:
        slot = _Slot()
        self._open.add(slot)
        return slot


class _Slot:
    """The newest picture that one viewer has not been sent."""

    def __init__(self) -> None:
        self.jpeg: bytes | None = None
        self.news = asyncio.Event()

    async def take(self, timeout_s: float) -> bytes | None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.news.wait(), timeout_s)
        self.news.clear()
        jpeg, self.jpeg = self.jpeg, None
        return jpeg


def part(jpeg: bytes) -> bytes:
    """One picture of the multipart body, boundary after it: viewers show a picture when they see the next boundary."""
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
    return head.encode() + jpeg + f"\r\n--{BOUNDARY}\r\n".encode()
