from __future__ import annotations

import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.view.web.access import Guard, check_binding, is_loopback


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)
    check_binding(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.example.org", ""])
def test_the_network_demands_a_token(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match="export LVS_WEB_TOKEN"):
        check_binding(host, None)
    check_binding(host, "0123456789abcdef")


@pytest.mark.parametrize("token", ["", "short", "with space12", "umlautä123", "semi;colon1"])
def test_a_weak_or_awkward_token_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match="letters and digits"):
        check_binding("0.0.0.0", token)


def test_a_foreign_name_that_points_here_is_refused() -> None:
    guard = Guard(None)
    assert guard.host_ok({"host": "127.0.0.1:8080"})
    assert guard.host_ok({"host": "[::1]:8080"})
    assert not guard.host_ok({"host": "rebound.example:8080"})
    assert not guard.host_ok({})
    assert Guard("0123456789").host_ok({"host": "rebound.example:8080"})  # there the token protects


def test_origin_is_this_page_or_no_browser() -> None:
    guard = Guard(None)
    assert guard.origin_ok({"host": "localhost:8080"})
    assert guard.origin_ok({"host": "localhost:8080", "origin": "http://localhost:8080"})
    assert not guard.origin_ok({"host": "localhost:8080", "origin": "http://localhost:9999"})
    assert not guard.origin_ok({"host": "localhost:8080", "origin": "https://evil.example"})
    assert not guard.origin_ok({"host": "localhost:8080", "origin": "null"})


def test_token_by_query_header_or_cookie() -> None:
    guard = Guard("0123456789")
    assert guard.token_ok({}, {"token": "0123456789"})
    assert guard.token_ok({"authorization": "Bearer 0123456789"}, {})
    assert guard.token_ok({"cookie": "other=1; lvs_token=0123456789"}, {})
    for headers, query in (
        ({}, {}),
        ({}, {"token": "0123456780"}),
        ({"authorization": "Basic 0123456789"}, {}),
        ({"cookie": "lvs_token=no"}, {}),
        ({"cookie": "]]=;;\x00"}, {"token": "ü"}),
    ):
        assert not guard.token_ok(headers, query)
    assert Guard(None).token_ok({}, {})
