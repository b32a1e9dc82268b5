"""What a set of annotations is worth to somebody who neither looks nor listens: needs the boxes alone.

centre_disc   the 14 x 14 disc around the middle: the score to beat
full_image    every pixel marked, which is also what any constant map >= 0 earns
best          the best that any ranking of pixels can earn while half of the picture is marked: a ceiling

On the public VGG-SS json these are 33.947 / .37429, 21.946 / .31254 and 50.485 / .49470 (cIoU % / AUC): whoever gets
something else evaluates something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime import metrics
from lvs_runtime.errors import DataError
from lvs_runtime.metrics.interactive import worst_of_pictures
from lvs_runtime.metrics.masks import HALF, find_protocol

from ..data.annotations import Target, Targets
from ..data.ids import video_key
from .report import table

Floats = npt.NDArray[np.float64]
NAMES = {"centre_disc": "centre disc", "full_image": "full image", "best": "best ranking (ceiling)"}


def best_ciou(target: Target, num_pixels: int) -> float:
    """The largest ciou of any mask of `num_pixels`: the heaviest pixels of the target first, then any others."""
    weights = np.sort(target[target > 0].astype(np.float64))[::-1]
    spilled = max(num_pixels - len(weights), 0)
    denominator = weights.sum() + spilled
    return float(weights[:num_pixels].sum() / denominator) if denominator else 0.0


def controls(
    targets: Targets,
    ids: Sequence[str],
    protocol: str = "lvs",
    groups: Mapping[str, Sequence[str]] | None = None,
    pictures: Sequence[str] | None = None,
    resamples: int = 2000,
) -> dict[str, Any]:
    """Figures of the three rows over `ids`, with intervals, and by size, class and list of classes.

    `pictures` as in `scores.score`: adds IIoU. A protocol with a fixed threshold has no "best". Raises `DataError` for
    a list of classes that no clip is of, `ConfigError` for an unknown protocol.
    """
    chosen = find_protocol(protocol)
    disc, everything = metrics.centre_disc(), np.ones((14, 14), np.float32)
    masks = {n: metrics.protocol_mask(m, protocol) for n, m in (("centre_disc", disc), ("full_image", everything))}
    pixels = HALF - 1 if chosen.strict else HALF
    names = [*masks, *(["best"] if chosen.fixed is None else [])]
    cious, adaptive, peak, sizes = np.zeros((len(ids), len(names))), np.zeros(len(ids)), np.zeros(len(ids)), list[str]()
    for n, clip in enumerate(ids):
        target = targets[clip]  # drawn one at a time
        found = [metrics.ciou_of_mask(mask, target) for mask in masks.values()]
        cious[n] = [*found, best_ciou(target, pixels)][: len(names)]
        adaptive[n] = metrics.ciou_of_mask(metrics.adaptive_mask(disc, target, protocol), target)
        peak[n] = metrics.peak_in_box(disc, target)
        sizes.append(metrics.size_class(target))
    cious = np.nan_to_num(cious)
    labels = [targets.annotation(clip).label or "" for clip in ids]
    clusters = [video_key(i) for i in ids] if pictures is None else list(pictures)
    rows: dict[str, Any] = {n: _scores(cious[:, c], clusters, pictures, resamples) for c, n in enumerate(names)}
    rows["centre_disc"] |= {
        "adaptive_success": float((adaptive >= 0.5).mean()),
        "adaptive_auc": metrics.auc(adaptive),
        "peak_in_box": float(peak.mean()),
    }
    return {
        "n": len(ids),
        "protocol": protocol,
        "controls": rows,
        "per_size": _by(sizes, tuple(metrics.SIZE_CLASSES), names, cious),
        "per_class": _by(labels, sorted(set(labels) - {""}), names, cious),
        "per_group": {k: _group(k, v, labels, names, cious) for k, v in (groups or {}).items()},
    }


def text(report: Mapping[str, Any]) -> str:
    """The report for people; the JSON holds every class."""
    data, rows = report["data"], [["without picture or sound", "cIoU %", "95 %", "AUC", "mean ciou"]]
    several = any("iiou" in c for c in report["controls"].values())
    rows[0] += ["IIoU %", "IAUC"] * several
    for name, c in report["controls"].items():
        s = c["ciou_success"]
        line = [f"{100 * s['value']:.3f}", f"[{100 * s['low']:.1f} {100 * s['high']:.1f}]"]
        line += [f"{c['auc']:.5f}", f"{c['mean_ciou']:.5f}"]
        rows.append([NAMES[name], *line, *([f"{100 * c['iiou']:.2f}", f"{c['iauc']:.4f}"] if several else [])])
    c = report["controls"]["centre_disc"]
    lines = [
        f"boxes     {data['annotations']}, list {data['list']}, n {report['n']}, protocol {report['protocol']}",
        f"          {data['empty_targets']} targets are empty, {data['clips_that_lose_boxes']} clips lose a box on the "
        f"grid, the mean target covers {100 * data['mean_target']:.1f} % of the frame",
        "",
        table(rows),
        f"centre disc, adaptive: {100 * c['adaptive_success']:.3f} % / {c['adaptive_auc']:.5f}; "
        f"centre inside the target: {100 * c['peak_in_box']:.1f} %",
    ]
    for title, key in (("by size of the target", "per_size"), ("by group of classes", "per_group")):
        if report[key]:
            lines += ["", _table(title, report[key])]
    return "\n".join(lines)


def _table(title: str, parts: Mapping[str, Mapping[str, float]]) -> str:
    names = [n for n in NAMES if n in next(iter(parts.values()))]
    rows = [[title, "n", *(f"{NAMES[n]} %" for n in names)]]
    rows += [[k, str(int(p["n"])), *(f"{100 * p[n]:.2f}" for n in names)] for k, p in parts.items()]
    return table(rows)


def _scores(cious: Floats, clusters: Sequence[str], pictures: Sequence[str] | None, resamples: int) -> dict[str, Any]:
    success = (cious >= 0.5).astype(np.float64)
    low, high = metrics.bootstrap_means(success[:, None], clusters, resamples)
    interval = {"value": float(success.mean()), "low": float(low[0]), "high": float(high[0])}
    scores = {"ciou_success": interval, "auc": metrics.auc(cious), "mean_ciou": float(cious.mean())}
    if pictures is None:
        return scores
    worst = worst_of_pictures(cious, pictures)
    return scores | {"iiou": float((worst >= 0.5).mean()), "iauc": metrics.auc(worst)}


def _by(
    column: Sequence[str], order: Sequence[str], names: Sequence[str], cious: Floats
) -> dict[str, dict[str, float]]:
    parts = {k: np.array([c == k for c in column]) for k in order}
    return {k: _line(names, cious[inside]) for k, inside in parts.items() if inside.any()}


def _line(names: Sequence[str], cious: Floats) -> dict[str, float]:
    return {"n": len(cious), **{n: float((cious[:, c] >= 0.5).mean()) for c, n in enumerate(names)}}


def _group(
    name: str, classes: Sequence[str], labels: Sequence[str], names: Sequence[str], cious: Floats
) -> dict[str, float]:
    inside = np.array([label in set(classes) for label in labels])
    if not inside.any():
        raise DataError(f"{name}: no test clip is of its {len(classes)} classes, e.g. {list(classes)[:3]}")
    return _line(names, cious[inside])
