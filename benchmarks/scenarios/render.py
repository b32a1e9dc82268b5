"""README's performance table from the newest benchmarks/results/performance_*.json: figures are generated, not typed.

python -m benchmarks.scenarios.render            write it between the markers
python -m benchmarks.scenarios.render --check    exit 1 when README says something else
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results"
BEGIN, END = "<!-- bench:start -->", "<!-- bench:end -->"
NOTHING = "Against what one would use instead: not measured yet, `make bench` writes it here."


def newest() -> Path | None:
    """The newest result by its date; by name where two are of one day. None: nothing was measured yet."""
    found = sorted(RESULTS.glob("performance_*.json"), key=lambda path: (path.stem.rsplit("_", 1)[1], path.stem))
    return found[-1] if found else None


def table(result: dict[str, Any], name: str) -> str:
    """The Markdown between the markers."""
    where, used, own = result["machine"], result["resources"], result["session"]
    lines = [
        "| pipeline | ms a frame | CPU ms a frame | less CPU work | age at 30 fps, p50 / p95 | dropped | fps at p95 ≤ "
        f"{result['budget_ms']:g} ms: every frame / freshest | map against torch: worst, correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in result["pipelines"].values():
        lines.append(_row(row))
    for pipeline, why in result["failed"].items():
        lines.append(f"| {pipeline} | could not run here: {why.replace('|', '/')} | | | | | | |")
    busy = (
        ", because other work ran on the same cores: **ages, wall times and rates are upper bounds, many times too "
        "high; CPU times and their ratios hold**"
        if result["disturbed"]
        else ""
    )
    command = " ".join(["python -m benchmarks.scenarios.performance", *result["command"][1:]])
    return "\n".join(
        [
            *lines,
            "",
            _session(own),
            "",
            f"{where['cpu']}, {where['cores']} cores, {_flags(where)}, {where['gpu'] or 'no GPU'}; load "
            f'{used["load_1min_start"]} to {used["load_1min_end"]}{busy}. "Less CPU work": CPU time of the first row '
            "over this row's, paired by interleaved rounds, 95 % interval. ONNX Runtime "
            f"{result['software'].get('onnxruntime', '?')}, OpenVINO {result['software'].get('openvino', '?')}, "
            f"{result['started_utc'][:10]}, `{command}`; everything in "
            f"[{name}](benchmarks/results/{name}), how to read it in [performance](docs/performance.md).",
        ]
    )


def _session(own: dict[str, Any]) -> str:
    age, frames, used = own["age_ms"], own["frames"], own["resources"]
    skew = (own["skew_ms"] or {}).get("p50")
    return (
        f"The product's own session (30 fps, 640x360, all as lvs-live does by default): age p50 {_ms(age['p50'])}, p95 "
        f"{_ms(age['p95'])}, {frames['dropped']} of {frames['offered']} frames dropped, sound's end against the frame "
        f"p50 {_ms(skew)}; CPU {used['cpu_percent']:.0f} %, {used['rss_mb_peak']:.0f} MB; start to first result "
        f"{own['cold_start_ms']['first_result'] / 1e3:.1f} s."
    )


def _row(row: dict[str, Any]) -> str:
    cost, opened, held, parity = row["cost"], row["open_30"], row["sustainable"], row["parity"]
    ratio = cost["cpu_times_less"]
    less = f"{ratio['ratio']:.1f}x [{ratio['ci95'][0]:.1f}, {ratio['ci95'][1]:.1f}]"
    close = "no sound" if parity is None else f"{parity['max_abs']:.1e}, {parity['correlation']:.4f}"
    rates = " / ".join("none" if held[k] is None else f"{held[k]}" for k in ("every_frame_fps", "freshest_frame_fps"))
    return (
        f"| {row['label']} | {cost['wall_ms']:.1f} | {cost['cpu_ms']:.1f} | {less} | {_ms(opened['age_ms']['p50'])} / "
        f"{_ms(opened['age_ms']['p95'])} | {100 * opened['drop_share']:.0f} % | {rates} | {close} |"
    )


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f} ms"


def _flags(where: dict[str, Any]) -> str:
    shown = {"avx512_vnni": "AVX512-VNNI", "amx_int8": "AMX", "avx2": "AVX2"}
    return ", ".join(text for flag, text in shown.items() if flag in where["flags"]) or "no known vector flags"


def rendered(readme: str, path: Path | None) -> str:
    """`readme` with the table of `path` between its markers; None: that there is none yet."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise SystemExit(f"README.md: want the markers {BEGIN} and {END} once each, in this order")
    head, rest = readme.split(BEGIN)
    _, tail = rest.split(END)
    body = table(json.loads(path.read_text(encoding="utf-8")), path.name) if path else NOTHING
    return f"{head}{BEGIN}\n{body}\n{END}{tail}"


def main() -> int:
    """Command line; exit 1 with --check when README and JSON disagree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    source = newest()
    after = rendered(before, source)
    if args.check:
        if before != after:
            print(f"README.md does not say what {source} says: run `make bench-table`", file=sys.stderr)
        return int(before != after)
    path.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
