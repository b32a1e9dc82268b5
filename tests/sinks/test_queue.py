from __future__ import annotations

import errno
import os
import threading

import numpy as np
import pytest

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SessionInfo, SinkQueue, open_sink


class Fake:
    """A sink with scripted faults: waits for `gate` in each write, fails at write number `fail_at`."""

    name, queue_size, wants_stop = "fake", 3, False

    def __init__(self, fail_at: int | None = None, fault: BaseException | None = None, gated: bool = False) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls: list[tuple[str, int]] = []
        self.closed = 0
        self.fail_at, self.fault = fail_at, fault
        if not gated:
            self.gate.set()

    def open(self, info):
        self.info = info

    def write(self, frame, result, audio):
        self.entered.release()
        self.gate.wait(30)
        if self.fault is not None and len(self.calls) == self.fail_at:
            raise self.fault
        self.calls.append(("result", result.frame_index))

    def write_audio(self, samples, sample_rate, start_ns):
        self.calls.append(("audio", start_ns))

    def close(self):
        self.closed += 1


def test_order_is_kept_and_close_drains(make_frame, make_result) -> None:
    queue = SinkQueue(sink := Fake(), maxsize=100)
    queue.start(SessionInfo(source="x"))
    for index in range(20):
        queue.put(make_frame(index), make_result(index))
        queue.put_audio(np.zeros(160, np.float32), 16_000, index)
    assert queue.close()
    assert sink.calls == [(kind, index) for index in range(20) for kind in ("result", "audio")]
    assert (queue.written, queue.dropped, queue.drops, queue.error, sink.closed) == (20, 0, {}, None, 1)
    assert sink.info.source == "x"


def test_a_slow_sink_loses_its_oldest_results_and_nobody_waits(make_frame, make_result) -> None:
    slow, fast = SinkQueue(sink := Fake(gated=True)), SinkQueue(other := Fake(), maxsize=100)
    for queue in (slow, fast):
        queue.start(SessionInfo())
    slow.put(make_frame(), make_result(0))
    assert sink.entered.acquire(timeout=10)  # the worker now sits in write(0)
    fast.put(make_frame(), make_result(0))
    for index in range(1, 10):  # returns at once: were it to block, the gate would never open
        slow.put(make_frame(), make_result(index))
        fast.put(make_frame(), make_result(index))
    sink.gate.set()
    assert slow.close()
    assert fast.close()
    assert [index for _, index in sink.calls] == [0, 7, 8, 9]
    assert slow.drops == {"sink_busy": 6}
    assert (slow.written, slow.dropped) == (4, 6)
    assert [index for _, index in other.calls] == list(range(10))


def test_blocking_put_loses_nothing(make_frame, make_result) -> None:
    queue = SinkQueue(sink := Fake(), maxsize=1)
    queue.start(SessionInfo())
    for index in range(200):
        assert queue.put(make_frame(), make_result(index), block=True)
    assert queue.close()
    assert [index for _, index in sink.calls] == list(range(200))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (SinkError("the pen is dry"), "the pen is dry"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "sink fake: No space left"),
    ],
)
def test_a_failing_sink_is_closed_counted_and_reported(fault, says, make_frame, make_result) -> None:
    queue = SinkQueue(sink := Fake(fail_at=2, fault=fault), maxsize=100)
    queue.start(SessionInfo())
    for index in range(6):
        queue.put(make_frame(), make_result(index))
    queue._thread.join(10)
    assert not queue.put(make_frame(), make_result(6))
    assert not queue.put(make_frame(), make_result(7), block=True)  # does not wait for a dead sink
    assert queue.close()
    assert says in str(queue.error)
    assert (queue.written, queue.dropped, sink.closed, queue.alive) == (2, 6, 1, False)


def test_a_fault_of_ours_is_logged_whole(caplog, make_frame, make_result) -> None:
    queue = SinkQueue(Fake(fail_at=0, fault=ZeroDivisionError("ours")))
    queue.start(SessionInfo())
    queue.put(make_frame(), make_result())
    assert queue.close()
    assert "ZeroDivisionError: ours" in str(queue.error)
    assert "Traceback" in caplog.text


def test_sound_is_bounded_too() -> None:
    queue = SinkQueue(sink := Fake(gated=True))
    queue.start(SessionInfo())
    minute = np.zeros(16_000 * 20, np.float32)
    sink.write_audio = lambda *_: sink.gate.wait(30)  # type: ignore[method-assign]
    taken = [queue.put_audio(minute, 16_000, 0) for _ in range(5)]
    assert not all(taken)
    assert queue.dropped_audio_s >= 40
    sink.gate.set()
    assert queue.close()


def test_start_raises_what_open_found(tmp_path) -> None:
    queue = SinkQueue(open_sink(f"jsonl:{tmp_path}/nowhere/a.jsonl"))
    with pytest.raises(SinkError, match="mkdir -p"):
        queue.start(SessionInfo())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_without_reader_is_told_and_does_not_hang(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    queue = SinkQueue(open_sink(f"jsonl:{tmp_path}/pipe"))
    with pytest.raises(SinkError, match="named pipe without a reader"):
        queue.start(SessionInfo(), timeout_s=0.2)
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # lets the worker go
    assert queue.close()
    os.close(reader)


def test_close_is_bounded_when_a_write_hangs(make_frame, make_result) -> None:
    queue = SinkQueue(sink := Fake(gated=True), maxsize=10)
    queue.start(SessionInfo())
    for index in range(4):
        queue.put(make_frame(), make_result(index))
    assert sink.entered.acquire(timeout=10)
    assert queue.close(timeout_s=0.2) is False
    assert "did not finish within 0.2 s" in str(queue.error)
    assert queue.dropped == 4  # one was being written, three waited
    sink.gate.set()
    queue._thread.join(10)
