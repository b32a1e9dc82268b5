"""`lvs-localize`: recordings in, tables out; as many as there are, as fast as the machine goes."""

from __future__ import annotations

import contextlib
import json as json_module
import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ..errors import ConfigError
from .common import EXIT_LOST, EXIT_OK, run_cli


@dataclass(kw_only=True)
class Localize:
    """Analyse recordings: which pixels make the sound, for every half second of thousands of videos.

    lvs-localize videos/ --out results/ and then: SELECT * FROM 'results/frames/*/*.parquet' (DuckDB).

    Run it again after anything: only what is missing is made. Exit codes: 0 done, 1 some recordings failed (see column
    `error` of results/files), 2 something to repair.
    """

    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="INPUT")]
    """Files, folders, globs, @list.txt, .tar shards (webdataset), .mcap recordings, s3://... (fsspec)."""
    out: str
    """Folder (or s3://...) of the tables; made where it is missing."""
    every: float = 0.5
    """Seconds between two analysed pictures."""
    bundle: Path | None = None
    """Folder of a model bundle (default: the shipped one)."""
    device: str = "cpu"
    """Where the model runs; lvs-doctor lists what is usable."""
    engine: str = "local"
    """local (processes of this machine), ray (its cluster, or one for this job) or ray://HOST:PORT."""
    workers: int | None = None
    """Processes (default: one for each core; 0: none but this one). With ray: recordings at once."""
    audio_seconds: float | None = None
    """Length of the audio window (default: the bundle's live window)."""
    audio_hop: float | None = None
    """Seconds of pictures that share one audio window (default: 0, each its own; 0.25 where --every is smaller)."""
    align: str = "centre"
    """centre: the picture lies in the middle of its audio window; end: at its end, as in a live session."""
    overlay: int = 0
    """Draw the N most and the N least confident recordings: overlay/*.mp4 and overlay/index.html."""
    remake: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make anew what an output folder holds of another bundle or other settings."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print a summary as JSON on stdout."""
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """No progress lines; failures are still named."""
    debug: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show tracebacks and everything the libraries print."""


def localize(args: Localize) -> int:
    """Run the job; returns the exit code."""
    from ..archive.engine import parse_engine
    from ..archive.job import GPU_SHARE, Job, make_settings
    from ..archive.progress import Progress

    if not 0 <= args.overlay <= 1000:
        raise ConfigError(f"--overlay {args.overlay}: want 0 to 1000 recordings")
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING, format="%(message)s", stream=sys.stderr)
    _quiet_ffmpeg(args.debug)
    engine = parse_engine(args.engine, args.workers, GPU_SHARE if args.device == "cuda" else 0.0)
    settings = make_settings(
        out=args.out,
        every_s=args.every,
        bundle=None if args.bundle is None else str(args.bundle),
        device=args.device,
        audio_seconds=args.audio_seconds,
        audio_hop=args.audio_hop,
        align=args.align,
    )
    job = Job(list(args.inputs), settings, engine, remake=args.remake)
    progress = Progress(quiet=args.quiet)
    signal.signal(signal.SIGTERM, _as_interrupt)
    with contextlib.redirect_stdout(sys.stderr):  # Ray prints news of its nodes there; stdout is for --json
        for result in job.run():
            progress.add(result, job.found, job.listed)
    progress.end(job.found)
    summary = progress.totals.as_dict()
    if args.overlay:
        from ..archive.overlay import draw_extremes

        summary["overlay"] = draw_extremes(settings, args.overlay)
        if not args.quiet and summary["overlay"]:
            print(f"overlay: {summary['overlay']}", file=sys.stderr)
    if args.json:
        print(json_module.dumps(summary, indent=1))
    if progress.totals.failed:
        print(f"{progress.totals.failed} of {progress.totals.files} recordings failed", file=sys.stderr)
    return EXIT_LOST if progress.totals.failed else EXIT_OK


def _as_interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _quiet_ffmpeg(debug: bool) -> None:
    """FFmpeg's own lines repeat what the column `error` says."""
    if not debug:
        logging.getLogger("libav").setLevel(logging.CRITICAL)


def main() -> None:
    """Entry point of `lvs-localize`."""
    run_cli(lambda: localize(tyro.cli(Localize, prog="lvs-localize")))


if __name__ == "__main__":
    main()
