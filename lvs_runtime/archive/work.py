"""One piece of work in one worker, whatever engine has sent it: a recording, or one segment of a long one."""

from __future__ import annotations

import errno
import functools
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import BundleError, DataError, LvsError
from . import tables
from .analyse import analyse
from .media import Facts, SegmentReader, probe
from .opening import content_key, open_bytes
from .results import FILE, INTERNAL, STORAGE, FileResult, PartSummary
from .settings import Settings, bundle_hash
from .sources import Source
from .store import Store, open_store

if TYPE_CHECKING:
    from ..localizer import Localizer

_LOG = logging.getLogger(__name__)
PATIENCE_S = 600.0  # without one packet or row in it, a worker has hung and ends itself
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Item:
    """A recording as a whole (`part` None: look first), or one segment of it."""

    source: Source
    part: int | None = None
    plan: FileResult | None = None  # what is known of the recording, once it was looked at
    fresh: bool = True  # False: an earlier run's row counts as done


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an item: a finished recording, further items, or a segment."""

    result: FileResult | None = None
    more: tuple[Item, ...] = ()
    part: PartSummary | None = None
    stages_s: dict[str, float] = field(default_factory=dict)
    table: Any = None  # rows, when there is no output folder
    error: tuple[str, str] | None = None  # (kind, reason) of a segment that gave nothing


def process(settings: Settings, item: Item) -> Outcome:
    """Do it. Whatever a recording does to us is an outcome, never an exception."""
    _HEART.beat()
    plan = item.plan or FileResult(path=str(item.source), out=settings.out)
    try:
        try:
            if item.part is None:
                return _whole(settings, item)
            return _segment(settings, item.source, plan, item.part)
        except OSError as error:
            return _failed(settings, item, plan, STORAGE, _storage(error, settings))
        except BundleError:
            raise  # of this worker, not of the recording
        except LvsError as error:
            return _failed(settings, item, plan, FILE, str(error))
    except LvsError:
        raise
    except Exception as error:  # noqa: BLE001 -- top of a worker: one recording must not end the night's job
        _LOG.exception("%s", item.source)
        return _failed(settings, item, plan, INTERNAL, f"{type(error).__name__}: {error}")
    finally:
        _HEART.rest()


def _whole(settings: Settings, item: Item) -> Outcome:
    source, store = item.source, _store(settings)
    path = tables.printable(str(source))
    with open_bytes(source) as stream:
        key, size = content_key(stream)
    plan = FileResult(
        path=path, file_id=key, bytes=size, out=settings.out, bundle_sha256=settings.bundle_sha256,
        settings_hash=settings.hash, lvs_version=__version__,
    )  # fmt: skip
    if (done := done_before(settings, store, plan)) is not None:
        return Outcome(result=done)
    try:
        if not size:
            raise DataError("the file is empty (0 bytes)")
        facts, segments = _look(settings, source)
    except DataError as error:
        return Outcome(result=_write_row(store, replace(plan, error=str(error), error_kind=FILE)))
    plan = replace(_with_facts(plan, facts), parts=segments)
    if segments > 1:
        return Outcome(more=tuple(Item(source, index, plan) for index in range(segments)))
    outcome = _segment(settings, source, plan, 0)
    assert outcome.part is not None
    result = finish(plan, [outcome.part], outcome.stages_s, [outcome.table] if outcome.table is not None else [])
    return Outcome(result=_write_row(store, result))


def done_before(settings: Settings, store: Store | None, plan: FileResult) -> FileResult | None:
    """The recording's row of an earlier run, when it is final and was made with these settings."""
    name = tables.row_name(plan.file_id, plan.path)
    if store is None or not store.exists(name):
        return None
    found = tables.file_result(store.read(name), done_before=True, out=settings.out)
    if found is None or found.settings_hash != settings.hash or found.error_kind not in (None, FILE):
        return None
    return found


def finish(
    plan: FileResult, parts: Sequence[PartSummary], stages_s: dict[str, float], rows: Sequence[Any] = ()
) -> FileResult:
    """A recording's result from all its segments."""
    frames = sum(part.frames for part in parts)
    problems = [part.problem for part in sorted(parts, key=lambda part: part.index) if part.problem]
    return replace(
        plan,
        seconds=max((part.end_s for part in parts), default=0.0),
        frames=frames,
        audible_share=sum(part.audible for part in parts) / frames if frames else 0.0,
        confidence_mean=sum(part.confidence_sum for part in parts) / frames if frames else 0.0,
        error="; ".join(dict.fromkeys(problems)) or None,
        error_kind=FILE if problems else None,
        stages_s=stages_s,
        tables=tuple(rows),
    )


def _look(settings: Settings, source: Source) -> tuple[Facts, int]:
    """What it holds, and in how many segments it is cut."""
    if source.suffix == ".mcap":
        from .recording import probe_recording

        return probe_recording(source), 1
    facts = probe(source)
    span_s = settings.places * settings.every_s
    whole = facts.seconds is None or facts.codec in ("mjpeg", "gif") or facts.seconds <= 1.5 * span_s
    return facts, 1 if whole or facts.seconds is None else max(1, round(facts.seconds / span_s))


def _segment(settings: Settings, source: Source, plan: FileResult, index: int) -> Outcome:
    store, name = _store(settings), tables.part_name(plan.file_id, index)
    if store is not None and store.exists(name):
        note = tables.read_note(store.read(name))
        if note is not None and note.get("settings_hash") == settings.hash:
            return Outcome(part=tables.summary_of(note))
    first = index * settings.places
    stop = None if index + 1 >= plan.parts else first + settings.places
    localizer = open_localizer(settings)
    begin = time.process_time()
    made = analyse(_reader(source, settings, localizer, first, stop), localizer, settings, plan.file_id, index)
    stages_s = {**made.stages_s, "cpu": time.process_time() - begin}
    if store is None:
        return Outcome(part=made.summary, stages_s=stages_s, table=made.table)
    begin_write = time.thread_time()
    store.write(name, tables.as_bytes(made.table, tables.part_note(made.summary, settings.hash)))
    stages_s["write"] = time.thread_time() - begin_write
    return Outcome(part=made.summary, stages_s=stages_s)


def _reader(source: Source, settings: Settings, localizer: Localizer, first: int, stop: int | None) -> Any:
    if source.suffix == ".mcap":
        from .recording import RecordingReader

        return RecordingReader(source, settings, localizer.prepare_image, beat=_HEART.beat)
    return SegmentReader(source, settings, localizer.prepare_image, first, stop, beat=_HEART.beat)


def _with_facts(plan: FileResult, facts: Facts) -> FileResult:
    return replace(
        plan, width_px=facts.width_px, height_px=facts.height_px, fps=facts.fps, codec=facts.codec,
        sound_codec=facts.sound_codec,
    )  # fmt: skip


def _failed(settings: Settings, item: Item, plan: FileResult, kind: str, why: str) -> Outcome:
    if item.part is not None:
        return Outcome(error=(kind, why))
    named = replace(plan, path=tables.printable(plan.path), error=why, error_kind=kind, settings_hash=settings.hash)
    return Outcome(result=record(_store(settings), named))


def record(store: Store | None, result: FileResult) -> FileResult:
    """Write a failed recording's row; on a full disk the result at least goes to the caller."""
    try:
        return _write_row(store, result)
    except OSError as error:
        _LOG.debug("%s: its row cannot be written (%s)", result.path, error)
        return result


def _write_row(store: Store | None, result: FileResult) -> FileResult:
    if store is not None:
        store.write(tables.row_name(result.file_id, result.path), tables.as_bytes(tables.file_row(result)))
    return result


def write_row(settings: Settings, result: FileResult) -> FileResult:
    """The driver's way: a recording of several segments is finished where they come together."""
    try:
        return _write_row(_store(settings), result)
    except OSError as error:
        return replace(result, error=_storage(error, settings), error_kind=STORAGE)


def _storage(error: OSError, settings: Settings) -> str:
    if error.errno in FULL_DISK:
        return f"results cannot be written: the disk of {settings.out} is full; free some space and run again"
    return f"input or output failed: {error}"


@functools.lru_cache(maxsize=4)
def _open_store(out: str) -> Store:
    return open_store(out)


def _store(settings: Settings) -> Store | None:
    return _open_store(settings.out) if settings.out else None


@functools.lru_cache(maxsize=2)
def _opened(bundle: str | None, device: str, threads: int, wanted_sha256: str) -> Localizer:
    from ..localizer import Localizer

    localizer = Localizer.from_bundle(bundle, device, threads)
    found = bundle_hash(localizer.bundle)
    if found != wanted_sha256:
        raise BundleError(
            f"bundle {localizer.bundle.path} of this worker has hash {found[:12]}, the job's is {wanted_sha256[:12]}: "
            f"give every machine the same lvs and the same --bundle folder"
        )
    return localizer


def open_localizer(settings: Settings) -> Localizer:
    """The model, loaded once in each worker process."""
    return _opened(settings.bundle, settings.device, settings.threads, settings.bundle_sha256)


class _Heart:
    """Ends the process when one item makes no progress for `PATIENCE_S`: the engine then treats it as crashed."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._watch: threading.Thread | None = None

    def beat(self) -> None:
        """Something goes on."""
        self._last = time.monotonic()

    def rest(self) -> None:
        """Nothing is to be done."""
        self._last = None

    def guard(self) -> None:
        """Begin to watch. Only in a process that may be ended: a worker."""
        if self._watch is None:
            self._watch = threading.Thread(target=self._run, name="lvs-heart", daemon=True)
            self._watch.start()

    def _run(self) -> None:
        while True:
            time.sleep(min(5.0, PATIENCE_S / 4))
            last = self._last
            if last is not None and time.monotonic() - last > PATIENCE_S:
                os._exit(75)


_HEART = _Heart()


def in_worker(settings: Settings, item: Item) -> Outcome:
    """`process` in a process of its own, which ends itself when it hangs."""
    _HEART.guard()
    return process(settings, item)
