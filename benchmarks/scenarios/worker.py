"""One pipeline in a process of its own, told what to do through a pipe: no pool, allocator or library is shared.

Only one worker works at a time; the others wait for their pipe and take no CPU.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
import traceback
from typing import Any

import numpy as np

from lvs_runtime.bench import open_loop
from lvs_runtime.bench.clocks import RealClock

from . import pipelines

MOST_FRAMES = 60


class Worker:
    """Starts the process; every method asks it and waits."""

    def __init__(self, name: str) -> None:
        # torch's idle threads spin by default: with other work on the cores its CPU time grows tenfold (seen here).
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, name), daemon=True)
        self._process.start()
        theirs.close()
        self.facts: dict[str, Any] = self.ask("ready")

    def ask(self, what: str, *arguments: Any) -> Any:
        """One question, one answer; raises RuntimeError with the worker's traceback."""
        self._ours.send((what, *arguments))
        ok, answer = self._ours.recv()
        if not ok:
            raise RuntimeError(f"{self.name}: {what}: {answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._ours.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()


def serve(pipe: Any, name: str) -> None:
    """The worker's process: build, then answer until the pipe is closed."""
    session = None
    while True:
        try:
            what, *arguments = pipe.recv()
        except EOFError:
            return
        try:
            session = session or _Session(name)
            pipe.send((True, getattr(session, what)(*arguments)))
        except Exception:  # noqa: BLE001  (top of a process: the asker raises it)
            pipe.send((False, traceback.format_exc(limit=-3)))


class _Session:
    def __init__(self, name: str) -> None:
        from lvs_runtime import drawn

        begin_s = time.monotonic()
        self.pipeline = pipelines.PIPELINES[name].make()
        scene = drawn.scene(0)
        self.frames = [scene.frame(float(t), (640, 360)) for t in np.linspace(3, 10, MOST_FRAMES, endpoint=False)]
        whole = np.tile(scene.sound(16_000), 2).astype(np.float32)
        size = round((self.pipeline.window_s or 1.0) * 16_000)
        ends = np.linspace(len(whole) // 2, len(whole), MOST_FRAMES, endpoint=False).astype(int)
        self.windows = [np.ascontiguousarray(whole[end - size : end]) for end in ends]
        self.parity_sound = np.ascontiguousarray(whole[: round(pipelines.PARITY_S * 16_000)])
        self.sound: Any = None
        self.build_s = round(time.monotonic() - begin_s, 2)

    def ready(self) -> dict[str, Any]:
        """Facts, after some warm-up frames."""
        for k in range(5):
            self._frame(k, with_sound=True)
        return {**self.pipeline.facts, "build_s": self.build_s, "window_s": self.pipeline.window_s,
                "audio_every_s": self.pipeline.audio_every_s}  # fmt: skip

    def maps(self, number: int) -> Any:
        """(number, 14, 14) maps of the first frames with one 3 s sound, None without sound."""
        if self.pipeline.embed_audio is None:
            return None
        frames = self.frames[:number]
        return np.stack([np.asarray(self.pipeline.similarity(frame, self.parity_sound)) for frame in frames])

    def block(self, seconds: float, fps: float) -> dict[str, float]:
        """Back to back for about `seconds`: mean wall and CPU time of a frame, sound as often as at `fps`."""
        begin_ns, cpu_ns, k, due = time.perf_counter_ns(), time.process_time_ns(), 0, 0.0
        while k < 2 or time.perf_counter_ns() - begin_ns < seconds * 1e9:
            with_sound = k / fps >= due
            if with_sound:
                due += max(self.pipeline.audio_every_s, 1 / fps)
            self._frame(k, with_sound)
            k += 1
        wall, cpu = time.perf_counter_ns() - begin_ns, time.process_time_ns() - cpu_ns
        return {"frames": k, "wall_ms": wall / k / 1e6, "cpu_ms": cpu / k / 1e6}

    def open(self, fps: float, frames: int, streams: int = 1) -> dict[str, Any]:
        """The open loop: ages, services and drops. Sound on the same worker, as often as it is due."""
        clock, heard_ns = RealClock(), 0

        def work(k: int, _stream: int) -> None:
            nonlocal heard_ns
            now_ns = clock.now_ns()
            with_sound = now_ns - heard_ns >= self.pipeline.audio_every_s * 1e9
            if with_sound:
                heard_ns = now_ns
            self._frame(k, with_sound)

        schedule = open_loop.Schedule(period_ns=round(1e9 / fps), frames=frames, streams=streams)
        cpu_ns = time.process_time_ns()
        done = open_loop.run(work, schedule, clock)
        wall_ns = done.end_ns - done.start_ns
        return {
            "ages_ms": done.rows.age_ms,
            "services_ms": (done.rows["out_ns"] - done.rows["taken_ns"]) / 1e6,
            "offered": done.offered,
            "dropped": len(done.dropped),
            "cpu_percent": 100 * (time.process_time_ns() - cpu_ns) / wall_ns,
            "results_hz": len(done.rows) / wall_ns * 1e9,
        }

    def memory(self) -> float:
        """Peak resident size, MB."""
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)

    def _frame(self, k: int, with_sound: bool) -> None:
        pipeline = self.pipeline
        image = pipeline.embed_image(self.frames[k % MOST_FRAMES])
        if pipeline.embed_audio is not None and (with_sound or self.sound is None):
            self.sound = pipeline.embed_audio(self.windows[k % MOST_FRAMES])
        pipeline.compare(image, self.sound)
