"""Two results against each other: refused where that would mean nothing, warned where it means less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from . import paired
from .writing import read_report

# What must be equal for a ratio to mean anything: (path in the report, what it is called).
TOPICS = ("single", "camera", "live", "loopback")  # those that keep raw samples
MUST = (("topic",), ("run", "mode"), ("run", "input_sha256"), ("bundle", "precision"))
SHOULD = (
    ("run", "provider"),
    ("run", "threads"),
    ("run", "window_s"),
    ("run", "audio_hz"),
    ("run", "fps"),
    ("run", "width"),
    ("run", "height"),
    ("run", "streams"),
)


def check(a: dict[str, Any], b: dict[str, Any], allow_precision: bool) -> list[str]:
    """Warnings; raises `ConfigError` where two results cannot be compared."""
    for name, report in (("A", a), ("B", b)):
        if report["topic"] not in TOPICS:
            raise ConfigError(
                f"compare: {name} is a result of {report['topic']}, which keeps no raw samples; want two of "
                f"{', '.join(TOPICS)}, written with --json"
            )
    for path in MUST:
        left, right = _get(a, path), _get(b, path)
        if left != right and not (allow_precision and path == ("bundle", "precision")):
            hint = "; --across-precision compares them all the same" if path == ("bundle", "precision") else ""
            raise ConfigError(
                f"compare: {'.'.join(path)} differs: A has {_short(left)}, B has {_short(right)}{hint}. Measure both "
                "with the same mode, bundle precision and input"
            )
    warnings = []
    if _get(a, ("machine", "id_hash")) != _get(b, ("machine", "id_hash")):
        warnings.append(f"different machines, so the ratio is not of code alone: A {_machine(a)}; B {_machine(b)}")
    warnings += [
        f"{'.'.join(path)} differs: A {_short(_get(a, path))}, B {_short(_get(b, path))}"
        for path in SHOULD
        if _get(a, path) != _get(b, path)
    ]
    for name, report in (("A", a), ("B", b)):
        if report.get("disturbed"):
            warnings.append(f"{name} was disturbed by other work on its machine")
        if report.get("partial"):
            warnings.append(f"{name} was interrupted")
    warnings.append("measured one after the other: such runs of identical code differ by some percent; see --paired")
    return warnings


def compare(path_a: Path, path_b: Path, across_precision: bool = False) -> dict[str, Any]:
    """The `comparison` block: p50 and p95 of B over A with block-bootstrap intervals."""
    a, b = read_report(path_a), read_report(path_b)
    warnings = check(a, b, across_precision)
    left, right = samples(path_a, a), samples(path_b, b)
    rows = {}
    for percent, needed in ((50, 20), (95, 100)):
        if min(len(left), len(right)) < needed:
            warnings.append(f"p{percent}: n/a ({min(len(left), len(right))} samples, needs {needed})")
            continue
        block = max(5, round(min(len(left) / a["seconds"], len(right) / b["seconds"])))  # about a second's worth
        rows[f"p{percent}"] = paired.block_bootstrap_ratio(left, right, percent, block)
    return {
        "what": "total" if a["topic"] == "single" else "age",
        "a": path_a.name,
        "b": path_b.name,
        **{name: ratio.as_dict() for name, ratio in rows.items()},
        "verdict": paired.verdict(rows["p50"], None) if "p50" in rows else "too few samples",
        "warnings": warnings,
    }


def samples(path: Path, report: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Ages (or totals of a closed loop) in ms, in the order measured, from the JSONL beside the report."""
    stated = report.get("samples")
    if not stated:
        raise ConfigError(f"{path}: has no raw samples; run lvs-bench again with --json, which writes them beside it")
    file = path.parent / Path(stated["file"]).name
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: its samples {file} cannot be read ({error.strerror}); keep them together"
        ) from error
    lines = [json.loads(line) for line in text.splitlines()]
    done = [line for line in lines if line.get("drop") is None]
    if report["topic"] == "single":
        return np.array([line["total_ms"] for line in done], np.float64)
    return np.array([(line["out_ns"] - line["due_ns"]) / 1e6 for line in done], np.float64)


def _get(report: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = report
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _machine(report: dict[str, Any]) -> str:
    where = report["machine"]
    flags = ", ".join(where.get("flags", [])) or "no known vector units"
    return f"{where.get('cpu')}, {where.get('cores')} cores ({flags}), {where.get('gpu') or 'no GPU'}"


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
