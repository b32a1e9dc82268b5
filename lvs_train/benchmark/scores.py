"""From maps and targets to every figure of the field, with its interval, beside its controls.

Scores of 5,158 clips come from about 30,000 maps: each is resized once and read for all figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime import metrics
from lvs_runtime.errors import DataError
from lvs_runtime.metrics.interactive import worst_of_pictures
from lvs_runtime.metrics.masks import find_protocol, resize_map
from lvs_runtime.metrics.universal import RULES

from ..data.annotations import Targets
from ..data.ids import video_key
from .maps import Maps
from .tables import FIGURES, Tables

Floats = npt.NDArray[np.float64]
Interval = dict[str, float]
NEGATIVES = ("silence", "noise", "swapped")
DISC = "centre_disc"


@dataclass(frozen=True)
class Columns:
    """One row's figures by clip: of visible clips the first three, of all clips the rest."""

    ciou: Floats
    adaptive: Floats
    peak: Floats
    confidence: Floats
    maximum: Floats
    constant: int

    def figures(self) -> Floats:
        """(visible clips, 6): what the means of FIGURES are taken of. NaN cious count as 0."""
        ciou = np.nan_to_num(self.ciou)
        return np.stack(
            [self.ciou >= 0.5, _area(self.ciou), ciou, self.adaptive >= 0.5, _area(self.adaptive), self.peak], 1
        ).astype(np.float64)  # fmt: skip


def _area(cious: Floats) -> Floats:
    return metrics.auc_by_clip(cious) if len(cious) else np.zeros(0)


def score(
    maps: Maps,
    targets: Targets,
    protocol: str = "lvs",
    pictures: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    resamples: int = 2000,
) -> dict[str, Any]:
    """All figures as plain values. `groups` (e.g. heard, unheard) name lists of classes that are scored apart.

    `pictures`: the picture of each clip where clips share one; adds IIoU and IAUC. Raises `DataError` when a visible
    clip has no annotation or a map is not finite.
    """
    find_protocol(protocol)
    visible = np.array([c.visible for c in maps.clips])
    lacking = [c.id for c in maps.clips if c.visible and c.id not in targets]
    if lacking or not visible.any():
        raise DataError(f"{len(lacking)} clips have no annotation in {targets.source}, e.g. {lacking[:3]}")
    drawn = [targets[c.id] if c.visible else None for c in maps.clips]
    disc = np.broadcast_to(metrics.centre_disc(maps.cells["own"].shape[1]), maps.cells["own"].shape)
    rows = {n: columns_of(c, drawn, protocol, maps.clips) for n, c in {**maps.cells, DISC: disc}.items()}
    of_clip = [i for i, v in enumerate(visible) if v]
    clusters = [pictures[i] if pictures else video_key(maps.clips[i].id) for i in of_clip]
    shown = [pictures[i] for i in of_clip] if pictures else None
    figures = {name: rows[name].figures() for name in ("own", "image_only", DISC)}
    tables = Tables([maps.clips[i] for i in of_clip], figures, targets)
    return {
        "scores": {n: _scores(c, clusters, shown, resamples) for n, c in rows.items()},
        "gain_over": _gains(rows, clusters, resamples),
        "detection": _detection(rows, visible),
        "universal": _universal(maps, rows, drawn),
        "too_small_to_succeed": sum(float(t.sum()) < metrics.SIZE_PX**2 / 4 for t in drawn if t is not None),
        "constant_maps": {n: c.constant for n, c in rows.items() if c.constant},
        "per_size": tables.by([metrics.size_class(t) for t in drawn if t is not None], tuple(metrics.SIZE_CLASSES)),
        "per_class": tables.by(tables.labels),
        "per_group": tables.groups(groups or {}),
        "clips": _by_clip(maps, rows["own"], of_clip),
    }


def columns_of(cells: Any, drawn: Sequence[Any], protocol: str, clips: Sequence[Any]) -> Columns:
    """Score one row of maps (n, grid, grid)."""
    bad = [c.id for c, m in zip(clips, cells, strict=True) if not np.isfinite(m).all()]
    if bad:
        raise DataError(f"{len(bad)} maps hold NaN or infinity, e.g. of {bad[:3]}: weights or device are faulty")
    seen = [(m, t) for m, t in zip(cells, drawn, strict=True) if t is not None]
    return Columns(
        np.array([metrics.ciou_of_mask(metrics.protocol_mask(m, protocol), t) for m, t in seen]),
        np.array([metrics.ciou_of_mask(metrics.adaptive_mask(m, t, protocol), t) for m, t in seen]),
        np.array([metrics.peak_in_box(m, t) for m, t in seen], float),
        np.array([metrics.map_confidence(m) for m in cells]),
        np.array([float(m.max()) for m in cells]),
        sum(float(m.min()) == float(m.max()) for m in cells),
    )


def _scores(
    columns: Columns, clusters: Sequence[str], pictures: Sequence[str] | None, resamples: int
) -> dict[str, Any]:
    values = columns.figures()
    low, high = metrics.bootstrap_means(values, clusters, resamples)
    scores = dict(zip(FIGURES, map(_interval, values.mean(0), low, high), strict=True))
    if pictures is None:
        return scores
    for name, cious in (("", columns.ciou), ("_adaptive", columns.adaptive)):
        worst = worst_of_pictures(cious, pictures)
        both = np.stack([worst >= 0.5, metrics.auc_by_clip(worst)], 1)
        low, high = metrics.bootstrap_means(both, None, resamples)
        for figure, value, a, b in zip(("iiou", "iauc"), both.mean(0), low, high, strict=True):
            scores[figure + name] = _interval(value, a, b)
    return scores


def _gains(rows: Mapping[str, Columns], clusters: Sequence[str], resamples: int) -> dict[str, dict[str, Interval]]:
    """Own sound minus each control, clip by clip: does the model beat itself without ears?"""
    gains = {}
    own = rows["own"].figures()
    for name, columns in rows.items():
        if name != "own":
            difference = own - columns.figures()
            low, high = metrics.bootstrap_means(difference, clusters, resamples)
            gains[name] = dict(zip(FIGURES, map(_interval, difference.mean(0), low, high), strict=True))
    return gains


def _detection(rows: Mapping[str, Columns], visible: npt.NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """AP, max-F1 and AUROC of the own sounds against each kind of clip without a visible source."""
    own = rows["own"]
    negatives = {n: rows[n].confidence[visible] for n in NEGATIVES if n in rows}
    if not visible.all():
        negatives["listed"] = own.confidence[~visible]
    found = {}
    for name, confidence in negatives.items():
        positive = np.r_[np.ones(len(own.ciou), bool), np.zeros(len(confidence), bool)]
        cious = np.r_[own.ciou, np.full(len(confidence), np.nan)]
        both = np.r_[own.confidence[visible], confidence]
        found[name] = {
            "n_negative": len(confidence),
            "ap_slavc": metrics.average_precision(positive, cious, both),
            "ap": metrics.average_precision(positive, cious, both, theirs=False),
            "max_f1": metrics.max_f1(positive, cious, both),
            "max_f1_slavc": metrics.max_f1(positive, cious, both, theirs=True),
            "auroc_confidence": metrics.auroc(own.confidence[visible], confidence),
            "auroc_maximum": metrics.auroc(
                own.maximum[visible], own.maximum[~visible] if name == "listed" else rows[name].maximum[visible]
            ),
        }
    return found


def _universal(maps: Maps, rows: Mapping[str, Columns], drawn: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """ciou, pIA, AOC, F at one threshold for all clips, by each published rule."""
    kinds = [n for n in NEGATIVES if n in rows]
    used = [i for i, t in enumerate(drawn) if t is not None]
    thetas = {r: metrics.universal_threshold({k: rows[k].maximum[used] for k in kinds}, r) for r in RULES}
    figures = {r: {k: list[float]() for k in ("ciou", *kinds, *(f"iou_{k}" for k in kinds))} for r in RULES}
    plain = find_protocol("lvs")
    for i in used:
        heats = {k: resize_map(maps.cells[k][i], plain) for k in ("own", *kinds)}
        for rule, theta in thetas.items():
            masks = {k: heat > np.float32(theta) for k, heat in heats.items()}
            figures[rule]["ciou"].append(np.nan_to_num(metrics.ciou_of_mask(masks["own"], drawn[i])))
            for k in kinds:
                figures[rule][k].append(float(masks[k].mean()))
                figures[rule][f"iou_{k}"].append(metrics.map_iou(masks["own"], masks[k]))
    return {r: _at_threshold(thetas[r], figures[r], kinds) for r in RULES}


def _at_threshold(theta: float, lists: Mapping[str, list[float]], kinds: Sequence[str]) -> dict[str, Any]:
    mean = float(np.mean(lists["ciou"]))
    pias = {k: float(np.mean(lists[k])) for k in kinds}
    return {
        "threshold": theta,
        "mean_ciou": mean,
        "auc": metrics.auc(lists["ciou"]),
        "pia": pias,
        "aoc": {k: metrics.aoc(lists[k]) for k in kinds},
        "f": metrics.f_score(mean, list(pias.values())),
        "iou_with_own": {k: float(np.mean(lists[f"iou_{k}"])) for k in kinds},
    }


def _by_clip(maps: Maps, own: Columns, of_clip: Sequence[int]) -> list[dict[str, Any]]:
    """Each visible clip's own figures."""
    return [
        {
            "id": maps.clips[i].id,
            "ciou": None if np.isnan(own.ciou[n]) else round(float(own.ciou[n]), 6),
            "peak_in_box": bool(own.peak[n]),
            "confidence": round(float(own.confidence[i]), 6),
            "swapped_with": maps.swapped_with[i],
        }
        for n, i in enumerate(of_clip)
    ]


def _interval(value: float, low: float, high: float) -> Interval:
    return {"value": float(value), "low": float(low), "high": float(high)}
