"""Pictures with known places of everything that sounds, asked with each sound: cIoU, IIoU, peaks, swap, controls.

A picture whose boxes are small cannot be answered by half of its pixels, as the median protocol wants it. So three
masks are scored beside each other: "lvs" (median, as published), "adaptive" (as many pixels as the truth has: an
oracle of the size alone) and "runtime" (the bundle's own box thresholds: what a user gets).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DataError
from lvs_runtime.heatmap import heatmap, peak_px
from lvs_runtime.metrics import adaptive_mask, boxes_to_target, centre_disc, ciou_of_mask, ciou_success, median_mask
from lvs_runtime.metrics.bootstrap import bootstrap_means
from lvs_runtime.metrics.interactive import iiou

from .data.augment import Image, Waveform
from .embed import Embedders
from .evaluate import auroc, similarity
from .map_shape import map_shape

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
MASKS = ("lvs", "adaptive", "runtime")


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of thing that sounds in a picture: all boxes of it (x0, y0, x1, y1 in pixels of 224), its sound."""

    label: str
    boxes: tuple[tuple[float, float, float, float], ...]
    waveform: Waveform

    def holds(self, x: int, y: int) -> bool:
        """Whether a pixel lies in one of the boxes."""
        return any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in self.boxes)


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture (224, 224, 3) RGB with one or more sources, and a sound whose source is not in it."""

    name: str
    image: Image
    sources: tuple[Source, ...]
    absent: Waveform


@dataclass(frozen=True, slots=True)
class Answer:
    """What one map says about one source."""

    scene: str
    label: str
    area: float  # share of the picture that the truth covers
    peak: bool
    cious: Mapping[str, float]  # by mask
    maximum: float


def runtime_mask(cells: Floats, thresholds: Mapping[str, float], size_px: int) -> Mask:
    """Pixels that the runtime would box: above the floor and above its share of the maximum."""
    limit = max(thresholds["box_similarity"], thresholds.get("box_relative", 0.0) * float(cells.max()))
    return np.asarray(heatmap(cells, (size_px, size_px)) >= limit)


def judge(scene: Scene, source: Source, cells: Floats, thresholds: Mapping[str, float]) -> Answer:
    """Score one map against the boxes of one source."""
    size = scene.image.shape[0]
    target = boxes_to_target(source.boxes, size, float(size))
    masks = {
        "lvs": median_mask(cells),
        "adaptive": adaptive_mask(cells, target),
        "runtime": runtime_mask(cells, thresholds, size),
    }
    cious = {name: float(np.nan_to_num(ciou_of_mask(mask, target))) for name, mask in masks.items()}
    peak = source.holds(*peak_px(cells, (size, size)))
    return Answer(scene.name, source.label, float(target.mean()), peak, cious, float(cells.max()))


def evaluate_scenes(embed: Embedders, scenes: Iterable[Scene], noises: Sequence[Waveform]) -> dict[str, Any]:
    """Every scene asked with each of its sounds; controls: centre disc, mean sound, a wrong sound, silence.

    Raises DataError when there is no scene at all.
    """
    asked = [(s, embed.image(s.image), [embed.audio(x.waveform) for x in s.sources]) for s in scenes]
    if not asked:
        raise DataError("no scene to evaluate: the material has no test photo whose things have test sounds")
    mean = np.mean([a for _, _, sounds in asked for a in sounds], 0)
    silence = embed.audio(np.zeros(embed.audio_spec.num_samples, np.float32))
    absent = [embed.audio(s.absent) for s, _, _ in asked]

    def table(map_of: Callable[[int, int, Floats], Floats]) -> list[Answer]:
        return [
            judge(s, source, map_of(i, j, cells), embed.thresholds)
            for i, (s, cells, _) in enumerate(asked)
            for j, source in enumerate(s.sources)
        ]

    own = table(lambda i, j, cells: similarity(cells, asked[i][2][j]))
    disc = centre_disc(asked[0][1].shape[-1])
    controls = {
        "centre_disc": table(lambda _i, _j, _c: disc),
        "image_only": table(lambda _i, _j, cells: similarity(cells, mean)),
        "wrong_sound": table(lambda i, _j, cells: similarity(cells, absent[i])),
        "silence": table(lambda _i, _j, cells: similarity(cells, silence)),
    }
    maxima = [a.maximum for a in own]
    noise = [embed.audio(n) for n in noises]
    noisy = [float(similarity(c, noise[i % len(noise)]).max()) for i, (_, c, _) in enumerate(asked)] if noise else []
    report: dict[str, Any] = {
        "pictures": len(asked),
        "n": len(own),
        "box_area": float(np.mean([a.area for a in own])),
        **figures(own),
        "controls": {name: figures(answers) for name, answers in controls.items()},
        "auroc_absent": auroc(maxima, [a.maximum for a in controls["wrong_sound"]]),
        "auroc_silence": auroc(maxima, [a.maximum for a in controls["silence"]]),
        "auroc_noise": auroc(maxima, noisy),
        "per_class": per_class(own),
        "map_shape": map_shape(asked, embed.name),
    }
    swap = swapped(asked)
    return report | ({"swap": swap} if swap else {})


def figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """Peak in box, success and mean IoU by mask, and over pictures with several sources IIoU; 95 % intervals."""
    pictures = [a.scene for a in answers]
    several = {p for p in pictures if pictures.count(p) > 1}
    columns = np.array([[a.peak, *(a.cious[m] >= 0.5 for m in MASKS), *(a.cious[m] for m in MASKS)] for a in answers])
    low, high = bootstrap_means(columns.astype(np.float64), pictures)
    names = ["peak_in_box", *(f"ciou_{m}" for m in MASKS), *(f"mean_iou_{m}" for m in MASKS)]
    values: dict[str, Any] = {
        name: {"value": float(columns[:, i].mean()), "low": float(low[i]), "high": float(high[i])}
        for i, name in enumerate(names)
    }
    if several:
        chosen = [a for a in answers if a.scene in several]
        values["pictures_of_several"] = len(several)
        for name in MASKS:
            values[f"iiou_{name}"] = iiou([a.cious[name] for a in chosen], [a.scene for a in chosen])
        values["all_peaks_in_box"] = iiou([float(a.peak) for a in chosen], [a.scene for a in chosen])
    return values


def swapped(asked: Sequence[tuple[Scene, Floats, Sequence[Floats]]]) -> dict[str, Any] | None:
    """Over ordered pairs of sources of one picture: does the map move from one's boxes to the other's?

    `moves`: mean similarity in A's boxes against B's is higher with A's sound than with B's (chance 50 %).
    `peak_follows`: with A's sound the peak lies in A and not in B, and the other way round with B's.
    """
    moves, follows, pictures = [], [], []
    for scene, cells, sounds in asked:
        for j, a in enumerate(scene.sources):
            for k in range(j + 1, len(scene.sources)):
                b = scene.sources[k]
                with_a, with_b = similarity(cells, sounds[j]), similarity(cells, sounds[k])
                moves.append(_lead(with_a, a, b, scene) > _lead(with_b, a, b, scene))
                size = (scene.image.shape[1], scene.image.shape[0])
                at_a, at_b = peak_px(with_a, size), peak_px(with_b, size)
                follows.append(a.holds(*at_a) and not b.holds(*at_a) and b.holds(*at_b) and not a.holds(*at_b))
                pictures.append(scene.name)
    if not moves:
        return None
    low, high = bootstrap_means(np.array([moves, follows], np.float64).T, pictures)
    return {
        "pairs": len(moves),
        "moves": {"value": float(np.mean(moves)), "low": float(low[0]), "high": float(high[0])},
        "peak_follows": {"value": float(np.mean(follows)), "low": float(low[1]), "high": float(high[1])},
        "chance_moves": 0.5,
    }


def _lead(cells: Floats, a: Source, b: Source, scene: Scene) -> float:
    """Strongest heat within A's boxes less that within B's."""
    size = scene.image.shape[0]
    heat = heatmap(cells, (size, size))
    inside = [boxes_to_target(s.boxes, size, float(size)) > 0 for s in (a, b)]
    strongest = [float(heat[m].max()) if m.any() else float(heat.min()) for m in inside]
    return strongest[0] - strongest[1]


def per_class(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """n, peak in box and success with the runtime's mask of each class."""
    table = {}
    for label in sorted({a.label for a in answers}):
        rows = [a for a in answers if a.label == label]
        table[label] = {
            "n": len(rows),
            "peak_in_box": float(np.mean([a.peak for a in rows])),
            "ciou_runtime": ciou_success([a.cious["runtime"] for a in rows]),
            "ciou_adaptive": ciou_success([a.cious["adaptive"] for a in rows]),
        }
    return table
