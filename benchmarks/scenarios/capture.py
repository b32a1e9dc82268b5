"""Capture side: our camera against plain `VideoCapture.read()` and PyAV loops.

    python -m benchmarks.scenarios.capture [--seconds 10] [--json FILE]

Runs on the virtual devices of tests/devices. Each frame carries its number as a bar code of 16 white or black blocks,
so its age comes from the feeder's own record, not from what the reader believes. Between two reads every reader works
for 0, 20 or 60 ms: a loop that reads only when it is done gets what waited in the driver's queue. The shim's queue is
short; that of a real V4L2 camera (4 buffers) makes the plain loop older: (4 + 1) * work - period / 2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.bench import percentiles, report, writing
from lvs_runtime.bench.resources import Meter

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/devices"))
SIZE, FPS, BITS = (640, 480), 30, 16
WORK_MS = (0, 20, 60)
READERS = ("lvs", "read", "read_buffer1", "pyav")


def code(picture: np.ndarray, number: int) -> None:
    """Write `number` into the first rows of a YUYV picture (H, W, 2)."""
    for bit in range(BITS):
        picture[:32, bit * 40 : bit * 40 + 40, 0] = 235 if number >> bit & 1 else 16


def decode(image_bgr: np.ndarray) -> int:
    """The number back, from a BGR picture."""
    return sum(1 << bit for bit in range(BITS) if image_bgr[8:24, bit * 40 + 10 : bit * 40 + 30].mean() > 125)


def feed_camera(fifo: str, log: str) -> None:
    """In a process of its own: frame k at start + k / FPS; its moment is written to `log`."""
    import os

    from feeder import on_time, write_all

    base = np.full((SIZE[1], SIZE[0], 2), 128, np.uint8)
    base[..., 0] = np.random.default_rng(0).integers(16, 235, base.shape[:2], dtype=np.uint8)
    fd = os.open(fifo, os.O_RDWR)
    with Path(log).open("w", buffering=1) as record:
        for number, late_s in on_time(time.monotonic() + 0.2, 1 / FPS):
            if late_s < 1 / FPS:
                code(base, number % (1 << BITS))
                record.write(f"{number} {time.monotonic_ns()}\n")
                write_all(fd, base.tobytes())


def read_camera(reader: str, work_ms: float, seconds: float) -> None:
    """In a process of its own, under the camera shim: (number, moment of having it) for each frame, as JSON."""
    frames = {"lvs": _ours, "read": _plain, "read_buffer1": _plain, "pyav": _pyav}[reader]
    got: list[tuple[int, int]] = []
    end_s = time.monotonic() + seconds
    with contextlib.closing(frames(reader)) as source:
        for image in source:
            got.append((decode(image), time.monotonic_ns()))
            if time.monotonic() > end_s:
                break
            if work_ms:
                time.sleep(work_ms / 1e3)
    print(json.dumps(got))


def _ours(_reader: str) -> Any:
    """A thread drains the driver into a slot that keeps the newest: what LiveSession does."""
    from lvs_runtime.capture.camera import Camera
    from lvs_runtime.live.slot import FrameSlot
    from lvs_runtime.results import VideoFrame

    camera, slot, stop = Camera("0", SIZE, FPS), FrameSlot[VideoFrame](), threading.Event()
    camera.open()

    def drain() -> None:
        while not stop.is_set():
            item = camera.read(0.1)
            if isinstance(item, VideoFrame):
                slot.put(item)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        while True:
            frame = slot.take(1.0)
            if frame is not None:
                yield frame.image_bgr
    finally:
        stop.set()
        thread.join(5.0)
        camera.close()


def _plain(reader: str) -> Any:
    import cv2

    capture = cv2.VideoCapture(0, cv2.CAP_V4L2)
    if reader == "read_buffer1":
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    while True:
        ok, image = capture.read()
        if not ok:
            return
        yield image


def _pyav(_reader: str) -> Any:
    import av

    with av.open("/dev/video0", format="v4l2", options={"framerate": str(FPS)}) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def camera_ages(seconds: float, readers: Sequence[str]) -> list[dict[str, Any]]:
    """Age of a frame when the reader has it, for each reader and each amount of work."""
    from virtual_devices import VirtualDevices, build_shim

    table = []
    for work_ms in WORK_MS:
        for reader in readers:
            with tempfile.TemporaryDirectory() as folder:
                devices = VirtualDevices(Path(folder), build_shim(Path(folder) / "fakev4l2.so"))
                environment = {
                    "FAKEV4L2_SIZE": f"{SIZE[0]}x{SIZE[1]}", "FAKEV4L2_FPS": str(FPS),
                    "LD_PRELOAD": str(devices.shim), "FAKEV4L2_SRC": str(devices.camera_fifo),
                }  # fmt: skip
                me = [sys.executable, "-m", "benchmarks.scenarios.capture"]
                log = Path(folder) / "sent.txt"
                devices.spawn([*me, "--feed", devices.camera_fifo, log], "feeder.log")
                try:
                    time.sleep(1.0)
                    done = subprocess.run(
                        [*me, "--read", reader, str(work_ms), str(seconds)], env={**devices.environment, **environment},
                        capture_output=True, text=True, timeout=seconds + 60, check=False, cwd=ROOT,
                    )  # fmt: skip
                finally:
                    for process in devices.processes:
                        devices.end(process)
                table.append(_row(reader, work_ms, done, log))
                print(json.dumps(table[-1]), flush=True)
    return table


def _row(reader: str, work_ms: float, done: subprocess.CompletedProcess[str], log: Path) -> dict[str, Any]:
    if done.returncode or not done.stdout.strip():
        return {"reader": reader, "work_ms": work_ms, "failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    sent = dict(tuple(map(int, line.split())) for line in log.read_text().splitlines() if line.count(" ") == 1)
    got = json.loads(done.stdout.strip().splitlines()[-1])[30:]  # the first second: queues fill
    ages = [(moment - sent[number]) / 1e6 for number, moment in got if number in sent]
    offered = max(number for number, _ in got) - min(number for number, _ in got) + 1 if got else 0
    return {
        "reader": reader, "work_ms": work_ms, "unreadable": len(got) - len(ages), "offered": offered,
        "read": len({number for number, _ in got}), "age_ms": percentiles.summary(ages, unit=""),
    }  # fmt: skip


def main() -> None:
    """Command line; `--feed` and `--read` are the processes it starts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--reader", choices=READERS, action="append", help="only this one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--feed", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.feed:
        feed_camera(*args.feed)
    elif args.read:
        read_camera(args.read[0], float(args.read[1]), float(args.read[2]))
    else:
        meter = Meter().start()
        rows = camera_ages(args.seconds, args.reader or READERS)
        meter.stop()
        if args.json:
            writing.write_json("--json", args.json, {**report.envelope("capture", meter, False), "rows": rows})


if __name__ == "__main__":
    main()
