"""What comes out for one recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

# Why a recording failed. What is the recording's own fault stays so; the others are tried again by the next run.
FILE, WORKER, STORAGE, INTERNAL = "file", "worker", "storage", "internal"


@dataclass(frozen=True, slots=True)
class PartSummary:
    """What one segment's part holds."""

    index: int
    frames: int
    audible: int
    confidence_sum: float
    end_s: float
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """One recording: a row of the table `files`, and the way to its rows of the table `frames`."""

    path: str
    file_id: str = ""  # key of its content, "" when it could not be read at all
    bytes: int = 0
    seconds: float = 0.0  # from its start to the end of the last picture
    width_px: int = 0
    height_px: int = 0
    fps: float | None = None
    codec: str = ""
    sound_codec: str = ""
    frames: int = 0  # analysed pictures
    audible_share: float = 0.0  # of these, in [0, 1]
    confidence_mean: float = 0.0  # over all of them, 0 where nothing is audible
    error: str | None = None  # None: whole. Otherwise why not; `frames` rows that could be made are there
    error_kind: str | None = None  # file | worker | storage | internal; only `file` is final
    parts: int = 0
    bundle_sha256: str = ""
    settings_hash: str = ""
    lvs_version: str = ""
    done_before: bool = False  # found in the output folder, not made now
    stages_s: Mapping[str, float] = field(default_factory=dict)  # CPU seconds by stage, of what was made now
    out: str = ""
    tables: tuple[Any, ...] = ()  # rows in memory, when there is no output folder

    def table(self) -> pa.Table:
        """The rows of this recording (columns: docs/archives.md), ordered by time."""
        from . import tables
        from .store import open_store

        if self.tables:
            return tables.joined(self.tables)
        if not self.out and self.parts:
            raise DataError(f"{self.path}: its rows were not kept")
        store = open_store(self.out) if self.out else None
        names = [tables.part_name(self.file_id, index) for index in range(self.parts)]
        return tables.joined([tables.read(store.read(name)) for name in names if store and store.exists(name)])
