"""The figures for people: every score with its controls under it, and what the difference is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "own": "model", "centre_disc": "centre disc", "image_only": "image only (mean sound)",
    "swapped": "another clip's sound", "silence": "silence", "noise": "noise",
}  # fmt: skip
ORDER = tuple(NAMES)
HEADS = {
    "ciou_success": "cIoU %", "auc": "AUC", "mean_ciou": "mean ciou", "adaptive_success": "adaptive %",
    "adaptive_auc": "adap. AUC", "peak_in_box": "peak in box %", "iiou": "IIoU %", "iauc": "IAUC",
    "iiou_adaptive": "adap. IIoU %", "iauc_adaptive": "adap. IAUC",
}  # fmt: skip
PERCENT = frozenset(k for k, v in HEADS.items() if v.endswith("%"))
WORST_CLASSES = 5


def text(report: Mapping[str, Any]) -> str:
    """The whole report; the JSON holds more."""
    parts = [_head(report), _scores(report), _verdict(report), _detection(report), _universal(report)]
    parts += [_lines("by size of the target", report["per_size"]), _lines("by group of classes", report["per_group"])]
    return "\n\n".join(p for p in [*parts, _classes(report["per_class"])] if p)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the first to the left."""
    widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
    lines = ([r[0].ljust(widths[0]), *(v.rjust(w) for v, w in zip(r[1:], widths[1:], strict=True))] for r in rows)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _head(report: Mapping[str, Any]) -> str:
    data = report["data"]
    lines = [
        f"model     {report['what']}",
        f"clips     {data['root']} ({data['layout']}), list {data['list']}, boxes {data['annotations']}",
        f"protocol  {report['protocol']}: {report['protocol_note']}; sound: {report['window']}",
        f"n         {report['n']} of {data['listed']} listed; {len(data['missing'])} missing, "
        f"{len(data['unreadable'])} unreadable, {len(data['empty_targets'])} empty targets (count as failures)",
    ]
    for name in ("missing", "unreadable"):
        lines += [f"  {name}: {i}: {why}" for i, why in list(data[name].items())[:5]]
    if report["constant_maps"]:
        lines.append(f"  constant maps (scored as released): {report['constant_maps']}")
    return "\n".join(lines)


def _scores(report: Mapping[str, Any]) -> str:
    scores = report["scores"]
    figures = [f for f in HEADS if f in scores["own"]]
    rows = [["", *(HEADS[f] for f in figures)]]
    for name in ORDER:
        if name in scores:
            rows.append([NAMES[name], *(_with_interval(f, scores[name][f]) for f in figures)])
    return table(rows) + "\n95 % intervals in brackets (bootstrap over videos or pictures)"


def _verdict(report: Mapping[str, Any]) -> str:
    rows = [["the model against", "cIoU, points", "", "peak in box, points", ""]]
    for name in ORDER:
        if gains := report["gain_over"].get(name):
            told = [t for f in ("ciou_success", "peak_in_box") for t in _told(gains[f])]
            rows.append([NAMES[name], *told])
    hopeless = report["too_small_to_succeed"]
    note = (
        f"\n{hopeless} of {report['n']} targets cover less than a quarter of the frame: half of it cannot succeed there"
    )
    return table(rows) + (note if hopeless and report["protocol"] != "slavc_fixed" else "")


def _told(gain: Mapping[str, float]) -> tuple[str, str]:
    word = "above" if gain["low"] > 0 else "below" if gain["high"] < 0 else "not told apart"
    v, low, high = (100 * gain[k] for k in ("value", "low", "high"))
    return f"{v:+.2f} [{low:+.2f} {high:+.2f}]", word


def _detection(report: Mapping[str, Any]) -> str:
    rows = [["source visible or not", "n negative", "AP (SLAVC)", "AP", "max-F1", "AUROC"]]
    for name, d in report["detection"].items():
        label = "negatives of the list" if name == "listed" else f"against {NAMES[name]}"
        figures = (d["ap_slavc"], d["ap"], d["max_f1"], d["auroc_confidence"])
        rows.append([label, str(d["n_negative"]), *(f"{v:.4f}" for v in figures)])
    return table(rows) if len(rows) > 1 else ""


def _universal(report: Mapping[str, Any]) -> str:
    kinds = list(next(iter(report["universal"].values()))["pia"])
    rows = [
        [
            "one threshold",
            "theta",
            "mean ciou %",
            "AUC",
            "F",
            *(f"pIA {k} %" for k in kinds),
            *(f"AOC {k}" for k in kinds),
        ]
    ]
    for rule, u in report["universal"].items():
        figures = [f"{u['threshold']:.4f}", f"{100 * u['mean_ciou']:.2f}", f"{u['auc']:.4f}", f"{100 * u['f']:.2f}"]
        shares = [f"{100 * u['pia'][k]:.2f}" for k in kinds] + [f"{u['aoc'][k]:.4f}" for k in kinds]
        rows.append([rule, *figures, *shares])
    return table(rows)


def _lines(title: str, parts: Mapping[str, Mapping[str, float]]) -> str:
    if not parts:
        return ""
    rows = [[title, "n", "cIoU %", "image only", "centre disc", "AUC", "peak in box %"]]
    for name, p in parts.items():
        shares = [f"{100 * p[k]:.2f}" for k in ("ciou_success", "image_only_ciou_success", "centre_disc_ciou_success")]
        rows.append([name, str(p["n"]), *shares, f"{p['auc']:.4f}", f"{100 * p['peak_in_box']:.2f}"])
    return table(rows)


def _classes(per_class: Mapping[str, Mapping[str, float]]) -> str:
    """The best and the worst; all are in the JSON."""
    ordered = sorted(per_class.items(), key=lambda item: -item[1]["ciou_success"])
    if len(ordered) > 2 * WORST_CLASSES:
        ordered = ordered[:WORST_CLASSES] + ordered[-WORST_CLASSES:]
    title = f"by class, best and worst of {len(per_class)}" if len(per_class) > len(ordered) else "by class"
    return _lines(title, dict(ordered))


def _with_interval(figure: str, value: Mapping[str, float]) -> str:
    v, low, high = (value[k] * (100 if figure in PERCENT else 1) for k in ("value", "low", "high"))
    return f"{v:.2f} [{low:.1f} {high:.1f}]" if figure in PERCENT else f"{v:.4f} [{low:.3f} {high:.3f}]"
