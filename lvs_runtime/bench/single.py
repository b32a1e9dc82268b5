"""Closed loop, one stage after the other: what one localization costs when nothing waits for anything.

    pre    frame -> 224 x 224        audio  waveform -> embedding        post  thresholds, peak, boxes
    image  picture -> embedding      head   two embeddings -> map        total the five together

The next run starts when the last is done, so a stall costs one sample and waiting is not seen: this is the cost of
computing, not the age of a live result.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

STAGES = ("pre", "image", "audio", "head", "post", "total")
FRAME_PX = (640, 360)
FRAMES = 30
WARMUP_RUNS = 10
AUDIBLE_DBFS = 0.0  # post is timed on its longer path: thresholds applied, boxes sought

Clock = Callable[[], int]
Frame = npt.NDArray[np.uint8]
Waveform = npt.NDArray[np.float32]


class Stages(Protocol):
    """The steps of `Localizer` that are timed."""

    def prepare_image(self, frame_bgr: Frame) -> Frame:
        """Frame to network input."""

    def embed_prepared(self, picture: Frame) -> Waveform:
        """Network input to image embedding."""

    def embed_audio(self, waveform_16k: npt.NDArray[Any]) -> Waveform:
        """Waveform to audio embedding."""

    def similarity(self, image_embedding: Waveform, audio_embedding: Waveform) -> Waveform:
        """Embeddings to map."""

    def result(self, similarity_map: Waveform, image_size_px: tuple[int, int], level_dbfs: float) -> Any:
        """Map to result."""


@dataclass(slots=True)
class Timings:
    """Raw durations in ms by stage, and how the run went."""

    stages_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})
    warmup_ms: float = 0.0
    wall_ms: float = 0.0
    partial: bool = False  # interrupted from the keyboard


def drawn_inputs(sample_rate: int, window_s: float, seed: int = 0) -> list[tuple[Frame, Waveform]]:
    """Frames of a drawn scene, each with the sound that ends there: real inputs, the same from the same seed."""
    from .. import drawn

    scene = drawn.scene(seed)
    sound = scene.sound(sample_rate)
    length, inputs = round(window_s * sample_rate), []
    for time_s in np.linspace(window_s, len(sound) / sample_rate, FRAMES, endpoint=False):
        end = round(time_s * sample_rate)
        inputs.append((scene.frame(float(time_s), FRAME_PX), np.ascontiguousarray(sound[end - length : end])))
    return inputs


def digest(inputs: list[tuple[Frame, Waveform]]) -> str:
    """sha256 over all frames and waveforms."""
    sha = hashlib.sha256()
    for frame, waveform in inputs:
        sha.update(frame.tobytes())
        sha.update(waveform.tobytes())
    return sha.hexdigest()


def measure(
    localizer: Stages, inputs: list[tuple[Frame, Waveform]], seconds: float, clock: Clock = time.monotonic_ns
) -> Timings:
    """Run for `seconds` after `WARMUP_RUNS` runs whose times are thrown away. Ctrl-C ends it with what there is."""
    timings, source = Timings(), _cycle(inputs)
    start_ns = clock()
    for _ in range(WARMUP_RUNS):
        _once(localizer, *next(source), clock)
    begin_ns = clock()
    timings.warmup_ms = (begin_ns - start_ns) / 1e6
    gc.freeze()  # what is alive now stays: collections in the run look only at what the run makes
    try:
        while clock() - begin_ns < seconds * 1e9:
            marks = _once(localizer, *next(source), clock)
            spans = [(after - before) / 1e6 for before, after in pairwise(marks)]
            for name, span in zip(STAGES, [*spans, (marks[-1] - marks[0]) / 1e6], strict=True):
                timings.stages_ms[name].append(span)
    except KeyboardInterrupt:
        timings.partial = True
    finally:
        gc.unfreeze()
    timings.wall_ms = (clock() - begin_ns) / 1e6
    return timings


def as_jsonl(timings: Timings) -> Iterator[str]:
    """One JSON line a run: what each stage took, ms."""
    for k, values in enumerate(zip(*timings.stages_ms.values(), strict=True)):
        spans = {f"{name}_ms": round(value, 6) for name, value in zip(timings.stages_ms, values, strict=True)}
        yield json.dumps({"k": k, **spans, "drop": None})


def _once(localizer: Stages, frame: Frame, waveform: Waveform, clock: Clock) -> list[int]:
    marks = [clock()]
    picture = localizer.prepare_image(frame)
    marks.append(clock())
    image_embedding = localizer.embed_prepared(picture)
    marks.append(clock())
    audio_embedding = localizer.embed_audio(waveform)
    marks.append(clock())
    similarity_map = localizer.similarity(image_embedding, audio_embedding)
    marks.append(clock())
    localizer.result(similarity_map, (frame.shape[1], frame.shape[0]), AUDIBLE_DBFS)
    marks.append(clock())
    return marks


def _cycle(inputs: list[tuple[Frame, Waveform]]) -> Iterator[tuple[Frame, Waveform]]:
    while True:
        yield from inputs
