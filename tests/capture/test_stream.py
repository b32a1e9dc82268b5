"""Network streams against a small HTTP server of our own: stamps, the end as a loss, refusals without secrets."""

from __future__ import annotations

import functools
import http.server
import socket
import threading
import time

import pytest

from lvs_runtime.capture.base import SoundBlock, SourceLost
from lvs_runtime.capture.stream import MediaStream
from lvs_runtime.errors import CaptureError
from lvs_runtime.live.pts_clock import EnvelopePtsClock
from lvs_runtime.results import VideoFrame

pytest.importorskip("av")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory, helpers):
    """Address of a folder with a transport stream of 2 s, and one without sound."""
    folder = tmp_path_factory.mktemp("served")
    helpers.write_media(folder / "live.ts", 2.0)
    helpers.write_media(folder / "mute.ts", 1.0, audio=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_one_time_line_on_the_monotonic_clock_and_the_end_is_a_loss(served):
    stream = MediaStream(f"{served}/live.ts", EnvelopePtsClock)
    stream.open()
    assert (stream.has_picture, stream.has_sound, stream.is_live) == (True, True, True)
    items, begin_ns = [], time.monotonic_ns()
    with pytest.raises(SourceLost, match="ended the stream"):
        while True:
            items.append(stream.read(0.1))
    stream.close()
    frames = [i for i in items if isinstance(i, VideoFrame)]
    blocks = [i for i in items if isinstance(i, SoundBlock)]
    assert len(frames) >= 48  # a decoder cut off by the end may keep the last one
    assert {f.stamp_source for f in frames} == {"arrival"}
    assert all(f.capture_ns <= f.arrival_ns for f in frames)
    assert all(begin_ns <= f.arrival_ns <= time.monotonic_ns() for f in frames)
    assert sum(len(b.samples) for b in blocks) > 1.8 * 16_000
    assert all(b.start_ns is not None and b.start_ns < b.arrival_ns for b in blocks)


def test_a_stream_without_sound_names_the_choices(served):
    with pytest.raises(CaptureError, match=r"no sound.*--mic default.*--mic none"):
        MediaStream(f"{served}/mute.ts", EnvelopePtsClock).open()
    stream = MediaStream(f"{served}/mute.ts", EnvelopePtsClock, sound=False)
    stream.open()
    assert isinstance(stream.read(0.1), VideoFrame)
    stream.close()


def test_what_is_not_there_is_told_without_the_password(served):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://me:secret@127.0.0.1:{port}/x.ts", served.replace("//", "//me:secret@") + "/none.ts"):
        with pytest.raises(CaptureError) as told:
            MediaStream(url, EnvelopePtsClock).open()
        assert "no stream there" in str(told.value)
        assert "secret" not in str(told.value)
