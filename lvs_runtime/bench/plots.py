"""Pictures of a run: how ages are distributed, when what happened, where the time goes, what holds under load."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from .rows import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, BLUE, RED, GREY = "#1c2733", "#1f6feb", "#d1242f", "#8c959f"
STAGE_COLOURS = ("#8c959f", "#54aeff", "#1f6feb", "#2da44e", "#bf8700", "#d1242f", "#8250df")
AXIS_NAMES = {"audio_hz": "sound, times a second", "audio_s": "sound window, s", "size": "resolution"}
Floats = npt.NDArray[np.float64]


def figure(width: float = 8.0, height: float = 4.2) -> Figure:
    """An empty matplotlib figure that needs no display; `ConfigError` where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot: needs matplotlib, which is not installed: pip install 'lvs[plots]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def cdf(named: dict[str, Floats], deadline_ms: float | None = None, title: str = "Age of results") -> Figure:
    """Share of samples at or below each value; nothing is cut off, the axis is logarithmic where that is wide."""
    made = figure()
    axes = made.subplots()
    for name, values in named.items():
        if len(values):
            ordered = np.sort(values)
            axes.step(
                ordered, np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=f"{name} (n={len(values)})"
            )
    everything = np.concatenate([v for v in named.values() if len(v)] or [np.ones(1)])
    if everything.min() > 0 and everything.max() / everything.min() > 20:
        axes.set_xscale("log")
    if deadline_ms is not None:
        axes.axvline(deadline_ms, color=RED, linestyle="--", linewidth=1, label=f"deadline {deadline_ms:g} ms")
    axes.set(xlabel="ms", ylabel="share of samples", title=title, ylim=(0, 1.01))
    return _finish(made, axes)


def timeline(rows: Rows, dropped: dict[tuple[int, int], tuple[int, str]], start_ns: int, deadline_ms: float) -> Figure:
    """Every result's age at its moment, and every dropped frame as a mark on the floor."""
    made = figure()
    axes = made.subplots()
    axes.plot((rows["out_ns"] - start_ns) / 1e9, rows.age_ms, ".", markersize=3, color=BLUE, label="age of a result")
    if dropped:
        lost = [(due_ns - start_ns) / 1e9 for due_ns, _ in dropped.values()]
        axes.plot(lost, np.zeros(len(lost)), "|", color=RED, markersize=9, label=f"dropped ({len(lost)})")
    axes.axhline(deadline_ms, color=GREY, linestyle="--", linewidth=1, label=f"deadline {deadline_ms:g} ms")
    axes.set(xlabel="s", ylabel="ms", title="Timeline")
    axes.set_ylim(bottom=min(0.0, float(rows.age_ms.min()) if len(rows) else 0.0) - 1)
    return _finish(made, axes)


def waterfall(stages: dict[str, Any], title: str = "Where the time goes") -> Figure:
    """p50 of each stage after the other, p95 as a thin line from the same start."""
    shown = [
        (name, figures)
        for name, figures in stages.items()
        if name not in ("total", "audio_encoder") and figures["p50_ms"] is not None
    ]
    made = figure(8.0, 1.4 + 0.4 * len(shown))
    axes = made.subplots()
    left = 0.0
    for place, (_, figures) in enumerate(shown):
        colour = STAGE_COLOURS[place % len(STAGE_COLOURS)]
        axes.barh(place, figures["p50_ms"], left=left, color=colour, height=0.6)
        if figures["p95_ms"] is not None:
            axes.plot([left, left + figures["p95_ms"]], [place, place], color=INK, linewidth=1.2)
        axes.annotate(
            f"{figures['p50_ms']:.2f}", (left + figures["p50_ms"], place), (4, 8), textcoords="offset points",
            fontsize=8, va="center",
        )  # fmt: skip
        left += figures["p50_ms"]
    axes.set_yticks(range(len(shown)), [name for name, _ in shown])
    axes.invert_yaxis()
    axes.set(xlabel="ms (bar: p50, line: p95 from the same start)", title=title)
    return _finish(made, axes, legend=False)


def heat(rows: list[dict[str, Any]], across: list[str], budget_ms: float) -> Figure:
    """p95 age over fps and the other axes that vary; a cell says its value, and "x" where it does not hold.

    Where results were too few for a p95, the cell is white and says p50, or n/a.
    """
    columns = sorted({row["fps"] for row in rows})

    def name(row: dict[str, Any]) -> str:
        return ", ".join(_named(axis, row[axis], alone=len(across) == 1) for axis in across)

    lines = list(dict.fromkeys(name(row) for row in rows))
    grid = np.full((len(lines), len(columns)), np.nan)
    marks: dict[tuple[int, int], str] = {}
    for row in rows:
        at = lines.index(name(row)), columns.index(row["fps"])
        p95 = row["age_ms"]["p95"]
        grid[at] = np.nan if p95 is None else p95
        sign = "" if row["every_frame"] else " drops" if row["freshest_frame"] else " x"
        p50 = row["age_ms"].get("p50")
        few = "n/a" if p50 is None else f"p50 {p50:.0f} x"
        marks[at] = few if p95 is None else f"{p95:.0f}{sign}"
    widest = max(len(line) for line in lines)
    made = figure(2.2 + 1.0 * len(columns) + 0.09 * widest, 1.6 + 0.55 * len(lines))
    axes = made.subplots()
    image = axes.imshow(grid, aspect="auto", cmap="RdYlGn_r", vmin=0, vmax=2 * budget_ms)
    for (y, x), text in marks.items():
        axes.text(x, y, text, ha="center", va="center", fontsize=8, color=INK)
    axes.set_xticks(range(len(columns)), [f"{fps:g}" for fps in columns])
    axes.set_yticks(range(len(lines)), lines)
    axes.set(
        xlabel="frames a second and camera",
        ylabel=AXIS_NAMES.get(across[0], across[0]) if len(across) == 1 else "",
        title=f"p95 age, ms (budget {budget_ms:g} ms)",
    )
    made.colorbar(image, ax=axes, extend="max")
    return made


def _named(axis: str, value: Any, alone: bool) -> str:
    text = "as time allows" if axis == "audio_hz" and value is None else str(value)
    return (
        text if alone or axis in ("bundle", "precision", "device", "size") else f"{AXIS_NAMES.get(axis, axis)} {text}"
    )


def load(points: list[dict[str, Any]], title: str = "Age against load") -> Figure:
    """Measured age against rho = service / period, with what queueing predicts."""
    made = figure()
    axes = made.subplots()
    points = sorted(points, key=lambda p: p["rho"])
    rho = [p["rho"] for p in points]
    for key, colour in (("p50", BLUE), ("p95", RED)):
        axes.plot(rho, [p[f"age_{key}_ms"] for p in points], "o", color=colour, label=f"measured {key}")
        axes.plot(rho, [p[f"predicted_{key}_ms"] for p in points], "--", color=colour, label=f"two numbers, {key}")
        axes.plot(rho, [p[f"simulated_{key}_ms"] for p in points], ":", color=colour, label=f"simulated {key}")
    axes.axvline(1.0, color=GREY, linewidth=1)
    axes.set_xscale("log")
    drops = axes.twinx()
    drops.plot(rho, [100 * p["drop_share"] for p in points], "x", color=GREY)
    drops.set(ylabel="dropped, % (x)", ylim=(0, 100))
    axes.set(xlabel="load: service time / frame period", ylabel="age, ms", title=title)
    axes.set_ylim(bottom=0)
    return _finish(made, axes)


def svg(made: Figure) -> str:
    """The figure as an SVG element, the same bytes each time."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "lvs", "svg.fonttype": "path"}):
        made.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def png(made: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def of_session(report: dict[str, Any], rows: Rows, dropped: dict[Any, Any], start_ns: int) -> dict[str, Figure]:
    """The plots of an open-loop run by name."""
    deadline_ms = report["frames"]["deadline_ms"]
    ages = {"age at hand-over": rows.age_ms}
    return {
        "cdf": cdf(ages, deadline_ms),
        "timeline": timeline(rows, dropped, start_ns, deadline_ms),
        "stages": waterfall(report["stages"]),
    }


def of_single(report: dict[str, Any], stages_ms: dict[str, list[float]]) -> dict[str, Figure]:
    """The plots of a closed loop by name."""
    named = {name: np.array(values) for name, values in stages_ms.items()}
    return {"cdf": cdf(named, title="Cost of each stage"), "stages": waterfall(report["stages"])}


def _finish(made: Figure, axes: Any, legend: bool = True) -> Figure:
    axes.grid(True, color="#d0d7de", linewidth=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if legend:
        made.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)  # never over the data
    return made
