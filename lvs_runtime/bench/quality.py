"""How well it localizes in the drawn world: exact boxes, nobody's data, and a seed that training never reaches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..gate import level_dbfs
from .intervals import wilson
from .percentiles import summary

if TYPE_CHECKING:
    from ..localizer import Localizer

SEED = 9_000_000  # training's seeds stay below
Box = tuple[int, int, int, int]


def measure(localizer: Localizer, number: int, progress: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Peak in the sounding object's box, overlap of the best box, silence; and what each localization took.

    `number` pictures with a sound of one of their objects, and a tenth as many that are silent.
    """
    import time

    from .. import drawn

    audio, size_px = localizer.bundle.audio, localizer.bundle.image.size_px
    hits, overlaps, chance, image_ms, sound_ms, total_ms, quiet = 0, [], [], [], [], [], 0
    seconds = localizer.bundle.live_seconds
    silent = max(10, number // 10)
    for index in range(-3, number):  # the first three warm up
        rng = np.random.default_rng((SEED, max(index, 0)))
        pair = drawn.training_pair(rng, size_px=size_px, seconds=seconds)
        frame = np.ascontiguousarray(pair.image_rgb[:, :, ::-1])
        begin_ns = time.perf_counter_ns()
        result = localizer.localize(frame, pair.waveform, audio.sample_rate)
        took_ms = (time.perf_counter_ns() - begin_ns) / 1e6
        if index < 0:
            continue
        total_ms.append(took_ms)
        image_ms.append(result.stages_ms["image"])
        sound_ms.append(result.stages_ms["audio"])
        x0, y0, x1, y1 = pair.box_px
        hits += x0 <= result.peak_px[0] < x1 and y0 <= result.peak_px[1] < y1
        overlaps.append(max((_iou(box, pair.box_px) for box in result.boxes_px), default=0.0))
        chance.append((x1 - x0) * (y1 - y0) / size_px**2)
        progress()
    for index in range(silent):
        pair = drawn.silent_pair(np.random.default_rng((SEED + 1, index)), size_px, seconds)
        quiet += level_dbfs(pair.waveform, audio.sample_rate) < localizer.thresholds["audible_on_dbfs"]
    low, high = wilson(hits, number)
    return {
        "metric": "peak in the sounding object's box, drawn world",
        "value": round(hits / number, 4),
        "ci95": [round(low, 4), round(high, 4)],
        "n": number,
        "chance": round(float(np.mean(chance)), 4),
        "mean_iou": round(float(np.mean(overlaps)), 4),
        "iou_50_share": round(float(np.mean(np.array(overlaps) >= 0.5)), 4),
        "silent_told": [quiet, silent],
        "image": summary(image_ms),
        "audio": summary(sound_ms),
        "total": summary(total_ms),
    }


def _iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)
