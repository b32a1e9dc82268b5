"""What the user sees: a line a stage while it runs, a table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .options import ExportReport
from .verify import MapErrors


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
    for name in ("MB", "worst", "mean", "corr.", "moved", "in box", "ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in report.parts:
        megabytes = f"{part.num_bytes / 1e6:.2f}"
        table.add_row(part.file, part.precision, megabytes, *_cells(part.errors), f"{part.ms:.1f}")
    table.add_row("both", "", "", *_cells(report.both), "")
    console.print(table)
    console.print(
        "worst, mean: error of the similarity map against torch float32; corr.: its correlation; moved: clips whose "
        "peak changed cell; in box: peaks on the sounding object, and the change against torch; ms: median, this CPU. "
        f"Clips: {report.material}",
        style="dim",
    )
    if any(part.precision == "fp16" for part in report.parts):
        console.print("fp16 on this CPU is a storage format: half the bytes, computed as fp32", style="dim")
    for note in report.notes:
        console.print(f"note: {note}", style="yellow")


def _cells(errors: MapErrors) -> list[str]:
    correlation = "flat" if errors.correlation is None else f"{errors.correlation:.4f}"
    hits = "-"
    if errors.peak_in_box is not None and errors.peak_in_box_torch is not None:
        hits = f"{errors.peak_in_box:.0%} {errors.peak_in_box - errors.peak_in_box_torch:+.0%}"
    moved = f"{errors.peak_moved}/{errors.clips}"
    return [f"{errors.worst:.1e}", f"{errors.mean:.1e}", correlation, moved, hits]


def _finish(progress: Progress) -> None:
    for task in progress.tasks:
        if not task.finished:
            progress.update(task.id, completed=1)
