"""Real videos without boxes: is their own sound told from another video's, and what does the map look like?

Annotations are not needed for this: a model that listens is surer with a clip's own sound than with one from a clip of
another class. It does not say that the place is right; the contact sheet is for eyes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DataError
from lvs_runtime.gate import level_dbfs

from .data.augment import Image, Waveform
from .data.composite import squash
from .data.moments import decode_moments
from .embed import Embedders
from .evaluate import auroc, similarity

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moments:
    """Pictures of a clip (RGB), each with the window of sound around it, and the clip's classes."""

    name: str
    classes: tuple[str, ...]
    images: list[Image]
    windows: list[Waveform]


def read_moments(
    path: Path, classes: Sequence[str], sample_rate: int, window_s: float, every_s: float = 0.5, most: int = 16
) -> Moments:
    """Decode a clip: a picture each `every_s` seconds, at most `most`. Raises DataError without picture or sound."""
    images, times, sound = decode_moments(path, sample_rate, every_s)
    chosen = range(len(images))[:: max(1, len(images) // most)][:most]
    length = round(window_s * sample_rate)
    padded = np.pad(sound, length // 2)
    windows = [padded[(first := round(times[i] * sample_rate)) : first + length] for i in chosen]
    kept = [(images[i], w) for i, w in zip(chosen, windows, strict=True) if len(w) == length]
    if not kept:
        raise DataError(f"{path.name}: no moment has both a picture and {window_s:g} s of sound")
    return Moments(path.name, tuple(classes), [i for i, _ in kept], [w for _, w in kept])


def evaluate_videos(embed: Embedders, clips: Sequence[Moments], alike: Sequence[Sequence[str]] = ()) -> dict[str, Any]:
    """Confidence with the own sound and with another clip's: AUROC over moments, and a row for each clip."""
    cells = [[embed.image(squash(i, (embed.image_spec.size_px,) * 2)) for i in c.images] for c in clips]
    sounds = [[embed.audio(w) for w in c.windows] for c in clips]
    own_all: list[float] = []
    other_all: list[float] = []
    rows = []
    for index, clip in enumerate(clips):
        other = _unlike(clips, index, alike)
        own = [float(similarity(c, a).max()) for c, a in zip(cells[index], sounds[index], strict=True)]
        heard = [level_dbfs(w, embed.audio_spec.sample_rate) for w in clip.windows]
        loud = [h >= embed.thresholds["audible_on_dbfs"] for h in heard]
        row: dict[str, Any] = {"name": clip.name, "classes": list(clip.classes), "moments": len(own)}
        row |= {"audible": float(np.mean(loud)), "confidence": _mean_confidence(own, embed.thresholds)}
        own_all += [v for v, audible in zip(own, loud, strict=True) if audible]
        if other is not None:
            swapped = [float(similarity(c, a).max()) for c, a in zip(cells[index], _cycle(sounds[other]), strict=False)]
            other_all += swapped
            row["confidence_swapped"] = _mean_confidence(swapped, embed.thresholds)
            row["swapped_with"] = clips[other].name
        rows.append(row)
    return {"clips": len(clips), "moments": len(own_all), "auroc_swapped": auroc(own_all, other_all), "rows": rows}


def confidence(maximum: float, thresholds: Mapping[str, float]) -> float:
    """The runtime's: a logistic of the map's maximum."""
    z = thresholds["confidence_slope"] * (maximum - thresholds["confidence_similarity"])
    return float(1 / (1 + np.exp(-z)))


def _mean_confidence(maxima: Sequence[float], thresholds: Mapping[str, float]) -> float:
    return float(np.mean([confidence(v, thresholds) for v in maxima]))


def _unlike(clips: Sequence[Moments], index: int, alike: Sequence[Sequence[str]]) -> int | None:
    known = {*clips[index].classes, *(c for g in alike if set(g) & set(clips[index].classes) for c in g)}
    for step in range(1, len(clips)):
        j = (index + step * 7) % len(clips)
        if j != index and clips[j].classes and not known & set(clips[j].classes):
            return j
    return None


def _cycle(values: Sequence[Floats]) -> list[Floats]:
    return [values[i % len(values)] for i in range(64)]


def write_sheet(path: Path, embed: Embedders, clips: Sequence[Moments], columns: int = 6) -> None:
    """A PNG: a row a clip, its moments with the heat of their own sound; dark frame where not in view."""
    import cv2

    rows = []
    for clip in clips:
        step = max(1, len(clip.images) // columns)
        row = [_drawn(embed, i, w) for i, w in list(zip(clip.images, clip.windows, strict=True))[::step][:columns]]
        row += [np.zeros_like(row[0])] * (columns - len(row))
        strip = np.concatenate(row, 1)
        cv2.putText(strip, clip.name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        rows.append(strip)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows, 0))


def _drawn(embed: Embedders, image: Image, window: Waveform, size: tuple[int, int] = (240, 160)) -> Image:
    """One moment with heat as strong as the confidence."""
    import cv2

    from lvs_runtime.heatmap import heatmap

    cells = similarity(embed.image(squash(image, (embed.image_spec.size_px,) * 2)), embed.audio(window))
    sure = confidence(float(cells.max()), embed.thresholds)
    heat = heatmap(cells, size, "minmax")
    colour = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    picture = squash(image, size)[..., ::-1]
    weight = (0.65 * sure * np.clip(heat * 1.5 - 0.4, 0, 1))[..., None]
    out = (picture * (1 - weight) + colour * weight).astype(np.uint8)
    cv2.putText(out, f"{sure:.2f}", (size[0] - 40, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(out)
