"""lvs-live on real network streams of this machine: RTSP by GStreamer, motion JPEG over HTTP, MPEG-TS over UDP.

Servers are killed, frozen and brought back: counted reconnects, a visible flag, no old picture as a new one, no hang.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from virtual_devices import DEVICES, PATIENCE_S, ROOT, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
SYSTEM_PYTHON = "/usr/bin/python3"  # PyGObject belongs to the distribution's Python


def lacks_gstreamer() -> str | None:
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst; Gst.init(None); "
    code += "raise SystemExit(not all(map(Gst.ElementFactory.find, ('x264enc', 'opusenc', 'rtph264pay', 'jpegenc'))))"
    if not Path(SYSTEM_PYTHON).exists():
        return f"no {SYSTEM_PYTHON}"
    done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr[-200:] or "an element is missing" if done.returncode else None


@pytest.fixture(scope="module")
def gstreamer() -> None:
    if lack := lacks_gstreamer():
        pytest.skip(f"no RTSP server by GStreamer ({lack}): run scripts/install-system-packages.sh")


class Bench:
    """What a test starts, all of it ended at its close by id."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []

    def spawn(self, command, log) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with (self.folder / log).open("ab") as out:
            process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=out, cwd=ROOT, env=environment)
        self.processes.append(process)
        return process

    def serve(self, kind, port, *options) -> subprocess.Popen:
        log = self.folder / f"{kind}-{time.monotonic_ns()}.log"
        rtsp = [SYSTEM_PYTHON, DEVICES / "rtsp_server.py", port]
        process = self.spawn(
            [*(rtsp if kind == "rtsp" else [sys.executable, DEVICES / "stream_sender.py", kind, port]), *options],
            log.name,
        )
        wait_until(f"{kind} serves", lambda: "ready" in log.read_text(), process, log)
        return process

    def live(self, *options) -> subprocess.Popen:
        return self.spawn([sys.executable, "-m", "lvs_runtime.cli.live", "--headless", *options], "live.log")

    @property
    def log(self) -> Path:
        return self.folder / "live.log"

    def results(self) -> list[dict]:
        path = self.folder / "results.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def end(self, process, number=signal.SIGKILL) -> int:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
        return process.wait(PATIENCE_S)


@pytest.fixture
def bench(tmp_path):
    pytest.importorskip("av")
    made = Bench(tmp_path)
    yield made
    for process in reversed(made.processes):
        made.end(process)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def recording(toy_path, tmp_path) -> list[object]:
    return [
        "--bundle", toy_path, "--sink", f"jsonl:{tmp_path}/results.jsonl", "--sink", tmp_path / "out.mp4",
        "--stats-json", tmp_path / "stats.json",
    ]  # fmt: skip


def check_stamps(results: list[dict]) -> None:
    """Nothing is shown twice, and nothing is older than a stream's own delay when it comes out."""
    assert all(a["capture_ns"] < b["capture_ns"] for a, b in itertools.pairwise(results))
    assert {r["stamp_source"] for r in results} == {"arrival"}
    assert max(r["age_ms"] for r in results) < 3000


def kill_freeze_and_bring_back(bench, serve, live) -> dict:
    """Returns the statistics at the end."""
    wait_until("ten results", lambda: len(bench.results()) >= 10, live, bench.log)

    bench.end(bench.processes[0])
    wait_until("the loss is told", lambda: "trying to open it again" in bench.log.read_text(), live, bench.log)
    time.sleep(0.5)
    lost_at = len(bench.results())
    time.sleep(1.0)
    assert len(bench.results()) == lost_at  # no old picture goes on as a new one
    server = serve()
    wait_until("results again", lambda: len(bench.results()) >= lost_at + 10, live, bench.log)

    server.send_signal(signal.SIGSTOP)
    wait_until(
        "the frozen server is told",
        lambda: bench.log.read_text().count("trying to open it again") >= 2,
        live,
        bench.log,
    )
    frozen_at = len(bench.results())
    server.send_signal(signal.SIGCONT)
    wait_until("results after the thaw", lambda: len(bench.results()) >= frozen_at + 10, live, bench.log)

    server.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    begin_s = time.monotonic()
    assert bench.end(live, signal.SIGINT) in (0, 1), bench.log.read_text()
    assert time.monotonic() - begin_s < 20  # also with a server that says nothing
    stats = json.loads((bench.folder / "stats.json").read_text())
    assert stats["reconnects"]["camera"] >= 2
    assert stats["flags_seen"]["camera_lost"] >= 2
    check_stamps(bench.results())
    assert "Traceback" not in bench.log.read_text()
    return stats


@pytest.mark.parametrize("mount", ["live", "jpeg"])
def test_rtsp_with_sound_killed_frozen_and_back(bench, port, recording, gstreamer, mount):
    def serve():
        return bench.serve("rtsp", port, "--user", "me", "--password", "secret")

    serve()
    live = bench.live("--camera", f"rtsp://me:secret@127.0.0.1:{port}/{mount}", *recording)
    wait_until("sound is heard", lambda: any(r["audible"] for r in bench.results()), live, bench.log)
    kill_freeze_and_bring_back(bench, serve, live)
    heard = [r for r in bench.results() if "no_audio" not in r["flags"]]
    assert len(heard) >= 20
    for name in ("live.log", "results.jsonl", "stats.json"):
        assert "secret" not in (bench.folder / name).read_text()

    import av

    with av.open(str(bench.folder / "out.mp4")) as container:
        assert [s.type for s in container.streams] == ["video", "audio"]
        assert sum(1 for _ in container.decode(video=0)) >= 20


def test_motion_jpeg_over_http_killed_frozen_and_back(bench, port, recording):
    def serve():
        return bench.serve("http", port, "--password", "secret")

    serve()
    live = bench.live("--camera", f"http://me:secret@127.0.0.1:{port}/cam.mjpeg", "--mic", "none", *recording)
    kill_freeze_and_bring_back(bench, serve, live)
    assert "secret" not in bench.log.read_text() + (bench.folder / "results.jsonl").read_text()


def test_a_udp_sender_killed_frozen_and_back(bench, port, recording):
    def serve():
        return bench.serve("udp", port)

    serve()
    live = bench.live("--camera", f"udp://127.0.0.1:{port}", *recording)
    wait_until("sound is heard", lambda: any(r["audible"] for r in bench.results()), live, bench.log)
    kill_freeze_and_bring_back(bench, serve, live)


def test_what_cannot_be_had_is_one_line(bench, port, recording, gstreamer):
    bench.serve("rtsp", port, "--user", "me", "--password", "secret")
    for address, told in (
        (f"rtsp://me:wrong@127.0.0.1:{port}/live", "refuses this user and password"),
        (f"rtsp://me:secret@127.0.0.1:{port}/nothing", "no stream there"),
        (f"rtsp://me:secret@127.0.0.1:{port}/mute", "--mic none"),
        ("udp://127.0.0.1:9", "Is the sender running?"),
    ):
        live = bench.live("--camera", address, *recording)
        assert live.wait(PATIENCE_S) == 2
        said = bench.log.read_text()
        assert told in said
        assert "Traceback" not in said
        assert "secret" not in said
        assert "wrong" not in said
    tries = bench.live(
        "--camera", f"rtsp://me:secret@127.0.0.1:{port}/mute", "--mic", "none", "--seconds", "1", *recording
    )
    assert tries.wait(PATIENCE_S) == 0, bench.log.read_text()
