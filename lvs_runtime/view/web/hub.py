"""The viewers. Each has a slot for the newest picture; a slow one misses pictures, a stuck one is let go.

Everything here runs on the server's event loop; `PageServer` hands over with `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from . import messages
from .stream import PictureStreams

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

_LOG = logging.getLogger(__name__)
MAX_IN_FLIGHT = 2  # pictures sent and not yet acknowledged: one being drawn, one on its way
SEND_TIMEOUT_S = 2.0
ACK_TIMEOUT_S = 10.0
_MAX_COLUMNS = 64
_VIEWER_EVERY_S = 0.5


class Viewer:
    """One open page: newest picture not yet sent, columns of sound, acknowledgements."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.skipped = 0
        self.screen_ms: float | None = None
        self._picture: tuple[bytes, int] | None = None
        self._columns: deque[bytes] = deque(maxlen=_MAX_COLUMNS)
        self._in_flight: deque[tuple[int, float]] = deque()  # capture_ns, sent at
        self._news = asyncio.Event()

    def offer(self, message: bytes, capture_ns: int) -> None:
        """The newest picture; one that still waits is missed."""
        self.skipped += self._picture is not None
        self._picture = (message, capture_ns)
        self._news.set()

    def offer_sound(self, message: bytes) -> None:
        """One column of sound."""
        self._columns.append(message)
        self._news.set()

    def wake(self) -> None:
        """Let `send_next` return now."""
        self._news.set()

    def acknowledge(self, now_ns: int) -> None:
        """The page has drawn the oldest picture in flight."""
        if self._in_flight:
            capture_ns, _ = self._in_flight.popleft()
            self.screen_ms = round((now_ns - capture_ns) / 1e6, 1)
            self._news.set()

    def stuck(self, now_s: float) -> bool:
        """A picture was sent long ago and never acknowledged: the page is asleep or gone."""
        return bool(self._in_flight) and now_s - self._in_flight[0][1] > ACK_TIMEOUT_S

    async def send_next(self, timeout_s: float) -> None:
        """Send what is there, or wait for something up to `timeout_s`."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout_s)
        self._news.clear()
        while self._columns:
            await self._send(self._columns.popleft())
        if self._picture is not None and len(self._in_flight) < MAX_IN_FLIGHT:
            (message, capture_ns), self._picture = self._picture, None
            self._in_flight.append((capture_ns, time.monotonic()))
            await self._send(message)

    async def send_text(self, text: str) -> None:
        """A JSON message."""
        await asyncio.wait_for(self.socket.send_text(text), SEND_TIMEOUT_S)

    async def _send(self, message: bytes) -> None:
        await asyncio.wait_for(self.socket.send_bytes(message), SEND_TIMEOUT_S)


class Hub:
    """All viewers of one session, at most `max_viewers`."""

    def __init__(
        self, max_viewers: int, hello: Callable[[], str], stale: Callable[[str], bytes | None] = lambda _: None
    ) -> None:
        """`hello()`: first message to each page. `stale(reason)`: see `PictureStreams`."""
        self.max_viewers = max_viewers
        self.streams = PictureStreams(stale)
        self.viewers: set[Viewer] = set()
        self.refused = 0
        self.let_go = 0  # slow or sleeping viewers that were disconnected
        self._hello = hello
        self._places_taken = 0
        self._ended = False

    @property
    def watching(self) -> int:
        """Open pages and streams."""
        return len(self.viewers) + len(self.streams)

    def take_place(self) -> bool:
        """Reserve a place for one more viewer, to be given back; when all are taken, the refusal is counted."""
        if self._places_taken < self.max_viewers:
            self._places_taken += 1
            return True
        self.refused += 1
        return False

    def give_place_back(self) -> None:
        """A viewer that had a place has gone."""
        self._places_taken -= 1

    def picture(self, message: bytes, capture_ns: int) -> None:
        """To every viewer."""
        for one in self.viewers:
            one.offer(message, capture_ns)

    def sound(self, message: bytes) -> None:
        """To every viewer."""
        for one in self.viewers:
            one.offer_sound(message)

    async def serve(self, socket: WebSocket) -> None:
        """Run one accepted viewer until it leaves, is let go, or the session ends."""
        one = Viewer(socket)
        self.viewers.add(one)
        sender = asyncio.create_task(self._send_loop(one))
        receiver = asyncio.create_task(_receive_loop(one))
        try:
            done, _ = await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
            self.let_go += receiver not in done and not self._ended
            for task in (sender, receiver):
                task.cancel()
            for outcome in await asyncio.gather(sender, receiver, return_exceptions=True):
                _report(outcome)
            with suppress(*_gone()):
                await asyncio.wait_for(socket.close(1001 if self._ended else 1008), SEND_TIMEOUT_S)
        finally:
            sender.cancel()
            receiver.cancel()
            self.viewers.discard(one)

    def end(self) -> None:
        """Tell every viewer that the session is over; `serve` then closes them."""
        self._ended = True
        self.streams.end()
        for one in self.viewers:
            one.wake()

    async def _send_loop(self, one: Viewer) -> None:
        """Ends when the viewer is too slow or the session is over; a closed socket raises."""
        await one.send_text(self._hello())
        told_at = 0.0
        while not self._ended:
            await one.send_next(0.1)
            now = time.monotonic()
            if one.stuck(now):
                return
            if now - told_at >= _VIEWER_EVERY_S:
                told_at = now
                await one.send_text(messages.viewer(one.skipped, one.screen_ms, self.watching))
        await one.send_text(messages.end())


def _gone() -> tuple[type[BaseException], ...]:
    """What a viewer that left, or takes nothing, looks like from here."""
    from starlette.websockets import WebSocketDisconnect

    return WebSocketDisconnect, RuntimeError, OSError, asyncio.TimeoutError


def _report(outcome: BaseException | None) -> None:
    """A viewer leaving is nothing to tell; everything else is a fault of ours."""
    if outcome is not None and not isinstance(outcome, (asyncio.CancelledError, *_gone())):
        _LOG.error("a viewer of the live page was lost", exc_info=outcome)


async def _receive_loop(one: Viewer) -> None:
    """Pages send one thing only: "a", a picture was drawn."""
    while True:
        message = await one.socket.receive()
        if message["type"] != "websocket.receive":
            return
        if message.get("text") == "a":
            one.acknowledge(time.monotonic_ns())
