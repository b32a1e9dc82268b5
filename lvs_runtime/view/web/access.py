"""Who may look: the page shows a camera, so it is open to this machine alone unless a token guards it. Pure."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from ...errors import ConfigError

COOKIE = "lvs_token"
MIN_TOKEN_LENGTH = 8


def is_loopback(host: str) -> bool:
    """`host` (name or address, no port) can only be reached from this machine."""
    if host.lower() in ("localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, token: str | None) -> None:
    """Raise `ConfigError` when `host` opens the page to the network without a token worth the name."""
    if token is not None and (len(token) < MIN_TOKEN_LENGTH or not token.isascii() or not token.isalnum()):
        raise ConfigError(
            f"web token: {len(token)} characters were given; want {MIN_TOKEN_LENGTH} or more letters and digits. "
            f"A good one: python3 -c 'import secrets; print(secrets.token_hex(8))'"
        )
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"web host {host}: this shows camera and microphone to the whole network, so a token is needed: "
            f"export LVS_WEB_TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(8))'), or keep to 127.0.0.1"
        )


class Guard:
    """Decides on each request from its headers and query."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    def host_ok(self, headers: Mapping[str, str]) -> bool:
        """Without a token only loopback names are served: a foreign name that points here (rebinding) is refused."""
        if self.token is not None:
            return True
        return is_loopback(urlsplit(f"//{headers.get('host', '')}").hostname or "")

    def origin_ok(self, headers: Mapping[str, str]) -> bool:
        """A browser's WebSocket must come from this very page; programs send no Origin."""
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()

    def token_ok(self, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
        """The token came as `?token=`, as `Authorization: Bearer`, or in the cookie that the page sets."""
        if self.token is None:
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [query.get("token", ""), bearer if scheme.lower() == "bearer" else "", _cookie(headers)]
        return any(hmac.compare_digest(one.encode(), self.token.encode()) for one in given)


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
