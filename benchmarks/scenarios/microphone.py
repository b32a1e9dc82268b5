"""Microphone: our reader thread and ring against loops that block in `read()`, and against a `parec` pipe.

    python -m benchmarks.scenarios.microphone [--seconds 10] [--long 120] [--json FILE]

Runs on the virtual microphone of tests/devices (PulseAudio). Every two samples carry their number, so the age of the
newest sound, what was lost and whether samples are those that were sent come from the samples themselves, not from
what a reader believes. Each consumer takes 33 ms of new sound and then works for 0, 20 or 60 ms: a loop that reads
only when it is done gets what waited in the queue, and loses what found no room there; that may take minutes, which
is what `--long` is for: 60 ms of work once more, for so many seconds.

    lvs             our Microphone drained by a thread into our AudioRing; the consumer takes all that is new
    read            sounddevice's blocking read(33 ms), default latency (PyAudio: the same PortAudio call)
    read_available  the same, but all that waits is read: what a careful loop does
    parec           parec --raw through a pipe, as it starts; parec_20ms: with --latency-msec=20
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.bench import percentiles, report, writing
from lvs_runtime.bench.resources import Meter

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/devices"))
RATE, CHUNK = 48_000, 1600
LOW_BITS = 14  # of a pair's number in its even sample, the others in the odd one, below zero
SETTLE_S = 3.0
WORK_MS = (0, 20, 60)
Samples = npt.NDArray[np.int16]


def code(index: npt.NDArray[np.int64]) -> Samples:
    """The samples with these numbers (below 2**29, three hours)."""
    pair = index // 2
    low, high = pair & ((1 << LOW_BITS) - 1), pair >> LOW_BITS
    return np.where(index % 2 == 0, low, -1 - high).astype(np.int16)


def decode(samples: Samples) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(places, pair numbers) of the pairs in a stream of samples."""
    even, odd = samples[:-1].astype(np.int64), samples[1:].astype(np.int64)
    places = np.flatnonzero((even >= 0) & (odd < 0))
    return places, even[places] | (-1 - odd[places]) << LOW_BITS


def feed(fifo: str, log: str) -> None:
    """In a process of its own: sample n at start + n / RATE; the start is written to `log`."""
    from feeder import Player, feed_mic

    class Numbered(Player):
        def sound(self, index: np.ndarray) -> np.ndarray:
            return np.repeat(code(index)[:, None], 2, axis=1)

    start_s = time.monotonic() + 0.2
    Path(log).write_text(str(round(start_s * 1e9)), encoding="ascii")
    feed_mic(fifo, Numbered((64, 48), 30, RATE), start_s)


def consume(reader: str, work_ms: float, seconds: float, out: str) -> None:
    """In a process of its own: take new sound, note the moment, work; chunks, moments and CPU go to `out`."""
    chunks: list[Samples] = []
    moments: list[int] = []
    with contextlib.closing(READERS[reader]()) as source:
        begin_s = time.monotonic() + SETTLE_S
        cpu_s: float | None = None
        for chunk in source:
            now_s = time.monotonic()
            if now_s >= begin_s:
                cpu_s = time.process_time() if cpu_s is None else cpu_s
                chunks.append(chunk)
                moments.append(time.monotonic_ns())
            if now_s >= begin_s + seconds:
                break
            if work_ms:
                time.sleep(work_ms / 1e3)
        used_s = time.process_time() - (cpu_s or 0.0)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # parec, from its start on
    child_s = (children.ru_utime + children.ru_stime) * seconds / (seconds + SETTLE_S)
    np.savez(
        out, samples=np.concatenate(chunks), ends=np.cumsum([len(c) for c in chunks]), moments=moments,
        cpu_percent=100 * (used_s + child_s) / seconds,
    )  # fmt: skip


def _ours() -> Iterator[Samples]:
    """A thread drains PortAudio's callback blocks into the ring, the consumer cuts out what is new."""
    from lvs_runtime.capture.microphone import Microphone
    from lvs_runtime.live.clock import TimeLine
    from lvs_runtime.live.ring import AudioRing

    microphone, stop, counts = Microphone(quiet=True), threading.Event(), TimeLine(0.0, 0, 1.0)
    ring, arrived = AudioRing(RATE, keep_s=10.0), threading.Condition()
    microphone.open()

    def drain() -> None:
        while not stop.is_set():
            block = microphone.read(0.1)
            if block is not None:
                with arrived:
                    ring.append(block.samples, counts)  # stamps are counts: what is measured is in the samples
                    arrived.notify()

    thread = threading.Thread(target=drain)
    thread.start()
    taken = 0
    try:
        while True:
            with arrived:
                arrived.wait_for(lambda last=taken: ring.end_count >= last + CHUNK)  # type: ignore[misc]
                end = ring.end_count
            window = ring.window(end, end - taken)
            assert window is not None
            taken = end
            yield np.round(window.waveform * 32_768).astype(np.int16)
    finally:
        stop.set()
        thread.join(5.0)
        microphone.close()


def _blocking(everything: bool) -> Iterator[Samples]:
    import sounddevice

    with sounddevice.InputStream(samplerate=RATE, channels=1, dtype="int16") as stream:
        while True:
            data, _ = stream.read(max(CHUNK, stream.read_available if everything else 0))
            yield data[:, 0].copy()


def _parec(*options: str) -> Iterator[Samples]:
    command = ["parec", "--raw", f"--rate={RATE}", "--channels=1", "--format=s16le", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        while len(data := process.stdout.read(2 * CHUNK)) == 2 * CHUNK:
            yield np.frombuffer(data, "<i2")
    finally:
        process.terminate()
        process.wait(10)


READERS: dict[str, Callable[[], Iterator[Samples]]] = {
    "lvs": _ours,
    "read": lambda: _blocking(False),
    "read_available": lambda: _blocking(True),
    "parec": _parec,
    "parec_20ms": lambda: _parec("--latency-msec=20"),
}


def row(out: Path, start_ns: int) -> dict[str, Any]:
    """Age of the newest sound at each use, samples lost and samples that were never sent."""
    done = np.load(out)
    places, pairs = decode(done["samples"])
    held = np.searchsorted(places, done["ends"] - 1, side="left") - 1  # the last whole pair of each chunk
    newest_ns = start_ns + (2 * pairs[held] + 2) * (10**9 / RATE)
    ages = (done["moments"] - newest_ns) / 1e6
    offered = int(pairs[-1] - pairs[0]) + 1
    seconds = (done["moments"] - done["moments"][0]) / 1e9
    return {
        "uses": len(ages), "samples": len(done["samples"]), "lost_samples": 2 * (offered - len(np.unique(pairs))),
        "lost_share": round(1 - len(np.unique(pairs)) / offered, 4),
        "not_as_sent": int(len(done["samples"]) - 2 * len(pairs) + (np.diff(pairs) <= 0).sum()),
        "age_ms": percentiles.summary(ages, unit=""), "age_at_end_ms": round(float(ages[-1]), 1),
        "age_growth_ms_a_second": round(float(np.polyfit(seconds, ages, 1)[0]), 1),
        "cpu_percent": round(float(done["cpu_percent"]), 1),
    }  # fmt: skip


def measure(reader: str, work_ms: float, seconds: float) -> dict[str, Any]:
    """One reader with one amount of work, on devices of its own."""
    from virtual_devices import VirtualDevices, wait_until

    with tempfile.TemporaryDirectory() as folder:
        devices = VirtualDevices(Path(folder), Path(folder))
        me = [sys.executable, "-m", "benchmarks.scenarios.microphone"]
        log, out = Path(folder) / "start.txt", Path(folder) / "out.npz"
        try:
            devices.start_pulse()
            devices.spawn([*me, "--feed", devices.mic_fifo, log], "feeder.log")
            wait_until("the feeder runs", lambda: log.exists() and log.read_text() != "")
            done = subprocess.run(
                [*me, "--consume", reader, str(work_ms), str(seconds), out], env=devices.environment,
                capture_output=True, text=True, timeout=seconds + 60, check=False, cwd=ROOT,
            )  # fmt: skip
            if done.returncode:
                return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
            return row(out, int(log.read_text()))
        finally:
            for process in reversed(devices.processes):
                devices.end(process)


def table(seconds: float, long_s: float, readers: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Equal samples first, then every reader with every amount of work."""
    faults = {reader: fault(measure(reader, 0, 2.0)) for reader in readers}
    for work_ms, length_s in [*((work_ms, seconds) for work_ms in WORK_MS), (WORK_MS[-1], long_s)]:
        for reader in readers if length_s else ():
            told = {"failed": faults[reader]} if faults[reader] else measure(reader, work_ms, length_s)
            yield {"reader": reader, "work_ms": work_ms, "seconds": length_s, **told}


def fault(told: dict[str, Any]) -> str | None:
    """Why a reader is not timed: what it hands over when idle is not what was sent. None: it is."""
    if told.get("not_as_sent"):
        return f"{told['not_as_sent']} of {told['samples']} samples are not those that were sent"
    return told.get("failed")


def main() -> None:
    """Command line; `--feed` and `--consume` are the processes it starts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--long", type=float, default=0.0, help="seconds of the busiest case once more")
    parser.add_argument("--reader", choices=READERS, action="append", help="only this one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--feed", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--consume", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.feed:
        feed(*args.feed)
    elif args.consume:
        consume(args.consume[0], float(args.consume[1]), float(args.consume[2]), args.consume[3])
    else:
        meter, rows = Meter().start(), []
        for told in table(args.seconds, args.long, args.reader or list(READERS)):
            rows.append(told)
            print(json.dumps(told), flush=True)
        meter.stop()
        if args.json:
            writing.write_json("--json", args.json, {**report.envelope("microphone", meter, False), "rows": rows})


if __name__ == "__main__":
    main()
