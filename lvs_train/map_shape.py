"""Why maps miss: the wrong thing, a thing too small for the cells, other places lit as well, or heat beside the thing.

Every map is cut to as many pixels as the truth has (`adaptive_mask`), so that place and shape alone count. A *perfect
map* holds the share of each cell that the truth covers; what it earns through the same mask is the ceiling of the grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.heatmap import peak_px
from lvs_runtime.metrics import adaptive_mask, boxes_to_target, ciou_of_mask, ciou_success, iiou

from .evaluate import similarity

if TYPE_CHECKING:
    from .scenes import Scene

Floats = npt.NDArray[np.float32]
CAUSES = ("found", "peak_in_another_source", "peak_elsewhere", "too_small", "also_lit_elsewhere", "beside")
SIDES = (0.0, 0.2, 0.3, 0.4, 0.5, 1.0)  # root of the share of the picture that the truth covers


def perfect_map(target: npt.NDArray[Any], cells: int) -> Floats:
    """(cells, cells): the share of the target around the pixel that each cell of the network looks at."""
    step = target.shape[0] // cells
    padded = np.pad(np.asarray(target, np.float32), step // 2, mode="edge")  # cell k looks at pixel `step` k
    kept = padded[: step * cells, : step * cells].reshape(cells, step, cells, step)
    return np.asarray(kept.mean((1, 3)), np.float32)


def cause(scene: Scene, number: int, cells: Floats) -> tuple[str, float, float]:
    """Why the map of source `number` misses (one of `CAUSES`), its IoU, and the IoU of a perfect map."""
    source, size = scene.sources[number], scene.image.shape[0]
    target = boxes_to_target(source.boxes, size, float(size))
    mask = adaptive_mask(cells, target)
    reached = float(np.nan_to_num(ciou_of_mask(mask, target)))
    ceiling = float(np.nan_to_num(ciou_of_mask(adaptive_mask(perfect_map(target, len(cells)), target), target)))
    x, y = peak_px(cells, (size, size))
    if reached >= 0.5:
        return "found", reached, ceiling
    if not source.holds(x, y):
        taken = any(other.holds(x, y) for k, other in enumerate(scene.sources) if k != number)
        return ("peak_in_another_source" if taken else "peak_elsewhere"), reached, ceiling
    if ceiling < 0.5:
        return "too_small", reached, ceiling
    return ("also_lit_elsewhere" if _lit_elsewhere(mask, target, (x, y)) else "beside"), reached, ceiling


def _lit_elsewhere(mask: npt.NDArray[np.bool_], target: Floats, peak: tuple[int, int]) -> bool:
    """More of the false pixels lie in patches of their own than in the patch that holds the peak."""
    import cv2

    _, patches = cv2.connectedComponents(mask.astype(np.uint8))
    false = mask & (target == 0)
    return bool((false & (patches != patches[peak[1], peak[0]])).sum() * 2 > false.sum())


def map_shape(asked: Sequence[tuple[Scene, Floats, Sequence[Floats]]], what: str) -> dict[str, Any]:
    """Shares of the causes, the grid's ceiling, and both by size of the thing; IIoU's bounds too."""
    rows = []
    for scene, cells, sounds in asked:
        for number, sound in enumerate(sounds):
            heard = similarity(cells, sound)
            side = float(np.sqrt(boxes_to_target(scene.sources[number].boxes, 224, 224.0).mean()))
            x, y = peak_px(heard, (scene.image.shape[1], scene.image.shape[0]))
            rows.append((scene.name, side, scene.sources[number].holds(x, y), *cause(scene, number, heard)))
    found = Counter(r[3] for r in rows)
    report: dict[str, Any] = {
        "what": what, "pictures": len(asked), "n": len(rows),
        "causes": {name: found[name] / len(rows) for name in CAUSES},
        "ceiling_ciou": ciou_success([r[5] for r in rows]), "ceiling_mean_iou": float(np.mean([r[5] for r in rows])),
    }  # fmt: skip
    report["by_side"] = [
        {
            "from": low, "to": high, "n": len(part), "peak_in_box": float(np.mean([r[2] for r in part])),
            "ciou": ciou_success([r[4] for r in part]), "ceiling_ciou": ciou_success([r[5] for r in part]),
            "ceiling_mean_iou": float(np.mean([r[5] for r in part])),
        }
        for low, high in pairwise(SIDES)
        if (part := [r for r in rows if low <= r[1] < high])
    ]  # fmt: skip
    names = Counter(r[0] for r in rows)
    several = [r for r in rows if names[r[0]] > 1]
    if several:
        pictures = [r[0] for r in several]
        report["iiou"] = {
            "pictures": len(set(pictures)),
            "reached": iiou([r[4] for r in several], pictures),
            "ceiling_of_cells": iiou([r[5] for r in several], pictures),
            "if_every_peak_in_its_box_counted": iiou([float(r[2]) for r in several], pictures),
        }
    return report
