"""The live session: sources in, results out, on one clock.

pump thread per source                       inference thread                                          sink threads
frames ─► slot (newest) or queue (all) ────► image encoder ───────────────────► result ─► queue ─► sink
sound ──► track (clock, ring) ─────────────► audio encoder on the window that     ▲
                                             ends at the frame's stamp ───────────┘
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..capture import SoundBlock, SourceInfo, SourceLost, SourceRef, make_sources, parse_camera, parse_mic
from ..capture.base import Source
from ..errors import ConfigError, LvsError
from ..localizer import Localizer
from ..results import DropReason, Result, VideoFrame
from ..sinks import ResultSink
from . import sync
from .audio_rate import AudioRate, EveryFrame, SpareTime
from .flags import Flags
from .hearing import Ears
from .inference import Inference
from .intake import Intake
from .options import LiveOptions, decide_policy
from .outputs import Outputs
from .pts_clock import EnvelopePtsClock
from .pump import Pump, PumpRules, SourcePump
from .recording import Recorder, Replay, recording_facts
from .slot import FrameSlot
from .smoothing import KINDS, make_smoother
from .startup import await_open, load_model, session_info
from .stats import SessionStats, StatsCollector
from .track import SoundTrack
from .worker import Worker

_LOG = logging.getLogger(__name__)
_JOIN_S = 5.0
_RECORD_CLOSE_S = 30.0  # what waits may be 64 MB for a slow disk


class LiveSession:
    """Runs camera and microphone, files, streams or pushed data through a model. Thread-safe.

        with LiveSession(video="0", audio="default") as session:
            for result in session:
                print(result.audible, result.peak_px)

    Installs no signal handler and configures no logging. `error` says why it ended, None when it simply did.
    """

    def __init__(
        self,
        video: str = "0",
        audio: str | None = None,
        model: Localizer | str | Path | None = None,
        device: str = "cpu",
        *,
        threads: int | None = None,
        sinks: Sequence[str | ResultSink] = (),
        on_result: Callable[[Result], None] | None = None,
        annotate: Callable[[Result], Result] | None = None,
        sources: Sequence[Source] | None = None,
        **options: Any,
    ) -> None:
        """`video`, `audio`: what --camera and --mic take ("push": frames and sound come by `push_frame`, `push_audio`).

        `audio` None: a file's own sound, else the default microphone. `model`: a bundle folder, a `Localizer`, None for
        the shipped bundle. `sources` replaces what the two would open. `options`: the fields of `LiveOptions`.
        `on_result` is called in the inference thread, and before it `annotate`, which may add to each result (bearings
        and tracks: `lvs_runtime.tracks.SourceTracker`). Raises `ConfigError`; opening happens in `start()`.
        """
        unknown = set(options) - set(LiveOptions.__dataclass_fields__)
        if unknown:
            raise ConfigError(f"LiveSession: unknown option {', '.join(sorted(unknown))}; see LiveOptions")
        self.options = LiveOptions(**options)
        self.options.check()
        self.camera_ref = parse_camera(video)
        self.mic_ref = parse_mic(audio, self.camera_ref)
        self.localizer: Localizer | None = None
        self.policy = ""
        self.notes: list[str] = []  # what the user should know about this run: a replay that may differ
        self.error: LvsError | None = None
        self.ended = threading.Event()
        self._model, self._device, self._threads = model, device, threads
        self._given = sources
        self._stats, self._flags, self._stop = StatsCollector(), Flags(), threading.Event()
        self._outputs = Outputs(sinks, on_result)
        self._process = os.getpid()
        self._intake = Intake(self._stats, self._flags, self._stop, self._outputs.put_sound, self._note_error)
        self._intake.mic = self.mic_ref.text
        self._intake.listen(SoundTrack(keep_s=30.0, offset_ms=self.options.av_offset_ms))
        self._worker = Worker(
            self._intake, self._outputs, self._stats, self._stop, self.ended, annotate, self._note_error
        )
        self._recorder = Recorder(Path(self.options.record)) if self.options.record else None
        self._replay: Replay | None = None
        self._pumps: list[Pump] = []
        self._is_live = False
        self._pushed = 0
        self._closed: bool | None = None
        self._lock = threading.Lock()

    # ---- life ----

    def start(self) -> LiveSession:
        """Open sources, model and sinks, then let everything run. Raises what could not be opened."""
        self._check_process()
        if self._worker.started:
            return self
        try:
            self._pumps = self._make_replay() if self.options.replay is not None else self._make_pumps()
            for pump in self._pumps:
                pump.start()
            self.localizer = load_model(self._model, self._device, self._threads)  # while the devices open
            await_open(self._pumps)
            self._run(self.localizer)
        except BaseException:
            self.close()
            raise
        return self

    def stop(self) -> None:
        """Ask for the end; returns at once (safe in a signal handler). `wait` or `close` see it through."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the session has ended by itself or by `stop`; False when `timeout_s` passed first."""
        self._check_process()
        return self.ended.wait(timeout_s)

    def close(self) -> bool:
        """End, join every thread, finish every sink; bounded. False when a device or sink did not let go in time."""
        if os.getpid() != self._process:
            return True  # a forked child owns nothing of it; the parent's session runs on
        with self._lock:
            if self._closed is not None:
                return self._closed
            self._stop.set()
            self._stats.drop(DropReason.STOPPED, self._intake.slot.close())
            self._outputs.results.finish()  # inference may be waiting for a caller who iterates no more
            self._intake.arrival.tell()
            parts = [self._worker.join(_JOIN_S)]
            parts += [self._join_pump(pump) for pump in self._pumps]
            parts.append(self._outputs.close(self._worker.completed))
            parts.append(self._recorder is None or self._recorder.close(_RECORD_CLOSE_S))
            self.ended.set()
            self._closed = all(parts)
            return self._closed

    def __enter__(self) -> LiveSession:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Result]:
        """Results as they come: all of them with policy `all`, else the newest each time. Raises why it ended."""
        results = self._outputs.iterate()
        self.start()
        try:
            while not results.drained:
                result = results.take(0.1)
                if result is not None:
                    yield result
        finally:
            self.close()
        if self.error is not None:
            raise self.error

    async def __aiter__(self) -> AsyncIterator[Result]:
        """The same for `async for`; waiting happens in the loop's default executor."""
        import asyncio

        loop, results, end = asyncio.get_running_loop(), iter(self), object()
        while (result := await loop.run_in_executor(None, next, results, end)) is not end:
            assert isinstance(result, Result)
            yield result

    # ---- what is known ----

    def stats(self) -> SessionStats:
        """Everything counted so far."""
        snapshot = self._stats.snapshot()
        drops = dict(snapshot.drops)
        for reason, count in self._worker.losses().items():
            drops[reason] = drops.get(reason, 0) + count
        return replace(
            snapshot,
            drops=drops,
            flags=self._flags.active(),
            flags_seen=self._flags.seen(),
            audio_gaps=self._intake.track.gaps,
            clock_settled=self._intake.track.settled,
            drift_ppm=self._intake.track.drift_ppm,
            slipped_s=max((pump.slipped_s for pump in self._pumps), default=0.0),
            sinks=self._outputs.describe(),
        )

    @property
    def window_s(self) -> float:
        """Length of the audio window, seconds (0 before the model is there)."""
        own = self.localizer.bundle.live_seconds if self.localizer else 0.0
        return self.options.audio_seconds or own

    @property
    def not_replayed(self) -> int:
        """Results of a replay whose frame the recorder had lost: from the first on, what follows may differ."""
        return self._replay.missing if self._replay is not None else 0

    @property
    def ended_by_loss(self) -> bool:
        """A source was lost after results had come: what they say stands."""
        return isinstance(self.error, SourceLost) and self._stats.snapshot().processed > 0

    @property
    def sources(self) -> list[SourceInfo]:
        """What each source delivers."""
        return [pump.source.info for pump in self._pumps]

    @property
    def sink_errors(self) -> list[LvsError]:
        """Why sinks or the recorder died during the session."""
        recorder = [self._recorder.error] if self._recorder and self._recorder.error else []
        return [*self._outputs.errors, *recorder]

    # ---- data from the caller ----

    def push_frame(
        self,
        frame_bgr: npt.NDArray[np.uint8],
        capture_ns: int | None = None,
        *,
        frame_id: str = "",
        source_stamp_ns: int | None = None,
    ) -> None:
        """A frame (H, W, 3) uint8 BGR taken at `capture_ns` on `time.monotonic_ns` (None: now). video="push".

        `frame_id` and `source_stamp_ns` (a stamp of another clock) are carried to the result unchanged.
        """
        self._check_push(self.camera_ref, "push_frame")
        now_ns = time.monotonic_ns()
        with self._lock:
            index, self._pushed = self._pushed, self._pushed + 1
        frame = VideoFrame(frame_bgr, now_ns if capture_ns is None else capture_ns, now_ns, index, "caller")
        frame = replace(frame, frame_id=frame_id, source_stamp_ns=source_stamp_ns)
        self._intake.take_frame(frame, frame.capture_ns)

    def push_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, capture_ns: int) -> None:
        """Sound (n,) or (n, channels) float in [-1, 1] whose first sample was taken at `capture_ns`. audio="push"."""
        self._check_push(self.mic_ref, "push_audio")
        mono = np.asarray(samples, np.float32)
        if mono.ndim == 2:
            mono = mono.mean(axis=1, dtype=np.float32)
        if mono.ndim != 1:
            raise ConfigError(f"push_audio: samples {np.shape(samples)}; want (n,) or (n, channels)")
        self._intake.take_sound(SoundBlock(samples=mono, sample_rate=sample_rate, start_ns=capture_ns))

    def end_push(self) -> None:
        """No more frames will be pushed: what waits is still processed, then the session ends."""
        self._intake.slot.finish()

    # ---- inside ----

    def _make_pumps(self) -> list[Pump]:
        o, sources = self.options, self._make_sources()
        self.policy = decide_policy(o, sources)
        self._is_live = not sources or any(s.has_picture and s.is_live for s in sources)
        self._intake.watch_picture, self._intake.single = self._is_live, len(sources) == 1
        if self.policy == "all":
            self._intake.slot = FrameSlot(2 if o.paced else 1, lossless=True)
        if self._recorder is not None:
            self._recorder.open(lossless=self.policy == "all")
            self._intake.recorder = self._recorder
        rules = PumpRules(paced=o.paced, seconds=o.seconds, max_reconnects=o.max_reconnects)
        return [SourcePump(s, self._intake, self._stats, self._flags, self._stop, rules) for s in sources]

    def _make_replay(self) -> list[Pump]:
        o = self.options
        assert o.replay is not None
        self._replay = replay = Replay.open(o.replay)
        self.policy, self.mic_ref, self.options = "all", replay.mic_ref, replay.options(o)
        self._intake.slot = FrameSlot(1, lossless=True)
        self._intake.listen(SoundTrack(keep_s=30.0, offset_ms=self.options.av_offset_ms))
        return [replay.pump(self._intake, self._stop, o.paced, o.seconds)]

    def _make_sources(self) -> list[Source]:
        if self._given is not None:
            return list(self._given)
        o = self.options
        return make_sources(
            self.camera_ref,
            self.mic_ref,
            make_clock=EnvelopePtsClock,
            size_px=o.size_px,
            fps=o.fps,
            mic_rate_hz=o.mic_rate_hz,
            quiet=o.quiet,
        )

    def _run(self, localizer: Localizer) -> None:
        o, track, exact = self.options, self._intake.track, self.policy == "all"
        num_samples = round(self.window_s * track.ring.sample_rate)
        rate: AudioRate = EveryFrame() if exact else SpareTime(o.audio_rate_hz)
        patience: sync.Patience | None = sync.EXACT if exact else sync.LIVE
        if self._replay is not None:
            rate, patience = self._replay.rate, None
            self.notes = self._replay.differences(localizer)
        ears = Ears(localizer, track, num_samples, self._stats, rate, self._intake.arrival, patience)
        info = session_info(localizer, self.sources, self.mic_ref, track.ring.sample_rate, self._is_live)
        if self._recorder is not None:
            self._recorder.about(recording_facts(localizer, info, o, self.policy, self.window_s))
        self._outputs.start(info, exact)
        inference = Inference(localizer, ears, make_smoother(o.smoothing or KINDS[0]), self._stats, self._flags)
        is_live = any(p.source.is_live for p in self._pumps)  # a file's pump counts the seconds of the file
        self._worker.start(inference, o.seconds if is_live else None)
        for pump in self._pumps:
            pump.go.set()

    def _note_error(self, error: LvsError) -> None:
        self.error = self.error or error

    def _join_pump(self, pump: Pump) -> bool:
        done = pump.join(_JOIN_S)
        if not done:
            _LOG.error("%s %s did not close in time; its thread is left behind", pump.role, pump.source.info.name)
        return done

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise ConfigError(
                "LiveSession: made in another process; a fork has none of its threads. Make and start the session in "
                "the child, or let multiprocessing spawn: multiprocessing.set_start_method('spawn')"
            )

    def _check_push(self, ref: SourceRef, what: str) -> None:
        self._check_process()
        if ref.kind != "push":
            raise ConfigError(f"{what}: this session captures by itself; want LiveSession(video='push', audio='push')")
        if not self._worker.started:
            raise ConfigError(f"{what}: the session is not started; use `with LiveSession(...) as session:`")
