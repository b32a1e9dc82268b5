"""Running a loopback: who flashes, and through which camera and microphone it comes back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from . import camera, live, loopback
from .sessions import SessionRun

if TYPE_CHECKING:
    from ..localizer import Localizer


def run(
    localizer: Localizer,
    emitter: str,
    *,
    camera: str,
    mic: str,
    fps: float,
    size_px: tuple[int, int],
    seconds: float,
) -> tuple[SessionRun, dict[str, Any]]:
    """The session's run and the `loopback` block. Raises `CaptureError`, `ConfigError`."""
    sink = loopback.FlashSink()
    if emitter == "virtual":
        return _virtual(localizer, sink, fps, size_px, seconds)
    plan = live.LivePlan(camera=camera, mic=mic, seconds=seconds, size_px=size_px, fps=fps)
    if emitter != "screen":
        done = live.run(localizer, plan, [sink])
        stamps = loopback.read_stamps(emitter)
    else:
        done, stamps = _screen(localizer, plan, sink)
    inside = stamps[(stamps >= done.start_ns) & (stamps < done.end_ns - loopback.MATCH_NS)]
    return done, _found(inside, sink)


def _virtual(
    localizer: Localizer, sink: loopback.FlashSink, fps: float, size_px: tuple[int, int], seconds: float
) -> tuple[SessionRun, dict[str, Any]]:
    plan = camera.CameraPlan(fps=fps, seconds=seconds, size_px=size_px)
    shown = loopback.FlashShown(size_px, loopback.flash_plan(seconds + plan.warmup_s))
    done = camera.run(localizer, plan, shown, [sink])
    start_ns = done.start_ns - round(plan.warmup_s * 1e9)
    stamps = shown.flashes_ns + start_ns
    return done, _found(stamps[stamps < done.end_ns - loopback.MATCH_NS], sink)


def _screen(
    localizer: Localizer, plan: live.LivePlan, sink: loopback.FlashSink
) -> tuple[SessionRun, np.ndarray[Any, Any]]:
    emitter = loopback.ScreenEmitter()
    outcome: list[Any] = []

    def measure() -> None:
        try:
            outcome.append(live.run(localizer, plan, [sink]))
        except Exception as error:  # noqa: BLE001  (top of a thread: raised again in the caller's)
            outcome.append(error)

    thread = threading.Thread(target=measure, name="lvs-loopback", daemon=True)
    thread.start()
    stamps = emitter.run(plan.seconds + plan.settle_s + 1.0)
    thread.join(30.0)
    if not outcome or isinstance(outcome[0], Exception):
        raise outcome[0] if outcome else TimeoutError("the session did not end")
    return outcome[0], stamps


def _found(stamps: Any, sink: loopback.FlashSink) -> dict[str, Any]:
    return loopback.matched(stamps, loopback.flash_onsets(sink.seen), loopback.beep_onsets(sink.heard))


def notes(emitter: str, found: dict[str, Any]) -> list[str]:
    """What such a loopback cannot say."""
    said = [f"{found['emitted'] - found['seen']} flashes were not seen"] if found["seen"] < found["emitted"] else []
    exact = found["seen_without_a_drop_before"]
    if exact < found["seen"]:
        said.append(f"{found['seen'] - exact} flashes count for the result alone: the frame before them was dropped")
    if found["heard"] < exact:
        said.append(f"{exact - found['heard']} beeps were not heard")
    if emitter == "virtual":
        said.append("virtual: screen, lens, camera and sound card are not in these figures; the wait for a frame is")
    if emitter == "screen":
        said.append("the stamp is taken when the picture is asked for: the screen's own delay (10 to 50 ms) counts in")
    return said
