"""The pages and the little JSON interface, as an ASGI application (starlette)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

from ...sinks.encode import encode_json
from .access import COOKIE, Guard
from .hub import Hub

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
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
    """The application: static page, `/api/state`, `/ws`. `state` is called for each `/api/state`."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route, WebSocketRoute

    static = resources.files(__package__).joinpath("static")
    bodies = {path: (static.joinpath(name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}

    def refusal(headers: Any, query: Any) -> Response | None:
        if not guard.host_ok(headers):
            return PlainTextResponse(_BAD_HOST, 421, HEADERS)
        if not guard.token_ok(headers, query):
            return PlainTextResponse(_NO_TOKEN, 401, HEADERS)
        return None

    async def file(request: Request) -> Response:
        refused = refusal(request.headers, request.query_params)
        if refused is not None:
            return refused
        if "token" in request.query_params and guard.token is not None:  # keep it out of history and screenshots
            response: Response = RedirectResponse("/", 303, HEADERS)
            response.set_cookie(COOKIE, guard.token, httponly=True, samesite="strict")
            return response
        body, kind = bodies[request.url.path]
        return Response(body, media_type=kind, headers=HEADERS)

    async def api_state(request: Request) -> Response:
        return refusal(request.headers, request.query_params) or Response(
            encode_json(state()), media_type="application/json", headers=HEADERS
        )

    async def live(socket: WebSocket) -> None:
        refused = refusal(socket.headers, socket.query_params)
        if refused is None and not guard.origin_ok(socket.headers):
            refused = PlainTextResponse("This WebSocket belongs to another page.\n", 403, HEADERS)
        if refused is None and not hub.take_place():
            refused = PlainTextResponse(f"All {hub.max_viewers} places are taken.\n", 503, HEADERS)
        if refused is not None:
            await socket.send_denial_response(refused)
            return
        try:
            await socket.accept()
            await hub.serve(socket)
        finally:
            hub.give_place_back()

    pages = [Route(path, file) for path in _FILES]
    return Starlette(routes=[*pages, Route("/api/state", api_state), WebSocketRoute("/ws", live)])
