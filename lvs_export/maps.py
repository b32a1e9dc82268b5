"""Similarity maps of graphs on clips, and how far two sets of them lie apart. Needs numpy and an engine, no torch.

Errors are those of the similarity map, which is what a user sees, not of single tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import ParityError
from lvs_runtime.metrics import adaptive_ciou, peak_in_box

from .material import Clip
from .session import FloatArray, GraphSession

CONTRAST = 0.02  # a map whose deviation is below this has no shape that a correlation could compare


@dataclass(frozen=True)
class MapErrors:
    """Absolute map error over all cells and clips, correlation over the clips whose map has contrast."""

    worst: float
    mean: float
    worst_clip: str
    correlation: float | None  # mean over the clips with contrast; None when there is none
    worst_correlation: float | None
    peak_moved: int
    clips: int
    clips_with_contrast: int
    peak_in_box: float | None = None  # share of the clips with a box whose peak lies in it
    peak_in_box_torch: float | None = None
    ciou: float | None = None  # mean over the clips with a box, the mask as large as the box
    ciou_torch: float | None = None
    clips_with_box: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest, rounded to what is meaningful."""
        return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Reference:
    """What torch in float32, or another bundle, says of clips: embeddings (n, 512, H, W), (n, 512), maps (n, H, W)."""

    clips: tuple[Clip, ...]
    images: FloatArray
    audios: FloatArray
    maps: FloatArray


def similarity(images: FloatArray, audios: FloatArray) -> FloatArray:
    """Own-pair maps: (n, 512, H, W), (n, 512) -> (n, H, W)."""
    count, channels, rows, columns = images.shape
    flat = np.matmul(audios[:, None], images.reshape(count, channels, rows * columns))
    return np.asarray(flat.reshape(count, rows, columns), np.float32)


def run_images(session: GraphSession, clips: Sequence[Clip]) -> FloatArray:
    """Image embeddings of the clips from an exported graph, (n, 512, H, W)."""
    return np.concatenate([session.run(image=clip.image) for clip in clips])


def run_audios(session: GraphSession, clips: Sequence[Clip]) -> FloatArray:
    """Audio embeddings of the clips from an exported graph, (n, 512)."""
    return np.concatenate([session.run(waveform=clip.waveform) for clip in clips])


def compare(truth: Reference, maps: FloatArray) -> MapErrors:
    """Errors of `maps` (n, H, W) against the reference's."""
    errors = np.abs(maps.astype(np.float64) - truth.maps)
    if not np.isfinite(errors).all():
        bad = truth.clips[int(np.argmax(~np.isfinite(errors).all((1, 2))))].name
        raise ParityError(f"the exported graph gives NaN or infinity on clip {bad}; nothing written")
    contrasted = [i for i, m in enumerate(truth.maps) if m.std() >= CONTRAST]
    correlations = [_correlation(truth.maps[i], maps[i]) for i in contrasted]
    peaks, wanted = (m.reshape(len(m), -1).argmax(1) for m in (maps, truth.maps))
    hits, overlap = _on_boxes(truth.clips, maps)
    hits_torch, overlap_torch = _on_boxes(truth.clips, truth.maps)
    return MapErrors(
        worst=float(errors.max()),
        mean=float(errors.mean()),
        worst_clip=truth.clips[int(errors.max((1, 2)).argmax())].name,
        correlation=float(np.mean(correlations)) if correlations else None,
        worst_correlation=min(correlations, default=None),
        peak_moved=int((peaks != wanted).sum()),
        clips=len(maps),
        clips_with_contrast=len(contrasted),
        peak_in_box=hits,
        peak_in_box_torch=hits_torch,
        ciou=overlap,
        ciou_torch=overlap_torch,
        clips_with_box=sum(clip.target() is not None for clip in truth.clips),
    )


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Pearson's r of two maps; 0 when one is flat."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float(x @ y) / scale if scale else 0.0


def _on_boxes(clips: Sequence[Clip], maps: FloatArray) -> tuple[float | None, float | None]:
    """(share of peaks in the box, mean cIoU) over the clips with a target; (None, None) when there is none.

    The mask has the target's own size: the released one marks half of the picture, which says nothing of small boxes.
    """
    judged = [(target, cells) for clip, cells in zip(clips, maps, strict=True) if (target := clip.target()) is not None]
    if not judged:
        return None, None
    hits = [peak_in_box(cells, target) for target, cells in judged]
    return float(np.mean(hits)), float(np.mean([adaptive_ciou(cells, target, "lvs") for target, cells in judged]))
