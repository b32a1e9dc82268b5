"""How far a job is: a live line on a terminal, a line every ten seconds elsewhere; failures when they come."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .results import FileResult

SHOWN = 20
LINE_EVERY_S = 10.0


@dataclass(slots=True)
class Totals:
    """Sums over the results so far."""

    files: int = 0
    before: int = 0
    frames: int = 0
    seconds: float = 0.0  # of recordings analysed now
    failed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    stages_s: dict[str, float] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)  # the first ones: (path, reason)
    begun: float = field(default_factory=time.monotonic)

    def add(self, result: FileResult) -> None:
        """One more."""
        self.files += 1
        self.before += result.done_before
        if not result.done_before:
            self.frames += result.frames
            self.seconds += result.seconds
            for name, value in result.stages_s.items():
                self.stages_s[name] = self.stages_s.get(name, 0.0) + value
        if result.error:
            self.failed += 1
            self.kinds[result.error_kind or ""] += 1
            if len(self.failures) < 1000:
                self.failures.append((result.path, result.error))

    def as_dict(self) -> dict[str, Any]:
        """The summary of `--json`."""
        wall_s = time.monotonic() - self.begun
        return {
            "files": self.files,
            "done_before": self.before,
            "failed": self.failed,
            "failed_by_kind": dict(self.kinds),
            "frames": self.frames,
            "hours": round(self.seconds / 3600, 4),
            "wall_s": round(wall_s, 2),
            "real_time_factor": round(self.seconds / wall_s, 2) if wall_s else None,
            "stages_s": {name: round(value, 3) for name, value in self.stages_s.items()},
            "failures": [{"path": path, "error": error} for path, error in self.failures],
        }


class Progress:
    """Prints to stderr. `quiet`: failures only."""

    def __init__(self, quiet: bool = False) -> None:
        self.totals = Totals()
        self._tty = sys.stderr.isatty()
        self._quiet = quiet
        self._printed = time.monotonic()

    def add(self, result: FileResult, found: int, listed: bool) -> None:
        """One more result; `found` recordings are known so far, `listed`: these are all."""
        self.totals.add(result)
        if result.error and self.totals.failed <= SHOWN:
            self._print(f"failed: {result.path}: {result.error}", live=False)
            if self.totals.failed == SHOWN:
                self._print("further failures are in the table files (column error)", live=False)
        now = time.monotonic()
        if not self._quiet and now - self._printed >= (0.2 if self._tty else LINE_EVERY_S):
            self._printed = now
            self._print(self.line(found, listed), live=self._tty)

    def line(self, found: int, listed: bool) -> str:
        """Files and hours done, speed, what is left, failures."""
        totals = self.totals
        passed = max(time.monotonic() - totals.begun, 1e-9)
        made = totals.files - totals.before
        left = found - totals.files
        eta = f"  ETA {_duration(left * passed / made)}" if listed and made and left else ""
        of = str(found) if listed else f"{found}+"
        return (
            f"{totals.files}/{of} files  {totals.seconds / 3600:.2f} h  {totals.seconds / passed:.1f}x real time"
            f"  {totals.failed} failed{eta}"
        )

    def end(self, found: int) -> None:
        """The last line."""
        if not self._quiet:
            before = f"  ({self.totals.before} were done before)" if self.totals.before else ""
            self._print(self.line(found, True) + before, live=False)

    def _print(self, line: str, live: bool) -> None:
        start = "\r" if self._tty else ""
        end = "\x1b[K" if live else ("\x1b[K\n" if self._tty else "\n")
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)  # noqa: T201 -- it is for printing


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"
