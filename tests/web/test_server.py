from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SessionInfo
from lvs_runtime.view.web import PageServer, hub, stream

TOKEN = "0123456789abcdef"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


class Site:
    """A `PageServer` and plain HTTP requests to it, with any Host header."""

    def __init__(self, token: str | None = None) -> None:
        self.server = PageServer(port=0, token=token)
        self.server.start(SessionInfo(source="here"))

    def get(self, path: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    one = Site()
    yield one
    assert one.server.stop()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Site]:
    one = Site(TOKEN)
    yield one
    assert one.server.stop()


def until(condition: Any, timeout_s: float = 60.0) -> None:
    """Wait for something that other threads bring about."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize("path", ["/", "/app.js", "/draw.js", "/strips.js", "/style.css", "/icon.svg"])
def test_files_come_with_a_strict_policy(path: str, site) -> None:
    response = site.get(path)
    assert response.status == 200
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"
    text = response.text.replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in text, "no external asset"
    assert "https://" not in text.replace('"https:"', "")


def test_the_page_has_no_inline_code(site) -> None:
    page = site.get("/").text
    assert "<style" not in page
    assert " style=" not in page
    assert "onclick" not in page
    assert page.count("<script") == page.count('<script type="module" src="/app.js"></script>') == 1


@pytest.mark.parametrize("path", ["/../server.py", "/static/app.js", "/server.py", "/%2e%2e/access.py", "/nothing"])
def test_nothing_else_is_served(path: str, site) -> None:
    assert site.get(path).status == 404


def test_a_token_opens_once_and_moves_into_a_cookie(guarded) -> None:
    assert guarded.get("/").status == 401
    assert guarded.get("/api/state").status == 401
    assert guarded.get("/api/state", Host="192.168.1.5", Authorization=f"Bearer {TOKEN}").status == 200
    first = guarded.get(f"/?token={TOKEN}")
    assert (first.status, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert guarded.get("/", Cookie=cookie.partition(";")[0]).status == 200


def test_foreign_host_names_are_refused(site) -> None:
    assert site.get("/api/state", Host="rebound.example").status == 421
    assert site.get("/", Host=f"localhost:{site.server.port}").status == 200


def test_the_token_guards_the_socket_too(guarded) -> None:
    address = f"http://127.0.0.1:{guarded.server.port}/"
    with pytest.raises(InvalidStatus) as caught:
        live(address)
    assert caught.value.response.status_code == 401
    with live(address, additional_headers={"Cookie": f"lvs_token={TOKEN}"}) as viewer:
        assert json.loads(viewer.recv(timeout=60))["type"] == "hello"


def test_state_before_and_after_a_result(made) -> None:
    server = PageServer(port=0)
    server.start(SessionInfo(source="here"))
    try:
        state = json.loads(urllib.request.urlopen(server.url + "api/state").read())
        assert state["result"] is None
        assert state["info"]["source"] == "here"
        server.publish(made(3, time.monotonic_ns()), None)
        state = json.loads(urllib.request.urlopen(server.url + "api/state").read())
        assert state["result"]["frame_index"] == 3
        assert state["counters"]["results"] == 1
    finally:
        assert server.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url + "api/state", timeout=5)


def test_a_taken_port_is_named_with_a_free_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(SinkError, match=f"port {taken} on 127.0.0.1 is taken") as caught:
            PageServer(port=taken).start(SessionInfo())
        free = int(str(caught.value).rpartition("web:")[2])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(SinkError, match=r"cannot listen on 192\.0\.2\.1"):
        PageServer("192.0.2.1", 8080, TOKEN).start(SessionInfo())


def test_missing_package_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(SinkError, match=r"uvicorn is not installed. Run: pip install 'lvs\[web\]'"):
        PageServer(port=0).start(SessionInfo())


def live(url: str, **options: Any) -> Any:
    return connect(url.replace("http", "ws") + "ws", compression=None, **options)


def test_a_viewer_gets_hello_then_pictures_and_sound(feed) -> None:
    with live(feed().url) as viewer:
        hello = json.loads(viewer.recv(timeout=60))
        assert (hello["type"], hello["info"]["source"]) == ("hello", "drawn.mp4")
        kinds, frames = set(), []
        while len(frames) < 10 or kinds < {"viewer", 1, 2}:
            message = viewer.recv(timeout=60)
            if isinstance(message, str):
                kinds.add(json.loads(message)["type"])
                continue
            kinds.add(message[0])
            if message[0] == 1:
                length = int.from_bytes(message[1:5], "little")
                frames.append(json.loads(message[5 : 5 + length])["frame_index"])
                assert message[5 + length : 7 + length] == b"\xff\xd8"
                viewer.send("a")
    assert frames == sorted(set(frames))


def test_a_viewer_that_does_not_acknowledge_gets_two_pictures_and_is_let_go(feed, monkeypatch) -> None:
    monkeypatch.setattr(hub, "ACK_TIMEOUT_S", 0.5)
    feeder = feed()
    pictures = 0
    with pytest.raises(ConnectionClosed), live(feeder.url) as viewer:
        while True:
            message = viewer.recv(timeout=60)
            pictures += not isinstance(message, str) and message[0] == 1
    assert pictures == hub.MAX_IN_FLIGHT
    until(lambda: feeder.sink.server.state()["counters"]["viewers_let_go"] == 1)


def test_one_slow_viewer_does_not_slow_another(feed) -> None:
    feeder = feed()
    with live(feeder.url, close_timeout=0.5), live(feeder.url) as quick:
        seen = 0
        while seen < 20:
            message = quick.recv(timeout=60)
            if not isinstance(message, str) and message[0] == 1:
                seen += 1
                quick.send("a")
    assert feeder.queue.error is None


def test_places_are_limited_and_become_free_again(feed) -> None:
    feeder = feed(max_viewers=2)
    state = feeder.sink.server.state
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(live(feeder.url))
        with pytest.raises(InvalidStatus) as caught:
            live(feeder.url)
        assert caught.value.response.status_code == 503
        assert state()["counters"]["viewers_refused"] == 1
    until(lambda: state()["counters"]["viewers"] == 0)
    with live(feeder.url) as viewer:
        assert json.loads(viewer.recv(timeout=60))["type"] == "hello"


def test_a_flood_of_200_connections_leaves_the_page_working(feed) -> None:
    feeder = feed(max_viewers=4)
    port = feeder.sink.server.port
    before = feeder.queue.written
    request = (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    with ExitStack() as stack:
        for _ in range(200):  # they ask, and never read
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            one.sendall(request.encode())
        until(lambda: feeder.sink.server.state()["counters"]["viewers_refused"] == 196)
        state = json.loads(urllib.request.urlopen(feeder.url + "api/state", timeout=10).read())
        assert state["counters"]["viewers"] == 4
        until(lambda: feeder.queue.written > before + 20)
    assert feeder.queue.error is None


def test_other_pages_may_not_open_the_socket(feed) -> None:
    with pytest.raises(InvalidStatus) as caught:
        live(feed().url, origin="https://evil.example")
    assert caught.value.response.status_code == 403


def test_a_message_that_is_too_large_ends_that_viewer_only(feed) -> None:
    feeder = feed()
    with pytest.raises(ConnectionClosed), live(feeder.url) as viewer:
        viewer.send("x" * 10_000)
        while True:
            viewer.recv(timeout=60)
    with live(feeder.url) as viewer:
        assert json.loads(viewer.recv(timeout=60))["type"] == "hello"


def test_the_end_is_told_and_the_thread_is_gone(feed) -> None:
    feeder = feed()
    with live(feeder.url) as viewer:
        viewer.recv(timeout=60)
        threading.Timer(0.1, feeder.sink.server.stop).start()
        last = None
        with pytest.raises(ConnectionClosed):
            while True:
                message = viewer.recv(timeout=60)
                last = message if isinstance(message, str) else last
        assert last is not None
        assert json.loads(last)["type"] == "end"
    until(lambda: not feeder.sink.server._thread.is_alive())


def test_the_network_address_is_printed_with_the_token(capsys) -> None:
    from lvs_runtime.sinks.web import WebSink

    sink = WebSink(0, host="0.0.0.0", token=TOKEN)
    sink.open(SessionInfo())
    try:
        printed = capsys.readouterr()
        assert printed.out == ""
        assert f":{sink.server.port}/?token={TOKEN}" in printed.err
        assert "0.0.0.0" not in printed.err
    finally:
        sink.close()


def read_parts(port: int, count: int, path: str = "/stream.mjpg", **headers: str) -> list[bytes]:
    """JPEGs of the multipart stream, as a plain program reads them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        kind, _, boundary = response.headers["Content-Type"].partition("; boundary=")
        assert kind == "multipart/x-mixed-replace"
        assert response.readline() == f"--{boundary}\r\n".encode()
        parts = []
        while len(parts) < count:
            length = 0
            while (line := response.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
            if not length:
                break  # the stream has ended
            parts.append(response.read(length))
            assert response.readline() == b"\r\n"
            assert response.readline() == f"--{boundary}\r\n".encode()
        return parts
    finally:
        connection.close()


def mean_colour(jpeg: bytes) -> Any:
    import av

    with av.open(io.BytesIO(jpeg)) as container:
        return next(container.decode(video=0)).to_ndarray(format="bgr24").reshape(-1, 3).mean(axis=0)


def test_pictures_without_javascript(feed) -> None:
    feeder = feed()
    port = feeder.sink.server.port
    parts = read_parts(port, 8)
    assert len(set(parts)) == 8, "newest pictures, each once"
    assert all(one[:2] == b"\xff\xd8" for one in parts)
    shot = urllib.request.urlopen(feeder.url + "snapshot.jpg", timeout=60)
    assert shot.headers["Content-Type"] == "image/jpeg"
    colour = mean_colour(shot.read())
    assert np.ptp(colour) > 8, "the heat is drawn in"
    until(lambda: not feeder.sink.server.has_streams)  # nobody looks: nothing is drawn


def test_streams_and_snapshots_ask_for_the_token_too(feed) -> None:
    feeder = feed(token=TOKEN)
    port = feeder.sink.server.port
    for path in ("/stream.mjpg", "/snapshot.jpg"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)
    assert len(read_parts(port, 2, f"/stream.mjpg?token={TOKEN}")) == 2
    assert len(read_parts(port, 1, Authorization=f"Bearer {TOKEN}")) == 1
    urllib.request.urlopen(f"http://127.0.0.1:{port}/snapshot.jpg?token={TOKEN}", timeout=60)


def test_a_silent_source_is_grey_in_the_stream_and_gives_no_snapshot(feed, monkeypatch) -> None:
    monkeypatch.setattr(stream, "STALLED_S", 0.3)
    monkeypatch.setattr(stream, "SNAPSHOT_S", 0.3)
    feeder = feed()
    read_parts(feeder.sink.server.port, 1)
    feeder.pause.set()
    time.sleep(0.3)
    (stale,) = read_parts(feeder.sink.server.port, 1)
    assert np.ptp(mean_colour(stale)) < 2
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(feeder.url + "snapshot.jpg", timeout=60)


def test_a_stream_that_reads_nothing_holds_nobody_up_and_the_end_is_shown(feed) -> None:
    feeder = feed(max_viewers=2)
    port = feeder.sink.server.port
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stuck:
        stuck.sendall(f"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        until(lambda: feeder.sink.server.state()["counters"]["streams"] == 1)
        assert len(read_parts(port, 20)) == 20
        until(lambda: feeder.sink.server.state()["counters"]["streams"] == 1)
        with live(feeder.url), pytest.raises(urllib.error.HTTPError, match="503"):  # both places are taken
            urllib.request.urlopen(feeder.url + "stream.mjpg", timeout=10)
    until(lambda: feeder.sink.server.state()["counters"]["streams"] == 0)
    threading.Timer(0.3, feeder.sink.server.stop).start()
    parts = read_parts(port, 100_000)
    assert np.ptp(mean_colour(parts[-1])) < 2
