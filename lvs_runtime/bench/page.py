"""One self-contained HTML page of a report: the table, the plots as SVG, and all the JSON. Opens from a disk."""

from __future__ import annotations

import html
import json
from typing import Any

from . import table

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
pre { background: #f6f8fa; padding: .8rem; overflow-x: auto; font-size: 12px; line-height: 1.45; border-radius: 6px; }
.lead { font-size: 1.05rem; } .warn { background: #fff8c5; padding: .5rem .8rem; border-radius: 6px; }
figure { margin: 1rem 0; overflow-x: auto; } svg { max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dt { color: #57606a; } dd { margin: 0; }
"""


def page(report: dict[str, Any], plots: dict[str, str]) -> str:
    """The page; `plots` are SVG elements by name."""
    title = f"lvs-bench {report['topic']}"
    warnings = [
        text
        for on, text in (
            (report["partial"], "Interrupted: what was measured until then stands."),
            (report["disturbed"], "Other work on this machine made the run wait for a CPU: read it as an upper bound."),
        )
        if on
    ]
    figures = "".join(f"<figure>{svg}</figure>" for svg in plots.values())
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>" for name, value in _facts(report))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<h1>{title}</h1><p class="lead">{html.escape(_lead(report))}</p>'
        + "".join(f'<p class="warn">{html.escape(text)}</p>' for text in warnings)
        + f"<h2>Plots</h2>{figures or '<p>none</p>'}"
        + f"<h2>Figures</h2><pre>{html.escape(chr(10).join(table.as_lines(report)))}</pre>"
        + f"<h2>Where and with what</h2><dl>{facts}</dl>"
        + "<details><summary>Everything, as JSON</summary>"
        + f"<pre>{html.escape(json.dumps(report, indent=1))}</pre></details></body></html>\n"
    )


def _lead(report: dict[str, Any]) -> str:
    if "age_ms" in report:
        age, frames = report["age_ms"], report["frames"]
        return (
            f"Age of a result when it is handed over: p50 {_ms(age['p50'])}, p95 {_ms(age['p95'])}, p99 "
            f"{_ms(age['p99'])}, max {_ms(age['max'])}; {frames['dropped']} of {frames['offered']} frames dropped."
        )
    if report["topic"] == "single":
        total = report["stages"]["total"]
        return f"One localization, nothing waiting: p50 {_ms(total['p50_ms'])}, p95 {_ms(total['p95_ms'])}."
    return report["comparison"]["verdict"] if report["topic"] == "compare" else "Figures below."


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f} ms"


def _facts(report: dict[str, Any]) -> list[tuple[str, Any]]:
    where, used = report["machine"], report["resources"]
    software = {name: version for name, version in report["software"].items() if name != "environment"}
    return [
        ("CPU", f"{where['cpu']}, {where['cores']} cores, {', '.join(where['flags'])}"),
        ("virtual", where["virtualized"]),
        ("memory", f"{where['mem_gb']} GB"),
        ("GPU", where["gpu"] or "none"),
        ("system", f"{where['os']}, kernel {where['kernel']}"),
        ("governor", where["governor"] or "unknown"),
        ("load", f"{used['load_1min_start']} to {used['load_1min_end']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in software.items())),
        ("commit", f"{report['git_commit'] or 'unknown'}{' with changes' if report['dirty'] else ''}"),
        ("command", " ".join(report["command"])),
        ("when", report["started_utc"]),
    ]
