"""The live page's server, in a thread of its own: binds at once, publishes without blocking, stops in bounded time."""

from __future__ import annotations

import errno
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import SinkError
from ...results import Result
from ...sinks.base import SessionInfo
from . import messages
from .access import Guard, check_binding

if TYPE_CHECKING:
    import asyncio

    import uvicorn

_LOG = logging.getLogger(__name__)
_FPS_WINDOW_NS = 2_000_000_000
_SEND_BUFFER_BYTES = 128 * 1024  # a stream's pictures must not grow old in the kernel's megabytes
_STUCK_MS = 10_000


class PageServer:
    """Serves the page on `host:port`. `publish` and `publish_sound` may be called from any one thread."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 8080, token: str | None = None, max_viewers: int = 8
    ) -> None:
        """`port` 0 takes any free one. Raises `ConfigError` when `host` reaches the network and `token` is None."""
        check_binding(host, token)
        self.host, self.port, self.token, self.max_viewers = host, port, token, max_viewers
        self._info = SessionInfo()
        self._base_ns = time.monotonic_ns()
        self._arrivals: deque[int] = deque()
        self._results = 0
        self._latest: Result | None = None
        self._latest_ns = 0
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self.stale: Callable[[str], bytes | None] = lambda reason: (
            None
        )  # set before `start`: the last picture as an old one

    @property
    def url(self) -> str:
        """The address to open, token included."""
        host = _lan_address() if self.host in ("0.0.0.0", "::") else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    @property
    def has_viewers(self) -> bool:
        """A page is open: only then is a picture worth encoding."""
        return bool(self._hub.viewers)

    @property
    def has_streams(self) -> bool:
        """A stream or snapshot waits: only then is a picture worth drawing."""
        return self._hub.streams.wanted

    def start(self, info: SessionInfo, timeout_s: float = 5.0) -> None:
        """Bind and serve. Raises `SinkError` when the port is taken (with a free one) or a package is missing."""
        try:
            import uvicorn
            import websockets  # noqa: F401  (uvicorn needs it for the WebSocket)

            from .app import make_app
            from .hub import Hub
        except ImportError as error:
            raise SinkError(f"live page: {error.name} is not installed. Run: pip install 'lvs[web]'") from error
        self._info = info
        listener = self._bind()
        self._hub = Hub(self.max_viewers, lambda: messages.hello(info), self.stale)
        config = uvicorn.Config(
            make_app(self._hub, Guard(self.token), self.state),
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            loop="asyncio",
            server_header=False,
            ws_max_size=4096,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(listener,), name="lvs-web", daemon=True)
        self._thread.start()
        if not self._ready.wait(timeout_s) or self._loop is None:
            raise SinkError(f"live page: the server did not start within {timeout_s:g} s")

    def publish(self, result: Result, jpeg: bytes | None, drawn: bytes | None = None) -> None:
        """The newest result; `jpeg` its picture and `drawn` the annotated one, or None while nobody looks."""
        now_ns = time.monotonic_ns()
        self._results += 1
        self._arrivals.append(now_ns)
        while self._arrivals[0] < now_ns - _FPS_WINDOW_NS:
            self._arrivals.popleft()
        self._latest, self._latest_ns = result, now_ns
        if jpeg is not None:
            message = messages.picture(messages.result_fields(result, self._base_ns, self.fps), jpeg)
            self._call(self._hub.picture, message, result.capture_ns)
        if drawn is not None:
            self._call(self._hub.streams.picture, drawn)

    def publish_sound(self, end_ns: int, bands: bytes) -> None:
        """One column of the sound strip."""
        self._call(self._hub.sound, messages.sound((end_ns - self._base_ns) / 1e6, bands))

    @property
    def fps(self) -> float:
        """Results a second over the last two seconds."""
        if len(self._arrivals) < 2:
            return 0.0
        return (len(self._arrivals) - 1) * 1e9 / max(1, self._arrivals[-1] - self._arrivals[0])

    def state(self) -> dict[str, Any]:
        """What `/api/state` answers: session, latest result (None before the first), counters."""
        latest = self._latest
        since_s = None if latest is None else round((time.monotonic_ns() - self._latest_ns) / 1e9, 3)
        return {
            "info": self._info.as_dict(),
            "result": None if latest is None else messages.result_fields(latest, self._base_ns, self.fps),
            "counters": {
                "results": self._results,
                "fps": round(self.fps, 2),
                "seconds_since_result": since_s,
                "viewers": len(self._hub.viewers),
                "streams": len(self._hub.streams),
                "stream_pictures_skipped": self._hub.streams.skipped,
                "viewers_refused": self._hub.refused,
                "viewers_let_go": self._hub.let_go,
            },
        }

    def stop(self, timeout_s: float = 4.0) -> bool:
        """Tell the viewers, close, join. False when the thread did not end in time (it is a daemon)."""
        if self._thread is None or self._server is None:
            return True
        self._call(self._hub.end)
        until = time.monotonic() + min(1.0, timeout_s / 2)
        while (
            self._hub.watching and time.monotonic() < until
        ):  # the farewell goes out before uvicorn closes the sockets
            time.sleep(0.01)
        self._server.should_exit = True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self, listener: socket.socket) -> None:
        import asyncio

        assert self._server is not None

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._ready.set)
            assert self._server is not None
            await self._server.serve(sockets=[listener])

        try:
            asyncio.run(serve())
        except Exception:  # noqa: BLE001  (top of a thread: logged whole)
            _LOG.exception("the live page's server failed")
        finally:
            self._ready.set()
            listener.close()

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(function, *args)
            except RuntimeError:  # closed between the two lines: the page is going away
                return

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)  # accepted ones inherit both
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: who takes nothing for so long is disconnected
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK_MS)
        try:
            listener.bind((self.host, self.port))
        except OSError as error:
            listener.close()
            raise _bind_error(error, self.host, self.port) from error
        self.port = listener.getsockname()[1]
        return listener


def _bind_error(error: OSError, host: str, port: int) -> SinkError:
    if error.errno == errno.EADDRINUSE:
        free = _free_port(host, port)
        return SinkError(f"live page: port {port} on {host} is taken by another program. Try: --sink web:{free}")
    if error.errno == errno.EACCES:
        return SinkError(f"live page: port {port} needs special rights. Try: --sink web:8080")
    return SinkError(f"live page: cannot listen on {host}:{port}: {error.strerror or error}. Is that an address here?")


def _free_port(host: str, taken: int) -> int:
    """The next free port above `taken`, else any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*range(taken + 1, min(taken + 50, 65536)), 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    return 0


def _lan_address() -> str:
    """This machine's address in the local network, for printing (connecting a UDP socket sends nothing)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
