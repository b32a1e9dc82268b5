"""The highest load that holds: every combination of rates, sizes, threads, models and cameras, each run as `camera`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import camera
from .analysis import count_reasons
from .percentiles import summary
from .sessions import SessionRun

if TYPE_CHECKING:
    from ..localizer import Localizer

MOST_DROPPED = 0.01  # "every frame" allows one frame in a hundred to be lost
LEAST_FRAMES = 115  # p95 is told from 100 results on
AXES = ("bundle", "precision", "device", "threads", "size", "audio_hz", "audio_s", "cameras", "fps")


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is varied; a single value of an axis keeps it fixed."""

    fps: tuple[float, ...] = (15.0, 30.0, 60.0)
    sizes: tuple[tuple[int, int], ...] = ((640, 360),)
    threads: tuple[int | None, ...] = (None,)
    audio_hz: tuple[float | None, ...] = (None,)
    audio_s: tuple[float | None, ...] = (None,)
    cameras: tuple[int, ...] = (1,)
    bundles: tuple[Path | None, ...] = (None,)
    devices: tuple[str, ...] = ("cpu",)
    seconds: float = 5.0
    budget_ms: float = 50.0

    @property
    def cells(self) -> int:
        """How many runs that is."""
        axes = (self.fps, self.sizes, self.threads, self.audio_hz, self.audio_s, self.cameras, self.bundles)
        return math.prod(len(axis) for axis in (*axes, self.devices))

    def seconds_of(self, fps: float, cameras: int) -> float:
        """How long one cell is run: `seconds`, more where fewer than `LEAST_FRAMES` would come."""
        return max(self.seconds, LEAST_FRAMES / (fps * cameras))

    @property
    def total_s(self) -> float:
        """About how long everything takes, warm-up and opening included."""
        others = self.cells // (len(self.fps) * len(self.cameras))
        return others * sum(self.seconds_of(fps, n) + 1.5 for fps in self.fps for n in self.cameras)


def run(
    grid: Grid, open_localizer: Callable[[Path | None, str, int | None], Localizer], say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """One row a cell, as they are done; `say` gets a line of progress each."""
    for bundle, device, threads in itertools.product(grid.bundles, grid.devices, grid.threads):
        localizer = open_localizer(bundle, device, threads)
        for size, hz, window_s, cameras in itertools.product(grid.sizes, grid.audio_hz, grid.audio_s, grid.cameras):
            for fps in grid.fps:
                plan = camera.CameraPlan(
                    fps=fps, seconds=grid.seconds_of(fps, cameras), size_px=size, streams=cameras, audio_rate_hz=hz,
                    audio_seconds=window_s,
                )  # fmt: skip
                done = camera.run(localizer, plan, camera.material(plan))
                row = cell(localizer, plan, done, grid.budget_ms)
                say(_line(row))
                yield row
                if done.partial:
                    return


def cell(localizer: Localizer, plan: camera.CameraPlan, done: SessionRun, budget_ms: float) -> dict[str, Any]:
    """What one combination came to."""
    ages = done.rows.age_ms
    figures = summary(ages, unit="")
    dropped = sum(count_reasons(done.dropped).values())
    share = dropped / done.offered if done.offered else None
    p95 = figures["p95"]
    fresh = p95 is not None and p95 <= budget_ms
    return {
        "bundle": localizer.bundle.name,
        "precision": localizer.precision,
        "device": localizer.device,
        "provider": localizer.provider,
        "threads": localizer.backend.describe().get("threads"),
        "size": f"{plan.size_px[0]}x{plan.size_px[1]}",
        "audio_hz": plan.audio_rate_hz,
        "audio_s": plan.audio_seconds or localizer.bundle.live_seconds,
        "cameras": plan.streams,
        "fps": plan.fps,
        "offered": done.offered,
        "processed": len(ages),
        "drop_share": None if share is None else round(share, 4),
        "results_hz": round(len(ages) / plan.streams / plan.seconds, 2) if not done.partial else None,
        "age_ms": figures,
        "freshest_frame": fresh,
        "every_frame": fresh and share is not None and share <= MOST_DROPPED,
    }


def highest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each combination beside fps: the highest fps that held, by both meanings of holding (None: none did)."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[axis] for axis in AXES if axis != "fps"), []).append(row)
    return [
        {
            **{axis: members[0][axis] for axis in AXES if axis != "fps"},
            "every_frame_fps": max((m["fps"] for m in members if m["every_frame"]), default=None),
            "freshest_frame_fps": max((m["fps"] for m in members if m["freshest_frame"]), default=None),
        }
        for members in groups.values()
    ]


def varied(rows: list[dict[str, Any]]) -> list[str]:
    """The axes beside fps on which rows differ; "size" when on none. A bundle's name is left out where its precision
    says the same."""
    axes = [axis for axis in AXES if axis != "fps" and len({str(row[axis]) for row in rows}) > 1]
    pairs = {(row["bundle"], row["precision"]) for row in rows}
    if "precision" in axes and len(pairs) == len({precision for _, precision in pairs}):
        axes = [axis for axis in axes if axis != "bundle"]
    return axes or ["size"]


def notes(rows: list[dict[str, Any]]) -> list[str]:
    """Which combinations gave too few results to judge."""
    few = [row for row in rows if row["age_ms"]["p95"] is None]
    if not few:
        return []
    return [
        f"{len(few)} of {len(rows)} combinations gave fewer than 100 results, so no p95: too much load or too short"
    ]


def rate(audio_hz: float | None) -> str:
    """How often sound is embedded, in words."""
    return "as time allows" if audio_hz is None else f"{audio_hz:g}/s"


def _line(row: dict[str, Any]) -> str:
    p95 = row["age_ms"]["p95"]
    held = "holds" if row["every_frame"] else "fresh, with drops" if row["freshest_frame"] else "does not hold"
    return (
        f"{row['bundle']} {row['precision']} {row['device']} threads {row['threads']} {row['size']} sound "
        f"{row['audio_s']:g} s {rate(row['audio_hz'])} "
        f"cameras {row['cameras']} at {row['fps']:g} fps: p95 {'n/a' if p95 is None else f'{p95:.1f} ms'}, "
        f"dropped {100 * (row['drop_share'] or 0):.1f} %: {held}"
    )
