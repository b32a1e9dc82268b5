"""Real (or virtual) devices with sound through the product's session; stamps are those of the source."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..results import DropReason
from .probe import Probe
from .sessions import SUPERSEDED, SessionRun, Watch, audio_block

if TYPE_CHECKING:
    from ..live.session import LiveSession
    from ..live.stats import SessionStats
    from ..localizer import Localizer

UNNUMBERED = (DropReason.CORRUPT_FRAME, DropReason.DUPLICATE, DropReason.OUT_OF_ORDER)
SETTLE_S = 2.0  # devices open, exposure and the sound's clock settle


@dataclass(frozen=True, kw_only=True)
class LivePlan:
    """Which devices, how they are asked, and for how long."""

    camera: str = "0"
    mic: str | None = None
    seconds: float = 30.0
    size_px: tuple[int, int] | None = None
    fps: float | None = None
    audio_rate_hz: float | None = None
    settle_s: float = SETTLE_S

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 86_400:
            raise ConfigError(f"--seconds {self.seconds:g}: want more than 0 and at most 86400")
        if self.mic == "none":
            raise ConfigError("--mic none: live measures picture and sound; for a camera alone use lvs-live --stats")


def run(localizer: Localizer, plan: LivePlan, sinks: Sequence[Any] = ()) -> SessionRun:
    """Run for `plan.seconds` after the devices settled. Raises `CaptureError` when one cannot be opened or is lost."""
    from ..live.session import LiveSession

    probe: Any = Probe(localizer)
    watch = Watch(round(plan.seconds * (plan.fps or 60)) + 200)
    session = LiveSession(
        plan.camera, plan.mic, probe, on_result=watch, sinks=sinks, policy="latest", size_px=plan.size_px,
        fps=plan.fps, audio_rate_hz=plan.audio_rate_hz, quiet=True,
    )  # fmt: skip
    begun_ns, partial, before = time.monotonic_ns(), False, session.stats()
    with session:
        try:
            _wait_for_results(session, watch)
            session.wait(plan.settle_s)
            start_ns, before = time.monotonic_ns(), session.stats()
            session.wait(plan.seconds)
        except KeyboardInterrupt:
            partial, start_ns = True, min(time.monotonic_ns(), begun_ns + round(plan.settle_s * 1e9))
        end_ns, after = time.monotonic_ns(), session.stats()
        session.stop()
    if session.error is not None:
        raise session.error
    run = _kept(watch, (before, after), probe, start_ns, end_ns)
    run.partial, run.warmup_ms = partial, (start_ns - begun_ns) / 1e6
    run.first_result_ms = (
        round((int(watch.recorder.rows()["out_ns"][0]) - begun_ns) / 1e6, 3) if watch.recorder.n else None
    )
    run.sources = [asdict(info) for info in session.sources]
    return run


def _wait_for_results(session: LiveSession, watch: Watch) -> None:
    end_s = time.monotonic() + 20.0
    while watch.recorder.n == 0 and not session.wait(0.05):
        if time.monotonic() > end_s:
            raise ConfigError("no result within 20 s of the start: see lvs-live --debug with the same devices")


def _kept(
    watch: Watch, stats: tuple[SessionStats, SessionStats], probe: Probe, start_ns: int, end_ns: int
) -> SessionRun:
    rows = watch.recorder.rows()
    warm = int((rows["out_ns"] < start_ns).sum())
    rows = rows.where((rows["out_ns"] >= start_ns) & (rows["out_ns"] <= end_ns))
    before, after = stats
    numbers = rows["k"].tolist()
    # The pump numbers every frame that it offers: a number without a row was superseded.
    held = set(numbers)
    gone = [k for k in range(numbers[0], numbers[-1] + 1) if k not in held] if numbers else []
    period_ns = round((rows["due_ns"][-1] - rows["due_ns"][0]) / max(1, numbers[-1] - numbers[0])) if numbers else 0
    first_ns = int(rows["due_ns"][0]) if numbers else 0
    dropped = {(0, k): (first_ns + (k - numbers[0]) * period_ns, SUPERSEDED) for k in gone}
    # Those that never became a frame have no number: the session counts them.
    counts = {reason.value: after.drops.get(reason, 0) - before.drops.get(reason, 0) for reason in UNNUMBERED}
    unusable = {reason: count for reason, count in counts.items() if count}
    audio_ms = probe.audio_ms(start_ns)
    result = SessionRun(
        rows=rows,
        dropped=dropped,
        unusable=unusable,
        offered=len(rows) + len(dropped) + sum(unusable.values()),
        start_ns=start_ns,
        end_ns=end_ns,
        warmup_frames=warm,
        inferences=probe.image_calls(start_ns),
        audio_ms=audio_ms,
        audio=audio_block([after], audio_ms, (end_ns - start_ns) / 1e9),
        stamp_source=watch.stamp_source,
        flags_seen=after.flags_seen,
    )
    for role, count in after.reconnects.items():
        result.notes.append(f"{role}: lost and opened again {count} times")
    result.notes.append("due moments of dropped frames are spread evenly: only the driver knew them")
    return result
