"""What `lvs-export inspect | verify | diff` print on a terminal: at most 80 columns wide where the words allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lvs_runtime.bundle import Bundle

from .bundle_runs import Check

PARTS = ("image", "audio", "fused", "both")


def table(*columns: str, left: int = 1) -> Table:
    """An empty table of the house's look; the first `left` columns hold words, the others figures."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for number, name in enumerate(columns):
        made.add_column(name, justify="left" if number < left else "right", overflow="fold")
    return made


def print_inspection(bundle: Bundle, facts: Mapping[str, Any]) -> None:
    """A checked bundle."""
    console = Console(highlight=False, soft_wrap=True)
    total = sum(entry.bytes for entry in bundle.manifest.files.values())
    console.print(f"[bold]{escape(bundle.name)}[/]  {total / 1e6:.1f} MB, for {facts.get('target', 'cpu')}, schema "
                  f"{facts['schema']}, lvs {facts.get('lvs_version', '?')}, {facts.get('created', '?')}")  # fmt: skip
    rows = table("part", "precision", "input", "output", "opset/IR", "MB", left=4)
    for part in facts["parts"].values():
        inputs = [part["input"]] if part.get("input") else part["inputs"]
        given = "\n".join(f"{i['name']} {i['dtype']} {_shape(i['shape'])}" for i in inputs)
        megabytes = f"{bundle.manifest.files[part['file']].bytes / 1e6:.2f}"
        versions = f"{part.get('opset', '?')}/{part.get('ir', '?')}"
        output = f"{_shape(part['output']['shape'])}"
        rows.add_row(escape(part["file"]), part["precision"], given, output, versions, megabytes)
    console.print(rows)
    for kind, parts in facts.get("engines", {}).items():
        for part, entry in parts.items():
            where = " ".join(str(entry[key]) for key in ("gpu", "compute_capability") if key in entry)
            console.print(escape(f"{kind} {part}: {entry.get('library')} {entry.get('version')} {where}".rstrip()))
    audio = bundle.audio
    console.print(
        f"sound     {audio.sample_rate} Hz, trained on {audio.seconds:g} s, live window {bundle.live_seconds:g} s"
    )
    console.print("boxes     " + ", ".join(f"{name} {value:g}" for name, value in bundle.thresholds.items()))
    both = facts.get("parity", {}).get("map_errors", {}).get("both")
    if both:
        console.print(
            f"parity    worst {both['worst']:.1e}, mean {both['mean']:.1e}, correlation {both['correlation']}"
        )
        console.print(escape(f"          {facts['parity'].get('clips', '')}"))
    console.print(escape(f"licence   {facts.get('licence') or 'not stated'}"))
    console.print(
        f"checked   {len(bundle.manifest.files)} files: names, sizes, sha256, operators, claims of the weights"
    )


def print_checks(bundle: Bundle, checks: Sequence[Check], metric: Mapping[str, Any], ms: Mapping[str, float]) -> None:
    """The checks of one bundle."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{escape(bundle.name)}[/] on {metric['clips']} clips")
    rows = table("check", "found", "", left=3)
    for check in checks:
        rows.add_row(escape(check.name), escape(check.found), "[green]ok[/]" if check.passed else "[red]FAILED[/]")
    console.print(rows)
    if metric["clips_with_box"]:
        console.print(
            f"on {metric['clips_with_box']} clips with a box: peak in box {metric['peak_in_box']:.1%}, "
            f"cIoU {metric['ciou']:.1%}"
        )
    console.print("ms on this CPU: " + ", ".join(f"{part} {value:.1f}" for part, value in ms.items()))


def print_difference(facts: Mapping[str, Any]) -> None:
    """Two bundles."""
    console = Console(highlight=False, soft_wrap=True)
    first, second = facts["first"], facts["second"]
    if facts["manifest"]:
        rows = table("manifest", first, second, left=3)
        for name, (one, two) in facts["manifest"].items():
            rows.add_row(escape(name), escape(_short(one)), escape(_short(two)))
        console.print(rows)
    rows = table("maps", "worst", "mean", "corr.", "moved")
    for part in PARTS:
        if part in facts["map_errors"]:
            found = facts["map_errors"][part]
            correlation = "flat" if found["correlation"] is None else f"{found['correlation']:.4f}"
            moved = f"{found['peak_moved']}/{found['clips']}"
            rows.add_row(part, f"{found['worst']:.1e}", f"{found['mean']:.1e}", correlation, moved)
    console.print(rows)
    rows = table("", first, second)
    rows.add_row("MB", *(f"{size / 1e6:.1f}" for size in facts["bytes"]))
    for name in ("peak_in_box", "ciou"):
        values = [metric[name] for metric in facts["metric"]]
        if None not in values:
            rows.add_row(name.replace("_", " "), *(f"{value:.1%}" for value in values))
    for part in PARTS:
        if any(part in ms for ms in facts["ms"]):
            rows.add_row(f"{part} ms", *(f"{ms[part]:.1f}" if part in ms else "-" for ms in facts["ms"]))
    console.print(rows)


def _shape(shape: Sequence[int | str]) -> str:
    return "x".join(map(str, shape))


def _short(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
