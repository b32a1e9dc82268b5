"""The raw samples of a run: one row a frame, in memory laid out beforehand, so that recording allocates nothing.

due            taken                                      out
 |--- wait ----|-- pre -- image -- audio -- head -- post --|
 scheduled     inference begins                            the result is handed over      age = out - due
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

STAGES = ("wait", "pre", "image", "audio", "head", "post", "publish")
_FIXED = ("k", "stream", "due_ns", "taken_ns", "out_ns", "audio_end_ns")
_COLUMNS = (*_FIXED, *(f"{stage}_ns" for stage in STAGES))
NONE_NS = -1  # this column was not measured
Column = npt.NDArray[np.int64]


class Recorder:
    """Rows of one run. `add` is called from one thread at a time."""

    def __init__(self, capacity: int) -> None:
        """Room for `capacity` rows; further ones double it (counted in `grown`)."""
        self._data = np.full((max(capacity, 16), len(_COLUMNS)), NONE_NS, np.int64)
        self._stage_column = {name: len(_FIXED) + i for i, name in enumerate(STAGES)}
        self.n = 0
        self.grown = 0

    def add(
        self,
        k: int,
        due_ns: int,
        taken_ns: int,
        out_ns: int,
        *,
        stream: int = 0,
        audio_end_ns: int = NONE_NS,
        stages_ms: dict[str, float] | None = None,
    ) -> None:
        """One result: frame number, stamps, and what each stage took."""
        if self.n == len(self._data):
            self._data = np.concatenate([self._data, np.full_like(self._data, NONE_NS)])
            self.grown += 1
        row = self._data[self.n]
        row[0], row[1], row[2], row[3], row[4], row[5] = k, stream, due_ns, taken_ns, out_ns, audio_end_ns
        for name, value_ms in (stages_ms or {}).items():
            column = self._stage_column.get(name)
            if column is not None:
                row[column] = round(value_ms * 1e6)
        self.n += 1

    def rows(self) -> Rows:
        """What was recorded so far, as a copy."""
        return Rows(self._data[: self.n].copy())


@dataclass(frozen=True)
class Rows:
    """(n, columns) int64 with a name for each column."""

    data: Column

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, name: str) -> Column:
        """A column by name, e.g. "due_ns", "image_ns"."""
        return self.data[:, _COLUMNS.index(name)]

    def where(self, keep: npt.NDArray[np.bool_]) -> Rows:
        """The rows for which `keep` (n,) is true."""
        return Rows(self.data[keep])

    @property
    def age_ms(self) -> npt.NDArray[np.float64]:
        """Age of each result when it was handed over, ms."""
        return np.asarray((self["out_ns"] - self["due_ns"]) / 1e6, np.float64)

    def stage_ms(self, name: str) -> npt.NDArray[np.float64]:
        """Durations of a stage where it was measured, ms."""
        column = self[f"{name}_ns"]
        return np.asarray(column[column != NONE_NS] / 1e6, np.float64)


def as_jsonl(rows: Rows, dropped: dict[tuple[int, int], tuple[int, str]]) -> Iterator[str]:
    """One JSON line a frame in the order of their due moments.

    `dropped`: (stream, k) -> (due_ns, reason) of the frames without a result.
    """
    lines: list[tuple[int, dict[str, Any]]] = []
    for values in rows.data.tolist():
        plain: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
        kept = {name: value for name, value in plain.items() if value != NONE_NS or name in ("k", "due_ns")}
        lines.append((plain["due_ns"], {**kept, "drop": None}))
    for (stream, k), (due_ns, reason) in dropped.items():
        lines.append((due_ns, {"k": k, "stream": stream, "due_ns": due_ns, "drop": reason}))
    for _, line in sorted(lines, key=lambda pair: pair[0]):
        yield json.dumps(line)
