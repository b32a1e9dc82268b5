"""Ten minutes of lvs-live on a virtual camera and microphone with a fault every 20 seconds: does anything leak or end?

    python benchmarks/live/soak.py --minutes 10 --json benchmarks/results/soak_<device>_<date>.json

Records an mp4 and JSON lines with a web viewer attached. Each fault is made by hand from outside (signals, pactl,
sockets), nothing inside lvs-live knows of it. Between the faults threads, file descriptors and resident memory of the
process are read. At the end SIGINT; every frame must be accounted for, every line and picture be there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "devices"))
from virtual_devices import VirtualDevices, build_shim, wait_until

from benchmarks.live.context import context

SIZE, FPS, EVERY_S = "640x480", 30, 20.0
MOST_RSS_MB = 350


class Soak:
    """The devices, the process under test, and what can be done to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.devices = VirtualDevices(folder, build_shim(folder / "fakev4l2.so"))
        self.devices.environment |= {"FAKEV4L2_SIZE": SIZE, "FAKEV4L2_FPS": str(FPS)}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def start(self) -> None:
        """Sound server, feeders, lvs-live, viewer; waits for the first results with sound."""
        d, f = self.devices, self.folder
        d.start_pulse()
        self.camera, self.mic = self._feed_camera(), self._feed_mic()
        self.live = d.live(
            "--camera", "0", "--mic", "default", "--headless", "--sink", f"jsonl:{f}/results.jsonl",
            "--sink", f / "out.mp4", "--sink", f"web:{self.port}", "--stats-json", f / "stats.json",
        )  # fmt: skip
        wait_until("results with sound", lambda: self.last().get("audible"), self.live, d.log)
        d.spawn([sys.executable, Path(__file__).with_name("viewer.py"), self.port], "viewer.log")

    def last(self) -> dict[str, Any]:
        """The newest whole result."""
        path = self.folder / "results.jsonl"
        if not path.exists():
            return {}
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines[-3:] if line.endswith(b"\n")]
        return json.loads(whole[-1]) if whole else {}

    def healthy(self, after: int) -> bool:
        """Results later than frame `after`, with sound, and no condition shown."""
        last = self.last()
        return bool(last) and last["frame_index"] > after and not last["flags"]

    def usage(self) -> dict[str, float]:
        """Threads, file descriptors and resident memory of lvs-live."""
        lines = Path(f"/proc/{self.live.pid}/status").read_text().splitlines()
        facts = dict(line.split(":", 1) for line in lines)
        fds = len(list(Path(f"/proc/{self.live.pid}/fd").iterdir()))
        rss_mb = int(facts["VmRSS"].split()[0]) / 1024
        return {"threads": int(facts["Threads"]), "fds": fds, "rss_mb": round(rss_mb, 1)}

    # ---- faults; each ends with everything given back ----

    def camera_unplugged(self) -> None:
        """No writer any more; 3 s later there is one again."""
        self.devices.end(self.camera)
        time.sleep(3)
        self.camera = self._feed_camera()

    def camera_stalled(self) -> None:
        """No frame for 2.5 s, then it goes on."""
        self._freeze(self.camera, 2.5)

    def microphone_stalled(self) -> None:
        """No sound for 2 s, then it goes on."""
        self._freeze(self.mic, 2.0)

    def sound_server_killed(self) -> None:
        """SIGKILL; 2 s later another one."""
        assert self.devices.pulse is not None
        self.devices.end(self.devices.pulse)
        self.devices.end(self.mic)
        time.sleep(2)
        self.devices.start_pulse()
        self.mic = self._feed_mic()

    def sound_server_frozen(self) -> None:
        """SIGSTOP for 2 s."""
        assert self.devices.pulse is not None
        self._freeze(self.devices.pulse, 2.0)

    def microphone_muted(self) -> None:
        """Digital zeros for 3 s."""
        self.devices.pactl("set-source-mute", "fakemic", "1")
        time.sleep(3)
        self.devices.pactl("set-source-mute", "fakemic", "0")

    def source_suspended(self) -> None:
        """PulseAudio suspends the source for 2 s."""
        self.devices.pactl("suspend-source", "fakemic", "1")
        time.sleep(2)
        self.devices.pactl("suspend-source", "fakemic", "0")

    def process_starved(self) -> None:
        """lvs-live itself gets no CPU for 2 s: everything arrives late and at once."""
        self._freeze(self.live, 2.0)

    def web_flood(self) -> None:
        """200 connections that ask and never read, for 3 s."""
        sockets = []
        for _ in range(200):
            try:
                one = socket.create_connection(("127.0.0.1", self.port), timeout=2)
                one.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                sockets.append(one)
            except OSError:
                break  # refused: that is its right
        time.sleep(3)
        for one in sockets:
            one.close()

    def _freeze(self, process: subprocess.Popen, seconds: float) -> None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def _feed_camera(self) -> subprocess.Popen:
        return self.devices.feed("--camera", self.devices.camera_fifo, "--size", SIZE, "--fps", str(FPS))

    def _feed_mic(self) -> subprocess.Popen:
        return self.devices.feed("--mic", self.devices.mic_fifo)

    @property
    def faults(self) -> list[Callable[[], None]]:
        """In turn."""
        return [
            self.camera_unplugged, self.microphone_stalled, self.web_flood, self.sound_server_killed,
            self.camera_stalled, self.microphone_muted, self.process_starved, self.sound_server_frozen,
            self.source_suspended,
        ]  # fmt: skip


def run(soak: Soak, seconds: float) -> dict[str, Any]:
    """The whole time; returns the record."""
    soak.start()
    time.sleep(5)
    begin_s, faults, calm = time.monotonic(), [], []
    for number in range(int(seconds / EVERY_S)):
        due_s = begin_s + number * EVERY_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        calm.append({"at_s": round(time.monotonic() - begin_s, 1), **soak.usage()})
        fault = soak.faults[number % len(soak.faults)]
        fault()
        given_back_s, after = time.monotonic(), soak.last()["frame_index"]
        wait_until(
            f"recovery from {fault.__name__}", lambda after=after: soak.healthy(after), soak.live, soak.devices.log
        )
        took_s = round(time.monotonic() - given_back_s, 2)
        faults.append({"at_s": calm[-1]["at_s"], "fault": fault.__name__, "healthy_again_after_s": took_s})
        print(faults[-1], calm[-1], flush=True)
    time.sleep(max(0.0, begin_s + seconds - time.monotonic()))
    calm.append({"at_s": round(time.monotonic() - begin_s, 1), **soak.usage()})
    asked_s = time.monotonic()
    code = soak.devices.end(soak.live, signal.SIGINT)
    return {
        "seconds": round(asked_s - begin_s, 1),
        "exit_code": code,
        "stop_s": round(time.monotonic() - asked_s, 2),
        "faults": faults,
        "calm": calm,
        **written(soak),
        "checks": {},
    }


def written(soak: Soak) -> dict[str, Any]:
    """What the sinks hold, and what lvs-live says it did."""
    import av

    results = soak.devices.results()
    pictures = 0
    with av.open(str(soak.folder / "out.mp4")) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(str(soak.folder / "out.mp4")) as container:
        sound_s = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    stats = json.loads((soak.folder / "stats.json").read_text())
    ordered = all(a["capture_ns"] < b["capture_ns"] for a, b in itertools.pairwise(results))
    span_s = (results[-1]["capture_ns"] - results[0]["capture_ns"]) / 1e9
    return {
        "jsonl_lines": len(results),
        "captures_ascend": ordered,
        "span_s": round(span_s, 1),
        "mp4": {"pictures": pictures, "sound_s": round(sound_s, 1)},
        "stats": stats,
        "traceback": "Traceback" in soak.devices.log.read_text(),
        "summary": soak.devices.log.read_text().splitlines()[-12:],
    }


def check(record: dict[str, Any]) -> dict[str, bool]:
    """Every promise, kept or not."""
    stats, calm = record["stats"], record["calm"]
    frames = stats["frames"]
    sinks = {name.rsplit("/", 1)[-1]: sink for name, sink in stats["sinks"].items()}
    mp4 = sinks["out.mp4"]
    half = len(calm) // 2
    early, late = calm[1 : half + 1], calm[half + 1 :]
    return {
        "exit 0": record["exit_code"] == 0,
        "every frame accounted for": frames["offered"] == frames["processed"] + sum(frames["dropped"].values()),
        "every result is a line": record["jsonl_lines"] == frames["processed"],
        "captures ascend": record["captures_ascend"],
        "every picture written is in the mp4": record["mp4"]["pictures"] == mp4["written"],
        "every result reached the mp4 or is counted": mp4["written"] + mp4["dropped"] == frames["processed"],
        "sound as long as the picture": abs(record["mp4"]["sound_s"] - record["span_s"]) < 2,
        "threads flat": max(c["threads"] for c in late) <= max(c["threads"] for c in early),
        "fds flat": max(c["fds"] for c in late) <= max(c["fds"] for c in early) + 2,
        "memory flat": max(c["rss_mb"] for c in late) <= 1.05 * max(c["rss_mb"] for c in early),
        f"memory under {MOST_RSS_MB} MB": max(c["rss_mb"] for c in calm) <= MOST_RSS_MB,
        "no traceback": not record["traceback"],
    }


def main() -> int:
    """Command line; exit 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder))
        try:
            record = {**context(), "size": SIZE, "fps": FPS, **run(soak, args.minutes * 60)}
        finally:
            for process in reversed(soak.devices.processes):
                process.send_signal(signal.SIGCONT)
                soak.devices.end(process)
    record["checks"] = check(record)
    for name, kept in record["checks"].items():
        print("kept  " if kept else "BROKEN", name)
    if args.json:
        args.json.write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(record["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
