"""The pages and the little JSON interface, as an ASGI application (starlette)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

from ...sinks.encode import encode_json
from .access import COOKIE, Guard
from .hub import Hub
from .stream import BOUNDARY

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/draw.js": ("draw.js", "text/javascript; charset=utf-8"),
    "/strips.js": ("strips.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_NO_TOKEN = "This page is guarded. Open the address that the program printed: it ends in ?token=...\n"
_BAD_HOST = "This page answers only under localhost or 127.0.0.1. To share it, use --web-host and LVS_WEB_TOKEN.\n"


def make_app(hub: Hub, guard: Guard, state: Callable[[], dict[str, Any]]) -> Starlette:
    """The application: page, `/api/state`, `/ws`, `/stream.mjpg`, `/snapshot.jpg`. `state` answers `/api/state`."""
    from starlette.applications import Starlette
    from starlette.routing import Route, WebSocketRoute

    site = _Site(hub, guard, state)
    answers = {**dict.fromkeys(_FILES, site.file), "/api/state": site.api_state}
    answers |= {"/stream.mjpg": site.stream, "/snapshot.jpg": site.snapshot}
    routes = [Route(path, answer) for path, answer in answers.items()]
    return Starlette(routes=[*routes, WebSocketRoute("/ws", site.live)])


class _Site:
    """One method an address."""

    def __init__(self, hub: Hub, guard: Guard, state: Callable[[], dict[str, Any]]) -> None:
        self._hub, self._guard, self._state = hub, guard, state
        static = resources.files(__package__).joinpath("static")
        self._bodies = {path: (static.joinpath(name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}

    async def file(self, request: Request) -> Response:
        """A part of the page; a token in the address moves into a cookie."""
        from starlette.responses import RedirectResponse, Response

        refused = self._refusal(request)
        if refused is not None:
            return refused
        if "token" in request.query_params and self._guard.token is not None:  # out of history and screenshots
            response: Response = RedirectResponse("/", 303, HEADERS)
            response.set_cookie(COOKIE, self._guard.token, httponly=True, samesite="strict")
            return response
        body, kind = self._bodies[request.url.path]
        return Response(body, media_type=kind, headers=HEADERS)

    async def api_state(self, request: Request) -> Response:
        """Session, latest result, counters."""
        from starlette.responses import Response

        return self._refusal(request) or Response(
            encode_json(self._state()), media_type="application/json", headers=HEADERS
        )

    async def stream(self, request: Request) -> Response:
        """The annotated picture, again and again, for as long as the viewer stays; it takes a place."""
        from starlette.responses import StreamingResponse

        refused = self._refusal(request) or self._take_place()
        if refused is not None:
            return refused
        hub = self._hub

        class Placed(StreamingResponse):
            """Gives the place back also when the viewer has left before the first picture."""

            async def __call__(self, *asgi: Any) -> None:
                try:
                    await super().__call__(*asgi)
                finally:
                    hub.give_place_back()

        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        return Placed(hub.streams.stream(), media_type=kind, headers=HEADERS)

    async def snapshot(self, request: Request) -> Response:
        """The next annotated picture."""
        from starlette.responses import PlainTextResponse, Response

        refused = self._refusal(request) or self._take_place()
        if refused is not None:
            return refused
        try:
            jpeg = await self._hub.streams.snapshot()
        finally:
            self._hub.give_place_back()
        if jpeg is None:
            return PlainTextResponse("No picture comes from the source at the moment.\n", 503, HEADERS)
        return Response(jpeg, media_type="image/jpeg", headers=HEADERS)

    async def live(self, socket: WebSocket) -> None:
        """The page's socket; it takes a place."""
        from starlette.responses import PlainTextResponse

        refused = self._refusal(socket)
        if refused is None and not self._guard.origin_ok(socket.headers):
            refused = PlainTextResponse("This WebSocket belongs to another page.\n", 403, HEADERS)
        refused = refused or self._take_place()
        if refused is not None:
            await socket.send_denial_response(refused)
            return
        try:
            await socket.accept()
            await self._hub.serve(socket)
        finally:
            self._hub.give_place_back()

    def _refusal(self, asked: HTTPConnection) -> Response | None:
        from starlette.responses import PlainTextResponse

        if not self._guard.host_ok(asked.headers):
            return PlainTextResponse(_BAD_HOST, 421, HEADERS)
        if not self._guard.token_ok(asked.headers, asked.query_params):
            return PlainTextResponse(_NO_TOKEN, 401, HEADERS)
        return None

    def _take_place(self) -> Response | None:
        from starlette.responses import PlainTextResponse

        if self._hub.take_place():
            return None
        return PlainTextResponse(f"All {self._hub.max_viewers} places are taken.\n", 503, HEADERS)
