"""Results made by hand: a spot of similarity somewhere, audible or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lvs_runtime.heatmap import CELL_SHIFT
from lvs_runtime.results import Result, VideoFrame
from lvs_runtime.sinks import SessionInfo

OFFSET = 0.5 - CELL_SHIFT  # from a cell to where it looks
START_NS = 5_000_000_000_000


def _spot(x: float, y: float, peak: float) -> np.ndarray:
    rows, columns = np.mgrid[0:14, 0:14]
    return (0.2 + (peak - 0.2) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)).astype(np.float32)


@pytest.fixture
def make_result() -> Callable[..., Result]:
    def make(index: int = 0, capture_ns: int = START_NS, size: tuple[int, int] = (320, 240), **changes: Any) -> Result:
        cell_x, cell_y = changes.pop("cell", (9, 5))
        peak = changes.pop("peak", 0.85)
        width, height = size
        fields: dict[str, Any] = {
            "similarity_map": _spot(cell_x, cell_y, peak),
            "image_size_px": size,
            "audible": True,
            "level_dbfs": -20.0,
            "confidence": 0.9,
            "peak_px": (int((cell_x + OFFSET) * width / 14), int((cell_y + OFFSET) * height / 14)),
            "boxes_px": ((8 * width // 14, 4 * height // 14, 11 * width // 14, 7 * height // 14),),
            "provider": "CPUExecutionProvider",
            "precision": "int8",
            "frame_index": index,
            "capture_ns": capture_ns,
            "audio_end_ns": capture_ns - 5_000_000,
            "output_ns": capture_ns + 18_000_000,
        }
        return Result(**{**fields, **changes})

    return make


@pytest.fixture
def make_frame() -> Callable[..., VideoFrame]:
    def make(
        index: int = 0, capture_ns: int = START_NS, size: tuple[int, int] = (320, 240), grey: int = 90
    ) -> VideoFrame:
        image = np.full((size[1], size[0], 3), grey, np.uint8)
        return VideoFrame(image, capture_ns, capture_ns, index)

    return make


@pytest.fixture
def info() -> SessionInfo:
    return SessionInfo(source="made by hand", fps=25.0, thresholds={"box_similarity": 0.6, "audible_on_dbfs": -45.0})
