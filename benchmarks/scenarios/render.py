"""Performance tables from benchmarks/results/performance_<device>_<date>.json: figures are generated, not typed.

    python -m benchmarks.scenarios.render            write them between the markers
    python -m benchmarks.scenarios.render --check    exit 1 when a document says something else

README.md gets the newest result of each device side by side, docs/performance.md a whole table for each device.
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
FLAGS = {"amx_int8": "AMX", "avx512_vnni": "AVX512-VNNI", "avx2": "AVX2", "asimddp": "dot product"}


def newest(folder: Path = RESULTS) -> dict[str, Path]:
    """The newest result of each device: device -> file."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("performance_*.json"), key=lambda path: path.stem.rsplit("_", 1)[1]):
        found[path.stem.split("_", 1)[1].rsplit("_", 1)[0]] = path
    return dict(sorted(found.items()))


def side_by_side(results: dict[str, dict[str, Any]]) -> list[str]:
    """README's table: a row for each pipeline, three columns for each device, and a line on where each was measured."""
    labels = {key: row["label"] for result in results.values() for key, row in result["pipelines"].items()}
    columns = ("CPU ms a frame", "age p50 / p95, ms", "fps")
    lines = [
        "| pipeline |" + "".join(f" {device}: {columns[0]} | {columns[1]} | {columns[2]} |" for device in results),
        "|---|" + "---|---|---|" * len(results),
    ]
    for key, label in labels.items():
        cells = [_short(result["pipelines"].get(key)) for result in results.values()]
        lines.append(f"| {label} |{''.join(cells)}")
    budget = next(iter(results.values()))["budget_ms"]
    lines += [
        "",
        "CPU ms a frame: CPU time (in brackets: how many times less than the first row's). Age: of a result at 30 "
        "frames a second, from scheduled arrival to hand-over. fps: highest rate tried at which p95 of the age stays "
        f"within {budget:g} ms, without drops / with drops. Columns of different devices were measured on different "
        "days: compare within a device.",
        "",
    ]
    return [*lines, *(f"- **{device}**: {_where(result)} {_own(result)}" for device, result in results.items())]


def table(result: dict[str, Any]) -> list[str]:
    """The whole table of one device."""
    lines = [
        "| pipeline | ms a frame | CPU ms a frame | less CPU work | age at 30 fps, p50 / p95, ms | dropped | fps at "
        f"p95 ≤ {result['budget_ms']:g} ms: every frame / freshest | map against torch: worst, correlation |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(row) for row in result["pipelines"].values()),
        *(
            f"| {name} | could not run here: {why.replace('|', '/')} | | | | | | |"
            for name, why in result["failed"].items()
        ),
    ]
    skipped = [f"{name} ({why})" for name, why in result.get("skipped", {}).items()]
    if skipped:
        lines += ["", f"Not run here: {'; '.join(skipped)}."]
    return lines


def scaling(result: dict[str, Any]) -> list[str]:
    """Cameras, batches, windows and threads of one device, where the result has them."""
    lines = [
        "| cameras at 30 fps | results a second each | age p50 / p95, ms | predicted p95 | dropped | CPU ms a result |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["cameras"]:
        age = row["age_ms"]
        lines.append(
            f"| {row['cameras']} | {row['results_hz_each']:.1f} | {_ms(age['p50'])} / {_ms(age['p95'])} | "
            f"{row['simulated_p95_ms']:.1f} | {100 * row['drop_share']:.0f} % | "
            f"{10 * row['cpu_percent'] / row['results_hz']:.1f} |"
        )
    for made in result.get("scaling", []):
        batches = ", ".join(f"{row['batch']}: {row['ms_a_picture']:.1f} ms" for row in made["batch"])
        windows = ", ".join(f"{row['window_s']:g} s: {row['median_ms']:.1f} ms" for row in made["audio_window"])
        lines += [
            "",
            f"{made['provider']}, {made['precision']}: a picture in a batch of {batches}. A sound of {windows}.",
        ]
    by_threads = ", ".join(f"{row['threads']}: {_ms(row['p50_ms'])} ms" for row in result["image_threads"])
    return [*lines, "", f"A picture by CPU threads, p50: {by_threads}."]


def _where(result: dict[str, Any]) -> str:
    where, used = result["machine"], result["resources"]
    command = " ".join(["python -m benchmarks.scenarios.performance", *result["command"][1:]])
    flags = ", ".join(text for flag, text in FLAGS.items() if flag in where["flags"]) or "no known vector units"
    busy = (
        "; **other work ran on the same cores: ages, wall times and rates are upper bounds, many times too high; CPU "
        "times and their ratios hold**"
        if result["disturbed"]
        else ""
    )
    return (
        f"{where['cpu']}, {where['cores']} cores, {flags}, {where['gpu'] or 'no GPU'}; load {used['load_1min_start']} "
        f"to {used['load_1min_end']}{busy}; ONNX Runtime {result['software'].get('onnxruntime', '?')}, OpenVINO "
        f"{result['software'].get('openvino', '?')}, {result['started_utc'][:10]}, `{command}`."
    )


def _own(result: dict[str, Any]) -> str:
    own = result["session"]
    age, frames, used = own["age_ms"], own["frames"], own["resources"]
    return (
        f"The product's own session with sound at 30 fps: age p50 {_ms(age['p50'])} ms, p95 {_ms(age['p95'])} ms, "
        f"{frames['dropped']} of {frames['offered']} frames dropped, sound's end against the frame p50 "
        f"{_ms((own['skew_ms'] or {}).get('p50'))} ms; CPU {used['cpu_percent']:.0f} %, {used['rss_mb_peak']:.0f} MB; "
        f"start to first result {own['cold_start_ms']['first_result'] / 1e3:.1f} s."
    )


def _short(row: dict[str, Any] | None) -> str:
    if row is None:
        return " | | |"
    cost, age = row["cost"], row["open_30"]["age_ms"]
    less = cost["cpu_times_less"]["ratio"]
    return f" {cost['cpu_ms']:.1f} ({less:.1f}x) | {_ms(age['p50'])} / {_ms(age['p95'])} | {_rates(row)} |"


def _row(row: dict[str, Any]) -> str:
    cost, opened, parity = row["cost"], row["open_30"], row["parity"]
    ratio = cost["cpu_times_less"]
    less = f"{ratio['ratio']:.1f}x [{ratio['ci95'][0]:.1f}, {ratio['ci95'][1]:.1f}]"
    close = "no sound" if parity is None else f"{parity['max_abs']:.1e}, {parity['correlation']:.4f}"
    return (
        f"| {row['label']} | {cost['wall_ms']:.1f} | {cost['cpu_ms']:.1f} | {less} | {_ms(opened['age_ms']['p50'])} / "
        f"{_ms(opened['age_ms']['p95'])} | {100 * opened['drop_share']:.0f} % | {_rates(row)} | {close} |"
    )


def _rates(row: dict[str, Any]) -> str:
    held = row["sustainable"]
    return " / ".join("none" if held[k] is None else f"{held[k]}" for k in ("every_frame_fps", "freshest_frame_fps"))


def _ms(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f}"


def readme(files: dict[str, Path]) -> str:
    """What stands between README's markers."""
    if not files:
        return NOTHING
    results = {device: json.loads(path.read_text(encoding="utf-8")) for device, path in files.items()}
    links = ", ".join(f"[{path.name}](benchmarks/results/{path.name})" for path in files.values())
    return "\n".join(
        [*side_by_side(results), "", f"Everything: {links}; how to read it: [performance](docs/performance.md)."]
    )


def docs(files: dict[str, Path]) -> str:
    """What stands between the markers of docs/performance.md."""
    lines: list[str] = [] if files else [NOTHING]
    for device, path in files.items():
        result = json.loads(path.read_text(encoding="utf-8"))
        link = f"[{path.name}](../benchmarks/results/{path.name})"
        lines += [f"### {device}", "", f"{_where(result)} {_own(result)} Everything in {link}.", "", *table(result), "",
                  *scaling(result), ""]  # fmt: skip
    return "\n".join(lines).rstrip()


def rendered(name: str, text: str, body: str) -> str:
    """`text`, the document `name`, with `body` between its markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"{name}: want the markers {BEGIN} and {END} once each, in this order")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{body}\n{END}{rest.split(END)[1]}"


DOCUMENTS = {"README.md": readme, "docs/performance.md": docs}


def main() -> int:
    """Command line; exit 1 with --check when a document and the results disagree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    files, wrong = newest(), 0
    for name, body in DOCUMENTS.items():
        before = (ROOT / name).read_text(encoding="utf-8")
        after = rendered(name, before, body(files))
        if not args.check:
            (ROOT / name).write_text(after, encoding="utf-8")
        elif before != after:
            print(
                f"{name} does not say what {[path.name for path in files.values()]} say: make bench-table",
                file=sys.stderr,
            )
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
