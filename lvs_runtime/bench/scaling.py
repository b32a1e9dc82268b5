"""What a picture costs in a batch, and a sound by its length: interleaved, so that the machine's moods fall on all.

A batch is not a latency: its first picture waits for the last one. What falls is the cost of a picture, where a
device has room for more than one at a time. Preparing pictures, and on a GPU the way there and back, is inside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..localizer import MAX_BATCH
from . import paired
from .percentiles import summary

if TYPE_CHECKING:
    from ..localizer import Localizer

BATCHES = (1, 8, 32)
WINDOWS_S = (0.5, 1.0, 3.0, 10.0)
RUNS = 2  # of one arm in a row: a block
LEAST_ROUNDS = 3


def check(localizer: Localizer, batches: Sequence[int], windows_s: Sequence[float]) -> None:
    """`ConfigError` where the bundle has no such batch or window."""
    bundle = localizer.bundle
    fixed = bundle.part("image").only_input.shape[0]
    most = 1 if isinstance(fixed, int) else MAX_BATCH
    if wrong := [n for n in batches if not 1 <= n <= most]:
        hint = "; lvs-export --dynamic makes graphs that take more" if most == 1 else ""
        raise ConfigError(f"--batch {wrong[0]}: bundle {bundle.name} takes 1 to {most} pictures{hint}")
    length = localizer.num_samples
    if length and windows_s:
        raise ConfigError(
            f"--audio-seconds: the sound of bundle {bundle.name} is {length / bundle.audio.sample_rate:g} s, always; "
            "lvs-export --dynamic makes graphs that take 0.5 to 10 s"
        )
    if wrong_s := [s for s in windows_s if not 0.5 <= s <= 10]:
        raise ConfigError(f"--audio-seconds {wrong_s[0]:g}: want 0.5 to 10")


def measure(
    localizer: Localizer,
    inputs: Sequence[tuple[Any, Any]],
    seconds: float,
    batches: Sequence[int] = BATCHES,
    windows_s: Sequence[float] = WINDOWS_S,
) -> dict[str, Any]:
    """The `scaling` block: `batch` (image encoder, cost of a picture) and `audio_window` (cost of a sound).

    `inputs`: frames (H, W, 3) and waveforms of any length, repeated as needed. About `seconds` in all.
    """
    check(localizer, batches, windows_s)
    rate = localizer.bundle.audio.sample_rate
    frames = [inputs[k % len(inputs)][0] for k in range(max(batches, default=0))]
    sound = np.resize(np.concatenate([waveform for _, waveform in inputs]), round(max(windows_s, default=0) * rate))
    calls: list[Callable[[], object]] = [
        *(lambda n=n: localizer.embed_images(frames[:n]) for n in batches),
        *(lambda s=s: localizer.embed_audio(sound[: round(s * rate)]) for s in windows_s),
    ]
    cpu_ms: list[list[float]] = [[] for _ in calls]
    arms = [_timed(call, spent) for call, spent in zip(calls, cpu_ms, strict=True)]
    once_ms = sum(arm() for arm in arms)
    rounds = max(LEAST_ROUNDS, round(seconds * 1e3 / (once_ms * RUNS)))
    blocks = paired.interleave(arms, rounds, runs=RUNS, warmup=1)
    rows = [_row(np.concatenate(block), spent) for block, spent in zip(blocks, cpu_ms, strict=True)]
    split = len(batches)
    return {
        "batch": [
            {
                "batch": n,
                "ms_a_picture": round(row["median_ms"] / n, 3),
                "cpu_ms_a_picture": round(row["cpu_ms"] / n, 3),
                **row,
            }
            for n, row in zip(batches, rows[:split], strict=True)
        ],
        "audio_window": [{"window_s": s, **row} for s, row in zip(windows_s, rows[split:], strict=True)],
    }


def _row(took_ms: Any, cpu_ms: list[float]) -> dict[str, Any]:
    """Percentiles where there are enough runs; the median of wall and CPU time, a cost, always."""
    return {
        "median_ms": round(float(np.median(took_ms)), 3), "cpu_ms": round(float(np.median(cpu_ms)), 3),
        **summary(took_ms),
    }  # fmt: skip


def _timed(call: Callable[[], object], cpu_ms: list[float]) -> paired.Timed:
    def run() -> float:
        begin_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        call()
        cpu_ms.append((time.process_time_ns() - cpu_ns) / 1e6)
        return (time.perf_counter_ns() - begin_ns) / 1e6

    return run
