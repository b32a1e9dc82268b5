"""Thousands of videos: several workers, several machines, killed and run again, without a half file or a lost line.

The workers are those of an engine (lvs_runtime/archive/engine.py): local processes, or a Ray cluster.
A machine takes the videos whose id falls into its shard I of N, whatever the others do. Nothing is marked as done but
by its files, which are moved in place whole; so a run after a kill goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lvs_runtime.archive.engine import Engine, WorkerDied, map_items, parse_engine
from lvs_runtime.errors import ConfigError, DataError

from .ids import VIDEO_SUFFIXES, clip_key
from .pack import LOOSE, Packer, index_when_alone, packed_ids
from .videos import Job, Outcome, import_av, picture_number, prepare, scratch_folder

SETTINGS = "prepare.json"


@dataclass
class Report:
    """What a run found and did. Written as JSON beside the clips, one file a shard."""

    shard: str
    found: int = 0  # videos of this shard
    done_before: int = 0
    done_now: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # listed, no video there
    unlisted: int = 0  # videos that the list does not name: left alone

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))


def find_videos(root: Path) -> dict[str, Path]:
    """id -> file of all videos under `root`; the id is the file's name. Two files of one id are a `DataError`."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder of videos")
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 -- 200,000 Path objects are slow
            if suffix.lower() not in VIDEO_SUFFIXES or name.startswith("."):
                continue
            path = Path(folder) / name
            if stem in found:
                raise DataError(f"two videos are called {stem}: {found[stem]} and {path}; rename one")
            found[stem] = path
    if not found:
        raise DataError(f"{root}: no videos ({', '.join(sorted(VIDEO_SUFFIXES))}) in it")
    return found


def parse_shard(text: str) -> tuple[int, int]:
    """ "2/8" -> (2, 8), 1 <= I <= N."""
    first, _, last = text.partition("/")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise ConfigError(f"--shard {text}: want I/N with 1 <= I <= N, e.g. 2/8")
    return int(first), int(last)


def in_shard(clip: str, shard: tuple[int, int]) -> bool:
    """Whether an id belongs to shard I of N: by its hash, so that more videos move no other."""
    draw = int.from_bytes(hashlib.sha256(clip.encode()).digest()[:8], "big")
    return draw % shard[1] == shard[0] - 1


def prepare_all(
    videos: Path,
    out: Path,
    at_s: Sequence[float] = (5.0,),
    shard: tuple[int, int] = (1, 1),
    workers: int | None = None,
    listed: Sequence[str] | None = None,
    on_outcome: Callable[[Outcome, Report], None] | None = None,
    clips_per_tar: int = 0,
    engine: str = "local",
) -> Report:
    """Prepare the videos of one shard into `out`/frames and `out`/audio and write `out`/report-I-of-N.json.

    `clips_per_tar` above 0 packs them into `out`/clips-I-of-N-00000.tar ... instead, so many in each.

    `workers`: videos at once, default one (in this process), with Ray as many as the cluster takes. `engine`: "local",
    "ray" or "ray://HOST:PORT"; every node must see `videos` and `out` under these paths.

    `listed` limits the work to these ids and makes those without a video `missing`. A file that cannot be used is in
    the report and tried again by the next run. Raises `DataError` when nothing can be read or written at all, or when
    another process works on this very shard.
    """
    if (workers is not None and workers < 1) or not at_s or len({picture_number(t) for t in at_s}) < len(at_s):
        raise ConfigError(f"--workers {workers} --at {tuple(at_s)}: want at least one worker and different times")
    chosen = parse_engine(engine, workers)
    if chosen.kind == "local" and workers in (None, 1):
        chosen = replace(chosen, workers=0)
    videos, out = videos.absolute(), out.absolute()  # workers elsewhere start in folders of their own
    if clips_per_tar < 0 or (clips_per_tar and len(at_s) > 1):
        raise ConfigError(f"--tar {clips_per_tar} --at {tuple(at_s)}: want a number of clips, and one frame a clip")
    import_av()
    name = f"{shard[0]}-of-{shard[1]}"
    report, jobs = _plan(find_videos(videos), shard, listed)
    with _only_one(out, name) as scratch:
        _same_settings(out, [picture_number(t) for t in at_s], clips_per_tar > 0)
        packer = Packer(out, name, scratch, clips_per_tar) if clips_per_tar else None
        try:
            for outcome in _work(jobs, out, scratch, tuple(at_s), chosen, packer, report):
                if outcome.error is None:
                    report.done_now += 1
                else:
                    report.failed[outcome.id] = outcome.error
                if on_outcome:
                    on_outcome(outcome, report)
        finally:
            _write(out / f"report-{name}.json", json.dumps(report.as_dict(), indent=1) + "\n")
    if packer:
        index_when_alone(out, shard[1])
    return report


def _work(
    jobs: dict[str, Path],
    out: Path,
    scratch: Path,
    at_s: tuple[float, ...],
    engine: Engine,
    packer: Packer | None,
    report: Report,
) -> Iterator[Outcome]:
    """Do what is not done, pack what is; outcomes of this run as they come."""
    packed = packed_ids(out) if packer else set[str]()
    todo = [Job(i, p, out / LOOSE if packer else out, scratch, at_s) for i, p in jobs.items() if i not in packed]
    waiting = [job for job in todo if not job.is_done()]
    report.done_before = len(jobs) - len(waiting)
    if packer:
        packer.remove_loose(packed & set(jobs))  # left by a kill between the shard and the removal
        for job in todo:
            if job.is_done():
                packer.add(job.id)
        for job in (j for j in waiting if "." in j.id):
            yield Outcome(job.id, "its name holds a dot, which webdataset takes for a suffix; rename it")
        waiting = [job for job in waiting if "." not in job.id]
    for outcome in _run(waiting, engine):
        if packer and outcome.error is None:
            packer.add(outcome.id)
        yield outcome
    if packer:
        packer.flush()


def _same_settings(out: Path, pictures: list[int], packed: bool) -> None:
    """A folder holds pictures of one time, as files or packed: what was made otherwise would pass for done."""
    settings: dict[str, Any] = {"pictures_at_25_fps": pictures} | ({"packed": True} if packed else {})
    path = out / SETTINGS
    if path.exists() and (before := json.loads(path.read_text(encoding="utf-8"))) != settings:
        raise ConfigError(f"{out} was prepared with {before}, now asked {settings}: use another folder")
    _write(path, json.dumps(settings) + "\n")


def _plan(
    found: dict[str, Path], shard: tuple[int, int], listed: Sequence[str] | None
) -> tuple[Report, dict[str, Path]]:
    report = Report(f"{shard[0]}/{shard[1]}")
    if listed is None:
        jobs = dict(found)
    else:
        by_key = {clip_key(i): path for i, path in found.items()}
        wanted = [i for i in dict.fromkeys(listed) if in_shard(i, shard)]
        paths = {i: found.get(i) or by_key.get(clip_key(i)) for i in wanted}
        jobs = {i: p for i, p in paths.items() if p is not None}
        report.missing = [i for i, p in paths.items() if p is None]
        report.unlisted = len(set(found.values()) - {found.get(i) or by_key.get(clip_key(i)) for i in listed})
    jobs = {i: p for i, p in jobs.items() if in_shard(i, shard)}
    report.found = len(jobs)
    if listed is not None and not jobs and report.missing:
        raise DataError(f"not one of {len(report.missing)} listed clips has a video, e.g. {report.missing[:3]}")
    return report, jobs


def _run(waiting: Iterable[Job], engine: Engine) -> Iterator[Outcome]:
    """Outcomes as they come. A video that kills every worker that tries it has failed; the others go on."""
    jobs = iter(waiting)
    for job, outcome in map_items(prepare, lambda: next(jobs, None), engine):
        yield Outcome(job.id, outcome.reason) if isinstance(outcome, WorkerDied) else outcome


@contextmanager
def _only_one(out: Path, name: str) -> Iterator[Path]:
    """A folder for unfinished files; a second process on the same shard is refused, leftovers of a killed one go."""
    hidden = out / ".scratch"
    try:
        hidden.mkdir(parents=True, exist_ok=True)
        lock = (hidden / f"{name}.lock").open("w")
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{out}: another process prepares shard {name.replace('-of-', '/')} just now") from error
        for left in hidden.glob(f"{name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        scratch = scratch_folder(out, name)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}-{os.uname().nodename}-{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
