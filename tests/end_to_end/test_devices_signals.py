"""A signal that the kernel hands to a device's thread still ends lvs-live, whoever sleeps."""

from __future__ import annotations

import signal
import threading

from lvs_runtime.cli.live import _StopOnSignals, _wait


class Waits:
    """Of a session only its end."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.wait = self.ended.wait


def test_ctrl_c_that_another_thread_gets() -> None:
    session, leave = Waits(), threading.Event()
    device = threading.Thread(target=leave.wait, daemon=True)
    device.start()
    interrupt = threading.Timer(0.2, lambda: signal.pthread_kill(device.ident or 0, signal.SIGINT))
    with _StopOnSignals(session.ended.set):
        interrupt.start()
        assert _wait(session, None)  # type: ignore[arg-type]
    leave.set()


def test_waiting_ends_in_time_for_the_counters() -> None:
    session = Waits()
    assert not _wait(session, 0.05)  # type: ignore[arg-type]
    session.ended.set()
    assert _wait(session, 60.0)  # type: ignore[arg-type]
