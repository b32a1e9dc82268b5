"""`lvs-train prepare videos/ out/`: what training reads. `lvs-train leaks`: a training list against test lists."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from .data.prepare_all import Report
    from .data.videos import Outcome

SHOWN = 20
LINE_EVERY_S = 10.0


@dataclass(kw_only=True)
class Prepare:
    """Frames and 16 kHz mono sound from a folder of videos; run it again after a kill and it goes on."""

    videos: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="VIDEOS")]
    """Folder of videos, searched through; a clip's id is its file's name."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Gets frames/<id>.jpg, audio/<id>.wav (or tars, with --tar) and a report for each shard."""
    list: Path | None = None
    """Only these ids (txt, csv, VGGSound csv, json); those without a video are reported as missing."""
    at: tuple[float, ...] = (5.0,)
    """Times of the frames in seconds, by the 25 fps rule: 5 is picture 125. Several make frames/<id>/125.jpg."""
    shard: str = "1/1"
    """I/N: the I-th of N parts, for arrays of machines that share a disk."""
    workers: int | None = None
    """Videos at once: local processes (default: 1), or tasks of Ray (default: as many as its CPUs)."""
    engine: str = "local"
    """local (processes of this machine), ray (its cluster, or one for this job) or ray://HOST:PORT."""
    tar: int = 0
    """Pack so many clips into a tar (webdataset: <id>.jpg, <id>.wav) instead of single files; 0: files."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Leaks:
    """Compare a training list with test lists, whatever their spelling of ids; exit 2 when clips are shared."""

    train: Path
    """Training list."""
    test: tuple[Path, ...]
    """Test lists, e.g. vggss_test.csv flickr_test.csv."""
    write_clean: Path | None = None
    """Write the training list without them here, and end well."""
    debug: bool = False
    """Show a traceback with an error."""


class _Progress:
    """A live line on a terminal, one line every 10 s elsewhere; failures are named when they come."""

    def __init__(self) -> None:
        self.tty = sys.stderr.isatty()
        self.start = self.printed = time.monotonic()

    def __call__(self, outcome: Outcome, report: Report) -> None:
        if outcome.error and len(report.failed) <= SHOWN:
            print(f"{chr(13) if self.tty else ''}{outcome.id}: {outcome.error}", file=sys.stderr)
        done, now = report.done_now + len(report.failed), time.monotonic()
        left = report.found - report.done_before - done
        if now - self.printed < (0.2 if self.tty else LINE_EVERY_S) and left:
            return
        self.printed = now
        rate = done / max(now - self.start, 1e-9)
        shown = f"{done + report.done_before}/{report.found} videos  {len(report.failed)} failed  {rate:.1f}/s"
        line = f"{shown}  ETA {left / rate:.0f} s"
        print(
            f"\r{line}\x1b[K" if self.tty else line, end="" if self.tty and left else "\n", file=sys.stderr, flush=True
        )


def prepare(args: Prepare) -> int:
    """Run it and say what was done, what failed and what is missing."""
    from .data.lists import read_list
    from .data.prepare_all import parse_shard, prepare_all

    listed = read_list(args.list).ids if args.list else None
    report = prepare_all(
        args.videos,
        args.out,
        args.at,
        parse_shard(args.shard),
        args.workers,
        listed,
        _Progress(),
        args.tar,
        args.engine,
    )
    print(f"{report.done_now} prepared, {report.done_before} were there, {len(report.failed)} failed")
    for name, ids in (("failed", list(report.failed)), ("missing (listed, no video)", report.missing)):
        if ids:
            print(f"{len(ids)} {name}: {' '.join(ids[:SHOWN])}{' ...' if len(ids) > SHOWN else ''}")
    if report.unlisted:
        print(f"{report.unlisted} videos are not on the list and were left alone")
    print(f"report: {args.out}/report-{args.shard.replace('/', '-of-')}.json")
    return 0


def leaks(args: Leaks) -> int:
    """Print what is shared."""
    from .data.leaks import check_leaks, find_leaks, without_leaks
    from .data.lists import read_list

    train = read_list(args.train).ids
    tests = {path.name: read_list(path).ids for path in args.test}
    print(json.dumps(find_leaks(train, tests).as_dict(), indent=1))
    if args.write_clean is None:
        check_leaks(train, tests)
        return 0
    kept = without_leaks(train, tests)
    args.write_clean.write_text("\n".join(kept) + "\n", encoding="utf-8")
    print(f"{args.write_clean}: {len(kept)} of {len(train)} ids")
    return 0
