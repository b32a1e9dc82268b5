"""A whole job: find the recordings, hand out the work, put segments together, yield results as they come."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..errors import ConfigError
from . import tables
from .engine import Engine, WorkerDied, cores, map_items, parse_engine
from .results import WORKER, FileResult, PartSummary
from .settings import HEAR_EVERY_S, SEGMENT_S, Settings, bundle_hash
from .sources import Source, find_sources, is_url
from .store import claim
from .work import Item, Outcome, finish, in_worker, open_localizer, process, write_row

GPU_SHARE = 0.25  # workers of one GPU: decoding of some beside inference of others


def localize_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str] | None = None,
    every_s: float = 0.5,
    bundle: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    engine: str = "local",
    workers: int | None = None,
    audio_seconds: float | None = None,
    audio_hop: float | None = None,
    align: str = "centre",
    segment_s: float = SEGMENT_S,
    remake: bool = False,
) -> Iterator[FileResult]:
    """Analyse recordings; one `FileResult` each, as they finish (in no order). Failures are results with an `error`.

    `paths`: files, folders, globs, "@list.txt", .tar shards, .mcap, URLs. `out`: folder or URL of the Parquet tables;
    what is there already is not made again. None: rows stay in memory (`FileResult.table()`). `engine`: "local",
    "ray", "ray://HOST:PORT". `workers`: processes, default one a core; 0: in this process. `audio_seconds`: length of
    the audio window, default the bundle's live window; `align` "centre" puts the picture in its middle, "end" at its
    end as in a live session. `audio_hop`: one window for each stretch of so many seconds, for all pictures in it;
    default 0 (each its own), but 0.25 where `every_s` is smaller than that. `remake`: make anew what was made with
    other settings.

    Raises `ConfigError`, `BundleError`, `DeviceError` before the first recording is touched.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    settings = make_settings(
        out=None if out is None else os.fspath(out),
        every_s=every_s,
        bundle=None if bundle is None else os.fspath(bundle),
        device=device,
        audio_seconds=audio_seconds,
        audio_hop=audio_hop,
        align=align,
        segment_s=segment_s,
    )
    return Job(
        [os.fspath(path) for path in given],
        settings,
        parse_engine(engine, workers, GPU_SHARE if device == "cuda" else 0.0),
        remake=remake,
    ).run()


def make_settings(
    *, out: str | None, every_s: float, bundle: str | None, device: str, audio_seconds: float | None,
    audio_hop: float | None = None, align: str = "centre", segment_s: float = SEGMENT_S,
) -> Settings:  # fmt: skip
    """Check everything that can be checked without touching a recording."""
    tables.import_pyarrow()
    opened = Bundle.open(bundle)
    window_s = opened.live_seconds if audio_seconds is None else audio_seconds
    shared_s = HEAR_EVERY_S if every_s < HEAR_EVERY_S else 0.0
    return Settings(
        out="" if out is None else _absolute(out),
        bundle=None if bundle is None else str(Path(bundle).absolute()),
        bundle_sha256=bundle_hash(opened),
        bundle_name=opened.name,
        device=device,
        every_s=every_s,
        window_s=window_s,
        hop_s=min(shared_s, window_s) if audio_hop is None else audio_hop,
        align=align,
        segment_s=segment_s,
    )


@dataclass(slots=True)
class _Open:
    """A recording whose segments are under way."""

    plan: FileResult
    parts: list[PartSummary] = field(default_factory=list)
    tables: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, tuple[str, str]] = field(default_factory=dict)
    stages_s: dict[str, float] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return len(self.parts) + len(self.errors) == self.plan.parts


class Job:
    """One run. `found` grows while sources are listed; `listed` says that all are known."""

    def __init__(self, inputs: list[str], settings: Settings, engine: Engine, remake: bool = False) -> None:
        if not inputs:
            raise ConfigError("no INPUT: name files, folders, globs, @list.txt, .tar shards or .mcap recordings")
        self.settings, self.engine = settings, engine
        if settings.out:
            self._check_first(inputs)
            claim(settings, remake)
        self._sources = find_sources(inputs, settings.out or None)
        self._more: deque[Item] = deque()
        self._first: Source | None = next(self._sources, None)  # an input that matches nothing is told at once
        self.found, self.listed = 0, False
        self._open: dict[tuple[str, str], _Open] = {}
        if engine.kind == "local":
            open_localizer(settings)  # a device that is not usable is told once, not by every worker

    def run(self) -> Iterator[FileResult]:
        """The results, as they finish."""
        work = process if self.engine.kind == "local" and self.engine.workers == 0 else in_worker
        for item, outcome in map_items(functools.partial(work, self.settings), self._next, self.engine):
            if isinstance(outcome, WorkerDied):
                outcome = self._died(item, outcome)
            yield from self._take(item, outcome)

    def _check_first(self, inputs: list[str]) -> None:
        """The output folder must not lie among the inputs; seen before it is made."""
        for text in inputs:
            if not is_url(text) and not text.startswith("@") and _absolute(text) == self.settings.out:
                raise ConfigError(f"{text}: is the output folder itself; choose an --out outside of it")

    def _next(self) -> Item | None:
        if self._more:
            return self._more.popleft()  # segments of a recording that was begun come first
        source, self._first = self._first or next(self._sources, None), None
        if source is None:
            self.listed = True
            return None
        self.found += 1
        return Item(source)

    def _died(self, item: Item, died: WorkerDied) -> Outcome:
        if item.part is not None:
            return Outcome(error=(WORKER, died.reason))
        path = tables.printable(str(item.source))
        plan = FileResult(path=path, out=self.settings.out, settings_hash=self.settings.hash)
        return Outcome(result=write_row(self.settings, replace(plan, error=died.reason, error_kind=WORKER)))

    def _take(self, item: Item, outcome: Outcome) -> Iterator[FileResult]:
        if outcome.result is not None:
            yield outcome.result
        for more in outcome.more:
            assert more.plan is not None
            self._open.setdefault((more.plan.path, more.plan.file_id), _Open(more.plan))
            self._more.append(more)
        if item.part is not None and item.plan is not None:
            yield from self._segment(item.part, (item.plan.path, item.plan.file_id), outcome)

    def _segment(self, index: int, key: tuple[str, str], outcome: Outcome) -> Iterator[FileResult]:
        opened = self._open[key]
        if outcome.part is not None:
            opened.parts.append(outcome.part)
        if outcome.table is not None:
            opened.tables[index] = outcome.table
        if outcome.error is not None:
            opened.errors[index] = outcome.error
        for name, seconds in outcome.stages_s.items():
            opened.stages_s[name] = opened.stages_s.get(name, 0.0) + seconds
        if not opened.is_whole:
            return
        del self._open[key]
        rows = [opened.tables[index] for index in sorted(opened.tables)]
        result = finish(opened.plan, opened.parts, opened.stages_s, rows)
        if opened.errors:
            index, (kind, why) = min(opened.errors.items())
            at_s = index * self.settings.places * self.settings.every_s
            result = replace(result, error=f"{why} (in the segment from {at_s:g} s)", error_kind=kind)
        yield write_row(self.settings, result)


def _absolute(path: str) -> str:
    return path.rstrip("/") if is_url(path) else str(Path(path).absolute())


def default_workers(engine: Engine) -> int:
    """Local processes that a job will use."""
    return cores() if engine.workers is None else engine.workers
