"""One segment: pictures and sound in, rows out. Decoding runs in a thread of its own beside the encoders."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..capture.demux import SAMPLE_RATE
from ..gate import SILENCE_DBFS, level_dbfs
from .media import Facts, Look
from .results import PartSummary
from .settings import Settings
from .tables import frames_table

if TYPE_CHECKING:
    import pyarrow as pa

    from ..localizer import Localizer
    from ..results import Result

_LEAST_SAMPLES = SAMPLE_RATE // 10  # a shorter window says nothing
_AHEAD = 64  # pictures that decoding may be ahead: 10 MB
BATCH = 32


@dataclass(slots=True)
class Analysis:
    """A segment's rows, and what they were made of."""

    table: pa.Table
    summary: PartSummary
    facts: Facts
    stages_s: dict[str, float] = field(default_factory=dict)


def analyse(reader: Any, localizer: Localizer, settings: Settings, key: str, index: int) -> Analysis:
    """All rows of one segment. `reader` is a `SegmentReader` (or what behaves alike). Raises `DataError`."""
    rows = Rows(localizer, settings, key)
    for batch in batches(ahead(reader.looks()), batch_size(localizer)):
        for look, result, skew_s in Ears(localizer, rows).results(batch):
            rows.add(look, result, skew_s)
    reading = reader.reading
    summary = PartSummary(
        index=index,
        frames=len(rows.maps),
        audible=sum(rows.columns["audible"]),
        confidence_sum=float(sum(rows.columns["confidence"])),
        end_s=reading.end_s,
        problem=reading.problem,
    )
    return Analysis(rows.table(), summary, reading.facts, {**reading.stages_s, **rows.stages_s})


def batch_size(localizer: Localizer) -> int:
    """Pictures of one call: 32 where the graph takes a batch and a GPU gains from it, else as many as it takes."""
    fixed = localizer.bundle.part("image").only_input.shape[0]
    if isinstance(fixed, int):
        return fixed
    return 1 if localizer.provider.startswith("CPU") else BATCH


class Rows:
    """Collects rows. One audio embedding is kept for each window that may come again."""

    def __init__(self, localizer: Localizer, settings: Settings, key: str) -> None:
        self._cells = localizer.bundle.image.grid**2
        self.maps: list[npt.NDArray[np.float16]] = []
        self.columns: dict[str, list[Any]] = {
            name: []
            for name in [
                "t_s",
                "picture_s",
                "similarity_max",
                "peak_x_px",
                "peak_y_px",
                "width_px",
                "height_px",
                "boxes",
                "audible",
                "level_dbfs",
                "confidence",
                "skew_s",
            ]
        }
        self.stages_s = {"image": 0.0, "audio": 0.0, "post": 0.0}
        self.heard: dict[tuple[int, int], npt.NDArray[np.float32]] = {}
        self._same = {"file_id": key, "bundle_sha256": settings.bundle_sha256, "lvs_version": __version__}

    def add(self, look: Look, result: Result, skew_s: float) -> None:
        """One row."""
        self.maps.append(result.similarity_map.astype(np.float16).ravel())
        values = {
            "t_s": look.t_s,
            "picture_s": look.picture_s,
            "similarity_max": float(result.similarity_map.max()),
            "peak_x_px": result.peak_px[0],
            "peak_y_px": result.peak_px[1],
            "width_px": look.size_px[0],
            "height_px": look.size_px[1],
            "boxes": [dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)) for box in result.boxes_px],
            "audible": bool(result.audible),
            "level_dbfs": result.level_dbfs,
            "confidence": result.confidence,
            "skew_s": skew_s,
        }
        for name, value in values.items():
            self.columns[name].append(value)

    def table(self) -> pa.Table:
        """All of them."""
        count = len(self.maps)
        maps = np.stack(self.maps) if count else np.empty((0, self._cells), np.float16)
        return frames_table({**self.columns, **{name: [value] * count for name, value in self._same.items()}}, maps)


class Ears:
    """Pictures and sounds of a batch -> results. Sound is embedded once for each window."""

    def __init__(self, localizer: Localizer, rows: Rows) -> None:
        self._localizer, self._rows = localizer, rows

    def results(self, batch: list[Look]) -> Iterator[tuple[Look, Result, float]]:
        """In the order of the batch, with each row's skew in seconds."""
        begin = time.thread_time()
        # A prepared picture is RGB; `embed_images` wants frames, BGR, and leaves those of the right size as they are.
        images = self._localizer.embed_images([look.prepared[0, :, :, ::-1] for look in batch])
        seen = time.thread_time()
        sounds = [self._hear(look) for look in batch]
        heard = time.thread_time()
        for look, image, sound in zip(batch, images, sounds, strict=True):
            yield look, *self._result(look, image, sound)
        stages = self._rows.stages_s
        stages["image"] += seen - begin
        stages["audio"] += heard - seen
        stages["post"] += time.thread_time() - heard

    def _hear(self, look: Look) -> npt.NDArray[np.float32] | None:
        if len(look.sound) < _LEAST_SAMPLES:
            return None
        window = (look.sound_start, len(look.sound))
        if window not in self._rows.heard:
            self._rows.heard.clear()  # time only rises: an older window does not come again
            self._rows.heard[window] = self._localizer.embed_audio(look.sound)
        return self._rows.heard[window]

    def _result(self, look: Look, image: Any, sound: npt.NDArray[np.float32] | None) -> tuple[Result, float]:
        localizer = self._localizer
        grid = localizer.bundle.image.grid
        cells = np.zeros((grid, grid), np.float32) if sound is None else localizer.similarity(image, sound)
        level = level_dbfs(look.level_sound, SAMPLE_RATE) if len(look.level_sound) else SILENCE_DBFS
        stamp_ns = round(look.t_s * 1e9)
        result = localizer.result(
            cells, look.size_px, level, audible=None if sound is not None else False, capture_ns=stamp_ns
        )
        end_s = (look.sound_start + len(look.sound)) / SAMPLE_RATE
        return result, (end_s - look.t_s) if sound is not None else 0.0


def batches(looks: Iterator[Look], size: int) -> Iterator[list[Look]]:
    """Groups of `size`, the last one smaller."""
    batch: list[Look] = []
    for look in looks:
        batch.append(look)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def ahead(looks: Iterator[Look], limit: int = _AHEAD) -> Iterator[Look]:
    """The same items, made in a thread of their own, at most `limit` ahead; its errors come out here."""
    box: queue.Queue[Look | BaseException | None] = queue.Queue(limit)
    left = threading.Event()

    def put(item: Look | BaseException | None) -> bool:
        while not left.is_set():
            try:
                box.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    thread = threading.Thread(target=_produce, args=(looks, put), name="lvs-decode", daemon=True)
    thread.start()
    try:
        while (item := box.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
        thread.join()


def _produce(looks: Iterator[Look], put: Callable[[Look | BaseException | None], bool]) -> None:
    try:
        for look in looks:
            if not put(look):
                return
        put(None)
    except Exception as error:  # noqa: BLE001 -- top of a thread: the caller raises it
        put(error)
