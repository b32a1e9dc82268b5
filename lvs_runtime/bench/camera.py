"""A camera and a microphone that keep their schedule whatever happens: pushed into the product's own session.

Frame k is due at `start + k * period`, sound in blocks of 10 ms; stamps are the schedule's, so an age counts from the
scheduled arrival, also when this feeder woke late (how late is reported). Several cameras: a session each, one model.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .clocks import Clock, RealClock
from .probe import Probe
from .sessions import SUPERSEDED, SessionRun, Watch, audio_block, merge

if TYPE_CHECKING:
    from ..localizer import Localizer

BLOCK_NS = 10_000_000
SCENE_S = 10.0
KEPT_FRAMES = 60  # drawn frames that are shown over and over: a drawing a frame would cost what it measures


class Pushed(Protocol):
    """The part of `LiveSession` that is fed."""

    def push_frame(self, frame_bgr: npt.NDArray[np.uint8], capture_ns: int | None = None) -> None:
        """A frame."""

    def push_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, capture_ns: int) -> None:
        """Sound."""


@dataclass(frozen=True, kw_only=True)
class CameraPlan:
    """What arrives, and for how long."""

    fps: float = 30.0
    seconds: float = 10.0
    size_px: tuple[int, int] = (640, 360)
    streams: int = 1
    audio_rate_hz: float | None = None  # None: as the session does by itself, with each frame while time allows
    audio_seconds: float | None = None
    warmup_s: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fps <= 1000 or not 0 < self.seconds <= 86_400 or not 1 <= self.streams <= 64:
            raise ConfigError(
                f"fps {self.fps:g}, seconds {self.seconds:g}, cameras {self.streams}: want fps above 0 and at most "
                "1000, seconds above 0 and at most 86400, 1 to 64 cameras"
            )

    @property
    def period_ns(self) -> int:
        """Between two frames of one camera."""
        return round(1e9 / self.fps)

    @property
    def frames(self) -> int:
        """Of each camera, warm-up included."""
        return round((self.seconds + self.warmup_s) * self.fps)


class Shown(Protocol):
    """What camera and microphone see and hear."""

    @property
    def sample_rate(self) -> int:
        """Of the sound, Hz."""

    def frame(self, media_ns: int) -> npt.NDArray[np.uint8]:
        """The picture (H, W, 3) at this time after the start."""

    def block(self, begin: int, end: int) -> npt.NDArray[np.float32]:
        """Samples `begin` to `end` (not included), counted from the start."""


@dataclass(frozen=True)
class Material:
    """Drawn frames and their sound, over and over; the same from the same seed."""

    frames: list[npt.NDArray[np.uint8]]
    sound: npt.NDArray[np.float32]
    sample_rate: int
    sha256: str

    def frame(self, media_ns: int) -> npt.NDArray[np.uint8]:
        """See `Shown`."""
        return self.frames[int(media_ns / 1e9 / SCENE_S * len(self.frames)) % len(self.frames)]

    def block(self, begin: int, end: int) -> npt.NDArray[np.float32]:
        """See `Shown`; the scene's length is a whole number of blocks."""
        first = begin % len(self.sound)
        return self.sound[first : first + end - begin]


def material(plan: CameraPlan, sample_rate: int = 16_000) -> Material:
    """A drawn scene: frames spread over 10 s, and its sound."""
    import hashlib

    from .. import drawn

    scene = drawn.scene(plan.seed, SCENE_S)
    frames = [scene.frame(float(t), plan.size_px) for t in np.linspace(0, SCENE_S, KEPT_FRAMES, endpoint=False)]
    sound = np.ascontiguousarray(scene.sound(sample_rate), np.float32)
    sha = hashlib.sha256(sound.tobytes())
    for frame in frames:
        sha.update(frame.tobytes())
    return Material(frames, sound, sample_rate, sha.hexdigest())


@dataclass
class Fed:
    """What the feeder did."""

    due: dict[tuple[int, int], int]  # (camera, frame) -> scheduled arrival
    late_ms: list[float]
    start_ns: int
    partial: bool = False
    cpu_ns: int = 0


def feed(sessions: Sequence[Pushed], plan: CameraPlan, shown: Shown, clock: Clock) -> Fed:
    """Push everything at its moment. Ctrl-C ends it early."""
    fed = Fed({}, [], clock.now_ns() + BLOCK_NS)
    cpu_ns = time.thread_time_ns()
    try:
        for due_ns, stream, k in _events(plan, fed.start_ns):
            clock.sleep_until_ns(due_ns)
            if stream < 0:
                size = BLOCK_NS * shown.sample_rate // 10**9
                block = shown.block(k * size, (k + 1) * size)
                for session in sessions:
                    session.push_audio(block, shown.sample_rate, due_ns - BLOCK_NS)
                continue
            fed.due[stream, k] = due_ns
            fed.late_ms.append((clock.now_ns() - due_ns) / 1e6)
            sessions[stream].push_frame(shown.frame(due_ns - fed.start_ns), due_ns)
    except KeyboardInterrupt:
        fed.partial = True
    fed.cpu_ns = time.thread_time_ns() - cpu_ns
    return fed


def _events(plan: CameraPlan, start_ns: int) -> Iterator[tuple[int, int, int]]:
    """(due, camera or -1 for sound, number) in the order of time; sound first when both are due at once."""

    def every(period_ns: int, first_ns: int, stream: int, count: int) -> Iterator[tuple[int, int, int]]:
        return ((first_ns + k * period_ns, stream, k) for k in range(count))

    blocks = plan.frames * plan.period_ns // BLOCK_NS
    phases = [plan.period_ns * stream // plan.streams for stream in range(plan.streams)]
    return heapq.merge(
        every(BLOCK_NS, start_ns + BLOCK_NS, -1, blocks),
        *(every(plan.period_ns, start_ns + phase, stream, plan.frames) for stream, phase in enumerate(phases)),
    )


def run(localizer: Localizer, plan: CameraPlan, shown: Shown, sinks: Sequence[Any] = ()) -> SessionRun:
    """Run `plan.streams` sessions on one localizer; rows of the warm-up are left out and counted.

    `sinks` go to the first session.
    """
    from ..live.session import LiveSession

    clock = RealClock()
    probe: Any = Probe(localizer)
    watches = [Watch(plan.frames, stream) for stream in range(plan.streams)]
    options: dict[str, Any] = {"audio_rate_hz": plan.audio_rate_hz, "audio_seconds": plan.audio_seconds}
    sessions = [
        LiveSession("push", "push", probe, on_result=watch, sinks=sinks if number == 0 else (), **options)
        for number, watch in enumerate(watches)
    ]
    begun_ns = clock.now_ns()
    try:
        for session in sessions:
            session.start()
        fed = feed(sessions, plan, shown, clock)
        end_ns = clock.now_ns()
        for session in sessions:
            session.end_push()
        for session in sessions:
            session.wait(10.0)
    finally:
        for session in sessions:
            session.close()
    for session in sessions:
        if session.error is not None:
            raise session.error
    return _kept(plan, fed, merge(watches), probe, [s.stats() for s in sessions], begun_ns, end_ns)


def _kept(
    plan: CameraPlan, fed: Fed, rows: Any, probe: Probe, stats: list[Any], begun_ns: int, end_ns: int
) -> SessionRun:
    first_ns = fed.start_ns + round(plan.warmup_s * 1e9)
    warm = [key for key, due_ns in fed.due.items() if due_ns < first_ns]
    offered = {key: due_ns for key, due_ns in fed.due.items() if due_ns >= first_ns}
    rows = rows.where(rows["due_ns"] >= first_ns)
    done = set(zip(rows["stream"].tolist(), rows["k"].tolist(), strict=True))
    dropped = {key: (due_ns, SUPERSEDED) for key, due_ns in offered.items() if key not in done}
    audio_ms = probe.audio_ms(first_ns)
    return SessionRun(
        rows=rows,
        dropped=dropped,
        offered=len(offered),
        start_ns=min(first_ns, end_ns),
        end_ns=end_ns,
        warmup_frames=len(warm),
        warmup_ms=(min(first_ns, end_ns) - begun_ns) / 1e6,
        partial=fed.partial,
        inferences=probe.image_calls(first_ns),
        audio_ms=audio_ms,
        audio=audio_block(stats, audio_ms, (end_ns - first_ns) / 1e9),
        stamp_source="schedule",
        feeder_cpu_ns=fed.cpu_ns,
        feeder_late_ms=np.array(fed.late_ms[len(warm) :]),
        flags_seen={name: count for s in stats for name, count in s.flags_seen.items()},
    )
