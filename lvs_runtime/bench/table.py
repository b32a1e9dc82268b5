"""A report as lines for the terminal. What is missing is said as n/a; nothing is clipped."""

from __future__ import annotations

from typing import Any

from .sweep import rate

KEYS = ("p50", "p90", "p95", "p99", "max")


def as_lines(report: dict[str, Any]) -> list[str]:
    """The lines of a report of any topic."""
    lines = [*_where(report), ""]
    if report["topic"] == "sweep":
        lines += sweep_lines(report)
    elif report["topic"] == "accuracy":
        lines += accuracy_lines(report["rows"])
    elif report["topic"] == "compare":
        lines += compare_lines(report["comparison"])
    else:
        lines += _measured(report)
    return [*lines, *_ends(report)]


def _where(report: dict[str, Any]) -> list[str]:
    where = report["machine"]
    lines = [f"{where['cpu']}, {where['cores']} cores, {where['gpu'] or 'no NVIDIA GPU'}; {where['os']}"]
    bundle, run = report.get("bundle"), report.get("run")
    if bundle and run:
        precision = run.get("precision") or bundle["precision"].get("image")
        lines.append(
            f"bundle {bundle['name']} ({bundle['sha256'][:12]}), {precision}, {run['provider']}, "
            f"threads {run['threads']}; {_size(run)}, {run['window_s']:g} s of sound"
        )
        lines += [_source(source) for source in run.get("sources", [])]
        loop = "open loop" if run.get("open_loop") else "closed loop"
        rate = f" at {run['fps']:g} fps, {run['streams']} camera(s)" if run.get("fps") else ""
        lines.append(
            f"{report['topic']}: {loop}{rate}, {report['seconds']:.1f} s; warm-up {run['warmup']['runs']} runs, "
            f"{run['warmup']['ms']:.0f} ms, left out; nearest rank, ms"
        )
    return lines


def _size(run: dict[str, Any]) -> str:
    return "size unknown" if run.get("width") is None else f"{run['width']}x{run['height']}"


def _source(told: dict[str, Any]) -> str:
    facts = [
        f"{told['size_px'][0]}x{told['size_px'][1]}" if told["size_px"] else "",
        f"{told['fps']:g} fps" if told["fps"] else "",
        f"{told['sample_rate']} Hz" if told["sample_rate"] else "",
        *told["details"].values(),
        f"stamps: {told['stamp_source']}" if told["stamp_source"] else "",
    ]
    return f"{told['kind']} {told['name']}: {', '.join(filter(None, facts))}"


def _measured(report: dict[str, Any]) -> list[str]:
    head = f"{'':14}{'n':>7}{'n_eff':>7}" + "".join(f"{key:>10}" for key in ("min", *KEYS)) + "   95 % interval of p95"
    lines = [head, *(_row(name, figures, "_ms") for name, figures in report["stages"].items())]
    if "age_ms" in report:
        lines.append(_row("age", report["age_ms"], ""))
        consumed = report["age_consumed_ms"]
        lines += [
            f"{'age consumed':14}{consumed['n']:7}{'':17}" + _cells([consumed.get(key) for key in KEYS]),
            "",
            _frames_line(report["frames"]),
            _skew_line(report),
        ]
    if report.get("loopback"):
        found = report["loopback"]
        lines += ["", f"flashes {found['emitted']} emitted, {found['seen']} seen, {found['heard']} heard with it"]
        lines += [_row(key.removesuffix("_ms"), found[key], "") for key in found if key.endswith("_ms")]
    if report.get("scaling"):
        lines += ["", *_scaling(report["scaling"])]
    if report.get("cold_start_ms"):
        spans = ", ".join(f"{name} {ms:.0f}" for name, ms in report["cold_start_ms"].items())
        lines += ["", f"cold start, ms: {spans}"]
    for row in report.get("sustained") or []:
        lines.append(
            f"minute {row['minute']}: n {row['n']}, p50 {_text(row['p50_ms'])}, p95 {_text(row['p95_ms'])}, "
            f"temperature {_known(row['temp_c'], '°C')}, clock {_known(row['mhz'], 'MHz')}, "
            f"throttled {_known(row['throttled'])}"
        )
    if report.get("prediction"):
        said = report["prediction"]
        lines.append(
            f"queueing predicts age p50 {said['simulated_p50_ms']:.1f}, p95 {said['simulated_p95_ms']:.1f}, "
            f"dropped {100 * said['simulated_drop_share']:.1f} %: {said['verdict']}"
        )
    parity = report.get("parity")
    if parity:
        lines.append(
            f"parity with {parity['reference']}: worst {_known(parity['max_abs'])}, mean {_known(parity['mean_abs'])}, "
            f"{_known(parity['clips'])} clips, at export"
        )
    return lines


def _scaling(found: dict[str, Any]) -> list[str]:
    lines = [
        f"batch of {row['batch']}: {row['ms_a_picture']:.2f} ms a picture, CPU {row['cpu_ms_a_picture']:.2f} ms; all "
        f"after {row['median_ms']:.1f} ms (median of {row['n']})"
        for row in found["batch"]
    ]
    return lines + [
        f"sound of {row['window_s']:g} s: {row['median_ms']:.2f} ms, CPU {row['cpu_ms']:.2f} ms (median of {row['n']})"
        for row in found["audio_window"]
    ]


def _row(name: str, figures: dict[str, Any], unit: str) -> str:
    cells = [figures[f"{key}{unit}"] for key in ("min", *KEYS)]
    bounds = figures["ci95"].get("p95")
    between = "" if bounds is None else f"   {_text(bounds[0])} to {'?' if bounds[1] is None else _text(bounds[1])}"
    return f"{name:14}{figures['n']:7}{figures['n_eff']:7}{_cells(cells)}{between}"


def _cells(values: list[float | None]) -> str:
    return "".join(f"{_text(value):>10}" for value in values)


def _text(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _known(value: Any, unit: str = "") -> str:
    return "unknown" if value is None else f"{value}{' ' + unit if unit else ''}"


def _frames_line(frames: dict[str, Any]) -> str:
    reasons = ", ".join(f"{name} {count}" for name, count in frames["dropped_by"].items()) or "none"
    over = frames["over_deadline_share"]
    return (
        f"frames: offered {frames['offered']}, processed {frames['processed']}, dropped {frames['dropped']} "
        f"({reasons}), in flight {frames['in_flight_at_end']}\n"
        f"late (over {frames['deadline_ms']:g} ms) {frames['late']}; longest gap {frames['max_gap_ms']:.0f} ms; "
        f"newest result over the deadline {'n/a' if over is None else f'{100 * over:.1f} %'} of the time"
    )


def _skew_line(report: dict[str, Any]) -> str:
    skew, audio = report["skew_ms"], report["audio"]
    sound = f"sound: {audio['windows']} windows, {_known(audio['inferences_hz'])} a second, gaps {audio['gaps']}"
    if not skew:
        return f"{sound}; skew n/a (no sound)"
    return (
        f"{sound}; skew p50 {_text(skew['p50'])}, p95 {_text(skew['p95'])}, from {_text(skew['min'])} to "
        f"{_text(skew['max'])} ms, drift {_known(skew['drift_ppm'], 'ppm')}"
    )


def sweep_lines(report: dict[str, Any]) -> list[str]:
    """The highest rate that held, for each combination."""
    budget = report["run"]["budget_ms"]
    lines = [f"highest of the rates tried with p95 age <= {budget:g} ms: every frame (drops <= 1 %) / freshest frame"]
    for row in report["highest"]:
        every, fresh = row["every_frame_fps"], row["freshest_frame_fps"]
        lines.append(
            f"  {row['bundle']} {row['precision']} {row['device']} threads {row['threads']} {row['size']} sound "
            f"{row['audio_s']:g} s {rate(row['audio_hz'])} "
            f"cameras {row['cameras']}: {'none' if every is None else f'{every:g} fps'} / "
            f"{'none' if fresh is None else f'{fresh:g} fps'}"
        )
    return lines


def accuracy_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Speed and quality side by side."""
    lines = [f"{'bundle':28}{'device':10}{'precision':11}{'peak in box':>24}{'IoU>=.5':>9}{'p50 ms':>9}{'p95 ms':>9}"]
    for row in rows:
        low, high = row["ci95"]
        share = f"{100 * row['value']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
        lines.append(
            f"{row['bundle'][:27]:28}{row['device']:10}{row['precision']:11}{share:>24}"
            f"{100 * row['iou_50_share']:8.1f}%{_text(row['total']['p50_ms']):>9}{_text(row['total']['p95_ms']):>9}"
        )
    first = rows[0]
    quiet, of = first["silent_told"]
    return [*lines, f"{first['n']} pictures; chance {100 * first['chance']:.1f} %; silence told {quiet} of {of}"]


def compare_lines(found: dict[str, Any]) -> list[str]:
    """Ratios of B over A."""
    lines = [f"B / A of {found['what']}; A = {found['a']}, B = {found['b']}"]
    for name in ("p50", "p95"):
        if name in found:
            low, high = found[name]["ci95"]
            lines.append(f"  {name}: {found[name]['ratio']:.3f}  [{low:.3f}, {high:.3f}]")
    if found.get("control"):
        low, high = found["control"]["ci95"]
        lines.append(f"  A / A: {found['control']['ratio']:.3f}  [{low:.3f}, {high:.3f}]")
    return [*lines, found["verdict"], *(f"warning: {warning}" for warning in found["warnings"])]


def _ends(report: dict[str, Any]) -> list[str]:
    used = report["resources"]
    energy = "unknown" if used["energy_j"] is None else f"{used['energy_j']:.1f} J ({used['energy_source']})"
    lines = [
        f"CPU {used['cpu_percent']:.0f} %, RSS {_known(used['rss_mb_end'], 'MB')}, energy {energy}, load "
        f"{_known(used['load_1min_start'])} to {_known(used['load_1min_end'])}",
        *(f"note: {note}" for note in report.get("notes", [])),
    ]
    if report.get("not_covered"):
        lines.append(f"not covered: {'; '.join(report['not_covered'])}")
    if report["disturbed"]:
        lines.append(f"disturbed: waited {used['runqueue_wait_ms']:.0f} ms for a CPU")
    if report["partial"]:
        lines.append("PARTIAL: interrupted; what was measured until then stands")
    return lines
