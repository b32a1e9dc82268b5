"""A live page fed with moving results, and results made by hand."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from lvs_runtime.results import Result, VideoFrame
from lvs_runtime.sinks import SessionInfo, SinkQueue
from lvs_runtime.sinks.web import WebSink

for _package in ("starlette", "uvicorn", "websockets"):
    if _package not in sys.modules:
        pytest.importorskip(_package, reason="the live page needs: pip install 'lvs[web]'")

INFO = SessionInfo(
    source="drawn.mp4",
    sample_rate=16_000,
    provider="CPUExecutionProvider",
    thresholds={"box_similarity": 0.6, "audible_on_dbfs": -45.0},
)
SIZE = (320, 240)


def result_at(index: int, now_ns: int, **changes: Any) -> Result:
    """A hot spot that wanders; one second of silence in four."""
    x, y = 6.5 + 4 * np.cos(index / 20), 6.5 + 3 * np.sin(index / 20)
    rows, columns = np.mgrid[0:14, 0:14]
    cells = (0.2 + 0.65 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)).astype(np.float32)
    peak = (int((x + 0.5) * SIZE[0] / 14), int((y + 0.5) * SIZE[1] / 14))
    silent = index % 100 >= 75
    fields: dict[str, Any] = {
        "similarity_map": cells,
        "image_size_px": SIZE,
        "audible": not silent,
        "level_dbfs": -120.0 if silent else -22.0,
        "confidence": 0.0 if silent else 0.9,
        "peak_px": peak,
        "boxes_px": () if silent else ((peak[0] - 40, peak[1] - 30, peak[0] + 40, peak[1] + 30),),
        "provider": "CPUExecutionProvider",
        "precision": "int8",
        "frame_index": index,
        "capture_ns": now_ns,
        "audio_end_ns": now_ns - 6_000_000,
        "output_ns": now_ns + 18_000_000,
        "drops": {"superseded": index // 10},
    }
    return Result(**{**fields, **changes})


class Feeder:
    """Feeds a `WebSink` through its queue, about 30 results a second, with sound; `pause` stalls it."""

    def __init__(self, **options: Any) -> None:
        self.sink = WebSink(0, **options)
        self.queue = SinkQueue(self.sink)
        self.queue.start(INFO)
        self.pause = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return self.sink.server.url

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert self.queue.close(), "the page did not stop in time"
        assert self.queue.error is None

    def _feed(self) -> None:
        rng = np.random.default_rng(0)
        image = np.full((SIZE[1], SIZE[0], 3), (90, 80, 70), np.uint8)
        image[::16] = image[:, ::16] = (130, 120, 110)
        index, last_ns = 0, time.monotonic_ns()
        while not self._stop.wait(1 / 30):
            if self.pause.is_set():
                last_ns = time.monotonic_ns()
                continue
            now_ns = time.monotonic_ns()
            self.queue.put(VideoFrame(image, now_ns, now_ns, index), result_at(index, now_ns))
            block = rng.standard_normal((now_ns - last_ns) * 16 // 1_000_000).astype(np.float32) * 0.1
            self.queue.put_audio(block, 16_000, last_ns)
            index, last_ns = index + 1, now_ns


@pytest.fixture
def feed() -> Iterator[Callable[..., Feeder]]:
    feeders: list[Feeder] = []

    def start(**options: Any) -> Feeder:
        feeders.append(Feeder(**options))
        return feeders[-1]

    yield start
    for one in feeders:
        one.close()


@pytest.fixture
def made() -> Callable[..., Result]:
    return result_at
