"""The model card's figures, written by a program from the evaluation's JSON: what is printed is what was measured.

The card's words are written by hand. Between `<!-- card:NAME:start -->` and `<!-- card:NAME:end -->` stand tables that
`lvs-train card` replaces; a mark without a table, and a table without its figures, are errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lvs_runtime.errors import ConfigError, DataError

Report = Mapping[str, Any]
MARK = re.compile(r"<!-- card:(\w+):start -->\n.*?<!-- card:\1:end -->", re.DOTALL)
TILES = {"composites_same_source": "one collection", "composites_any_source": "anywhere"}
SCENES = {"free_one": "free, one sounds", "free_several": "free, 2-3 sound", "natural": "natural photos"}


def fill(card: str, report: Report, float_report: Report | None = None) -> str:
    """The card with every marked table written anew. Raises ConfigError for marks that no table belongs to."""
    tables: dict[str, Callable[[], str]] = {
        "tiles": lambda: tiles(report),
        "scenes": lambda: scenes(report),
        "confidence": lambda: confidence(report),
        "swap": lambda: swap(report),
        "shape": lambda: shape(report),
        "sides": lambda: sides(report),
        "classes": lambda: classes(report),
        "collections": lambda: collections(report),
        "videos": lambda: videos(report),
        "float": lambda: against_float(report, float_report),
        "context": lambda: context(report),
    }
    found = MARK.findall(card)
    unknown = [name for name in found if name not in tables]
    if not found or unknown:
        raise ConfigError(
            f"card: marks {unknown or 'none'} found; want <!-- card:NAME:start --> ... <!-- card:NAME:end --> with "
            f"NAME one of {', '.join(tables)}"
        )

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        try:
            text = tables[name]()
        except KeyError as error:
            raise DataError(
                f"card: table {name!r} needs {error} in the evaluation; run lvs-train evaluate --config RECIPE.toml "
                "--videos CLIPS.jsonl --json FILE"
            ) from error
        return f"<!-- card:{name}:start -->\n{text}\n<!-- card:{name}:end -->"

    return MARK.sub(replaced, card)


def tiles(report: Report) -> str:
    """Peaks in 2x2 tiles with their controls."""
    rows = []
    for key, name in TILES.items():
        r = report[key]
        cells = [_share(r["peak_in_tile"]), _share(r["swap_follows"]), _share(r["control_image_only"])]
        rows.append([f"photos from {name}", str(r["n"]), *cells, f"{r['auroc_absent']:.3f}"])
    narrow = report["composites_same_source_band_limited"]
    cells = [_share(narrow["peak_in_tile"]), _share(narrow["swap_follows"])]
    rows.append(
        [f"one collection, all sounds below {narrow['band_hz'] / 1000:g} kHz", str(narrow["n"]), *cells, "", ""]
    )
    drawn = report["drawn"]
    chance = f"{100 * drawn['chance_box_area']:.1f} (box's share)"
    rows.append(["drawn world, peak in box", str(drawn["n"]), _share(drawn["peak_in_box"]), "", chance,
                 f"{drawn['auroc_absent']:.3f}"])  # fmt: skip
    return _table(["pictures", "n", "peak right, %", "swap follows, %", "image only, %", "absent, AUROC"], rows)


def scenes(report: Report) -> str:
    """cIoU and peaks in free composites and natural photos beside the centre disc and the mean sound."""
    rows = []
    for key, name in SCENES.items():
        r = report[key]
        controls = {"": r, "centre disc": r["controls"]["centre_disc"], "image only": r["controls"]["image_only"],
                    "wrong sound": r["controls"]["wrong_sound"]}  # fmt: skip
        for label, figures in controls.items():
            iiou = figures.get("iiou_adaptive")
            rows.append([
                f"{name} ({r['pictures']} pictures)" if not label else f"- {label}", str(r["n"]),
                *(_interval(figures[k]) for k in ("peak_in_box", "ciou_adaptive", "ciou_runtime", "ciou_lvs")),
                "" if iiou is None else f"{100 * iiou:.1f}",
                "" if iiou is None else f"{100 * figures['all_peaks_in_box']:.1f}",
            ])  # fmt: skip
    head = ["", "n", "peak in box, %", "cIoU adaptive, %", "cIoU runtime, %", "cIoU median, %", "IIoU adaptive, %",
            "all peaks in box, %"]  # fmt: skip
    return _table(head, rows)


def swap(report: Report) -> str:
    """Does the heat move when another thing's sound is played to the same picture?"""
    rows = []
    for key, name in SCENES.items():
        if "swap" in report[key]:
            s = report[key]["swap"]
            rows.append([name, str(s["pairs"]), _interval(s["moves"]), "50", _interval(s["peak_follows"])])
    return _table(["two things in one picture", "pairs", "heat moves, %", "chance", "peak changes boxes, %"], rows)


_CAUSES = {
    "found": "**found**: IoU of 0.5 or more",
    "peak_in_another_source": "peak in another thing that sounds",
    "peak_elsewhere": "peak in a silent thing or the background",
    "too_small": "peak right, thing too small for the cells",
    "also_lit_elsewhere": "peak right, other places lit as well",
    "beside": "peak right, heat on a part of the thing or beside it",
}


def shape(report: Report) -> str:
    """Why maps miss, in shares of all things asked, and what a perfect map of the same cells would earn."""
    shapes = [report[key]["map_shape"] for key in SCENES]
    rows = [[text, *(f"{100 * s['causes'][name]:.1f}" for s in shapes)] for name, text in _CAUSES.items()]
    rows.append(["a perfect map of 14 x 14 cells would find", *(f"{100 * s['ceiling_ciou']:.1f}" for s in shapes)])
    for key, text in (
        ("reached", "all things of a picture found (IIoU)"),
        ("if_every_peak_in_its_box_counted", "- if a peak in its box were enough"),
        ("ceiling_of_cells", "- by a perfect map"),
    ):
        rows.append([text, *(f"{100 * s['iiou'][key]:.1f}" if "iiou" in s else "" for s in shapes)])
    table = _table(["% of things asked", *SCENES.values()], rows)
    words = "; ".join(f"{name}: {s['n']} in {s['pictures']}" for name, s in zip(SCENES.values(), shapes, strict=True))
    return f"{table}\n\nThings in pictures: {words}. `{shapes[0]['what']}`."


def sides(report: Report) -> str:
    """By size of the thing, over both kinds of free composites: peaks, maps, and what perfect maps would earn."""
    parts: dict[tuple[float, float], list[Mapping[str, float]]] = {}
    for key in ("free_one", "free_several"):
        for row in report[key]["map_shape"]["by_side"]:
            parts.setdefault((row["from"], row["to"]), []).append(row)
    rows = []
    for (low, high), found in sorted(parts.items()):
        n = sum(r["n"] for r in found)
        keys = ("peak_in_box", "ciou", "ceiling_ciou", "ceiling_mean_iou")
        means = [sum(r[k] * r["n"] for r in found) / n for k in keys]
        rows.append([f"{100 * low:.0f}-{100 * high:.0f}", f"{n:.0f}", *(f"{100 * m:.0f}" for m in means)])
    head = ["side of the thing, % of the picture's", "n", "peak in box, %", "cIoU adaptive, %", "perfect map: cIoU, %",
            "perfect map: mean IoU, %"]  # fmt: skip
    return _table(head, rows)


def confidence(report: Report) -> str:
    """Own sound against silence, noise, and a sound whose source is not seen; the gate."""
    rows = []
    for key, name in SCENES.items():
        r = report[key]
        rows.append([name, *(f"{r[k]:.3f}" for k in ("auroc_silence", "auroc_noise", "auroc_absent"))])
    if "videos" in report:
        rows.append(["real videos (another clip's sound)", "", "", f"{report['videos']['auroc_swapped']:.3f}"])
    gates = [report["gate_drawn"], report["gate_real"]]
    errors = [1 - min(g["sounding_audible"] for g in gates), 1 - min(g["silent_not_audible"] for g in gates)]
    table = _table(["AUROC of the map's maximum, own sound against", "silence", "noise", "source not in view"], rows)
    n = sum(g["sounding_n"] for g in gates), sum(g["silent_n"] for g in gates)
    words = (
        f"Gate `audible`: at most {100 * errors[0]:.1f} % of sounding ({n[0]}) and {100 * errors[1]:.1f} % of silent "
        f"({n[1]}) half seconds are taken for the other."
    )
    return f"{table}\n\n{words}"


def classes(report: Report) -> str:
    """Per class: tiles of both kinds, free composites, natural photos."""
    a, b = (report[key]["per_class"] for key in TILES)
    free, natural = report["free_several"]["per_class"], report["natural"]["per_class"]
    rows = []
    for name in sorted({*a, *b, *free, *natural}):
        cells = [f"{_per(t, name, 'peak_in_tile')}" for t in (a, b)]
        cells += [f"{_per(t, name, 'peak_in_box')}" for t in (free, natural)]
        rows.append([name, *cells])
    return _table(["class", "tiles, one collection", "tiles, anywhere", "free, 2-3 sound", "natural photos"], rows)


def collections(report: Report) -> str:
    """Tiles of one collection, by collection."""
    rows = [[name, str(r["n"]), f"{100 * r['peak_in_tile']:.0f}"]
            for name, r in sorted(report["composites_same_source"]["per_source"].items())]  # fmt: skip
    return _table(["collection of the sounding photo", "n", "peak in tile, %"], rows)


def videos(report: Report) -> str:
    """A row a clip: mean confidence with its own sound and with another clip's."""
    v = report["videos"]
    rows = [
        [r["name"], ", ".join(r["classes"]), f"{100 * r['audible']:.0f}", f"{r['confidence']:.2f}",
         f"{r['confidence_swapped']:.2f}" if "confidence_swapped" in r else "", r.get("swapped_with", "")]
        for r in v["rows"]
    ]  # fmt: skip
    head = ["clip", "heard", "audible, %", "confidence", "with another clip's sound", "which"]
    return f"{v['clips']} clips, {v['moments']} moments, AUROC {v['auroc_swapped']:.3f}.\n\n{_table(head, rows)}"


def against_float(report: Report, float_report: Report | None) -> str:
    """The same figures from the float model, on the same pictures."""
    if float_report is None:
        raise DataError("card: table 'float' needs --float FILE (lvs-train evaluate --ckpt MODEL --json FILE)")
    rows = []
    for name, path in _COMPARED.items():
        ours, other = (100 * float(_at(r, path)) for r in (report, float_report))
        rows.append([name, f"{other:.1f}", f"{ours:.1f}", f"{ours - other:+.1f}"])
    return _table(["%", "float32", "int8", "difference"], rows)


_COMPARED = {
    "peak in tile, one collection": ("composites_same_source", "peak_in_tile", "share"),
    "peak in tile, anywhere": ("composites_any_source", "peak_in_tile", "share"),
    "swap follows, one collection": ("composites_same_source", "swap_follows", "share"),
    "drawn world": ("drawn", "peak_in_box", "share"),
    "free, one sounds: peak": ("free_one", "peak_in_box", "value"),
    "free, one sounds: cIoU adaptive": ("free_one", "ciou_adaptive", "value"),
    "free, 2-3 sound: peak": ("free_several", "peak_in_box", "value"),
    "natural photos: peak": ("natural", "peak_in_box", "value"),
    "natural photos: cIoU adaptive": ("natural", "ciou_adaptive", "value"),
}


def context(report: Report) -> str:
    """What was measured, when, by which command."""
    c = report["context"]
    return f"`{report['what']}`, {c['date']}, `{c['command']}`."


def _at(report: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        report = report[key]
    return report


def _per(table: Mapping[str, Mapping[str, float]], name: str, key: str) -> str:
    return f"{100 * table[name][key]:.0f} ({table[name]['n']})" if name in table else ""


def _share(value: Mapping[str, float]) -> str:
    return f"{100 * value['share']:.1f} ± {100 * value['standard_error']:.1f}"


def _interval(value: Mapping[str, float]) -> str:
    return f"{100 * value['value']:.1f} ({100 * value['low']:.0f}-{100 * value['high']:.0f})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
