"""What the user sees: a line a stage while it runs, a table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .maps import MapErrors
from .options import ExportReport


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """A function that shows the running stage with its time on stderr; silent where that is no terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(finished_text="[green]ok"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def stage(text: str) -> None:
            _finish(progress)
            progress.add_task(text, total=1)

        yield stage
        _finish(progress)


def print_report(report: ExportReport) -> None:
    """The closing table on stdout."""
    console = Console()
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1),
        collapse_padding=True,
        title=f"{report.path}  ({report.total_bytes / 1e6:.1f} MB)",
        title_justify="left",
    )
    for name in ("part", "precision"):
        table.add_column(name, no_wrap=True)
    for name in ("MB", "worst", "mean", "corr.", "in box", "cIoU", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in report.parts:
        megabytes = f"{part.num_bytes / 1e6:.2f}"
        precision = f"{part.precision} -{part.kept_in_float}" if part.kept_in_float else part.precision
        table.add_row(part.file, precision, megabytes, *_cells(part.errors), f"{part.ms:.1f}")
    table.add_row("both", "", "", *_cells(report.both), "")
    console.print(table)
    console.print(
        "worst, mean: error of the similarity map against torch float32; corr.: its correlation; in box: peaks on the "
        "sounding object, cIoU: mean overlap (percent, and the change against torch); ms: median, this CPU; "
        "-n: so many convolutions kept in float. "
        f"Clips: {report.material}",
        style="dim",
    )
    if any(part.precision == "fp16" for part in report.parts):
        console.print("fp16 on this CPU is a storage format: half the bytes, computed as fp32", style="dim")
    for note in report.notes:
        console.print(f"note: {note}", style="yellow")


def _cells(errors: MapErrors) -> list[str]:
    correlation = "flat" if errors.correlation is None else f"{errors.correlation:.4f}"
    hits = _share(errors.peak_in_box, errors.peak_in_box_torch)
    overlap = _share(errors.ciou, errors.ciou_torch)
    return [f"{errors.worst:.1e}", f"{errors.mean:.1e}", correlation, hits, overlap]


def _share(now: float | None, before: float | None) -> str:
    """Percent and the change in points."""
    return "-" if now is None or before is None else f"{100 * now:.0f} {100 * (now - before):+.0f}"


def _finish(progress: Progress) -> None:
    for task in progress.tasks:
        if not task.finished:
            progress.update(task.id, completed=1)
