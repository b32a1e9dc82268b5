"""The ablation's table from its results: a section for each set of settings, rows compared with "full" seed by seed."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MEASURES = ("peak_in_tile", "swap_follows", "control_image_only", "mean_iou_adaptive", "auroc_absent")
Result = dict[str, Any]


def write_tables(folder: Path, order: Sequence[str]) -> str:
    """Read every JSON of `folder`, write its table.md whole or not at all, return the text."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        groups[json.dumps(result["settings"], sort_keys=True)].append(result)
    text = "\n".join(_section(json.loads(key), results, order) for key, results in sorted(groups.items()))
    temporary = folder / ".table.md.tmp"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(folder / "table.md")
    return text


def _section(settings: Result, results: list[Result], order: Sequence[str]) -> str:
    full = {r["seed"]: r for r in results if r["row"] == "full"}
    head = ", ".join(f"{k} {v}" for k, v in settings.items())
    lines = [
        f"{head}. {min(r['date'] for r in results)} to {max(r['date'] for r in results)}.",
        "",
        f"| row | seeds | {' | '.join(MEASURES)} | peak less full's, seed by seed | CPU-s a run |",
        "|---" * (len(MEASURES) + 4) + "|",
    ]
    for name in order:
        rows = [r for r in results if r["row"] == name]
        if rows:
            cells = [_spread([r[m] for r in rows]) for m in MEASURES]
            gains = [r["peak_in_tile"] - full[r["seed"]]["peak_in_tile"] for r in rows if r["seed"] in full]
            gain = _spread(gains, "+") if gains and name != "full" else ""
            cpu = f"{statistics.mean(r['cpu_s'] for r in rows):.0f}"
            lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} | {gain} | {cpu} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], sign: str = "") -> str:
    """Mean, and smallest to largest when there are several."""
    shown = f"{statistics.mean(values):{sign}.3f}"
    return shown if len(values) < 2 else f"{shown} ({min(values):{sign}.3f} to {max(values):{sign}.3f})"
