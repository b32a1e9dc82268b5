"""Parity: how far the maps of the exported graphs lie from the maps of the trained model, on clips.

Errors are those of the similarity map, which is what a user sees, not of single tensors. Each part is measured with
its partner from torch, then both together, then the fused graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lvs_runtime.errors import ParityError

from .graphs import FusedGraph
from .material import Clip
from .precision import MAP_TOLERANCE, Precision, least_correlation
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

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the manifest, rounded to what is meaningful."""
        return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Reference:
    """What torch in float32 says of the clips: embeddings (n, 512, H, W) and (n, 512), maps (n, H, W)."""

    clips: tuple[Clip, ...]
    images: FloatArray
    audios: FloatArray
    maps: FloatArray


def reference(graph: FusedGraph, clips: Sequence[Clip]) -> Reference:
    """Run the torch model on the clips."""
    with torch.inference_mode():
        images = np.concatenate([graph.image(torch.from_numpy(clip.image)).numpy() for clip in clips])
        audios = np.concatenate([graph.audio(torch.from_numpy(clip.waveform)).numpy() for clip in clips])
    return Reference(tuple(clips), images, audios, similarity(images, audios))


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


def measure(
    truth: Reference, image: GraphSession, audio: GraphSession, fused: GraphSession | None
) -> dict[str, MapErrors]:
    """Errors of "image", "audio", "both" and, where there is one, "fused"."""
    images, audios = run_images(image, truth.clips), run_audios(audio, truth.clips)
    found = {
        "image": compare(truth, similarity(images, truth.audios)),
        "audio": compare(truth, similarity(truth.images, audios)),
        "both": compare(truth, similarity(images, audios)),
    }
    if fused is not None:
        maps = [fused.run(image=clip.image, waveform=clip.waveform) for clip in truth.clips]
        found["fused"] = compare(truth, np.concatenate(maps))
    return found


def compare(truth: Reference, maps: FloatArray) -> MapErrors:
    """Errors of `maps` (n, H, W) against the reference's."""
    errors = np.abs(maps.astype(np.float64) - truth.maps)
    if not np.isfinite(errors).all():
        bad = truth.clips[int(np.argmax(~np.isfinite(errors).all((1, 2))))].name
        raise ParityError(f"the exported graph gives NaN or infinity on clip {bad}; nothing written")
    contrasted = [i for i, m in enumerate(truth.maps) if m.std() >= CONTRAST]
    correlations = [_correlation(truth.maps[i], maps[i]) for i in contrasted]
    peaks, wanted = (m.reshape(len(m), -1).argmax(1) for m in (maps, truth.maps))
    return MapErrors(
        worst=float(errors.max()),
        mean=float(errors.mean()),
        worst_clip=truth.clips[int(errors.max((1, 2)).argmax())].name,
        correlation=float(np.mean(correlations)) if correlations else None,
        worst_correlation=min(correlations, default=None),
        peak_moved=int((peaks != wanted).sum()),
        clips=len(maps),
        clips_with_contrast=len(contrasted),
        peak_in_box=_peak_in_box(truth.clips, maps),
        peak_in_box_torch=_peak_in_box(truth.clips, truth.maps),
    )


def judge(errors: Mapping[str, MapErrors], precision: Precision, tolerance: float | None = None) -> None:
    """Raise ParityError, naming part and clip, when any part is out of tolerance.

    fp32 and fp16: worst error of any cell. int8: mean correlation of the maps, at least 0.99 (`tolerance` replaces
    1e-4 and 2e-3, for int8 it is the allowed lack of correlation, 0.01).
    """
    for part, found in errors.items():
        if precision is Precision.INT8:
            least = least_correlation(tolerance)
            if found.correlation is None:
                raise ParityError(
                    f"{part}, int8: no map of {found.clips} clips has contrast (deviation >= {CONTRAST}) to judge "
                    "int8 by; nothing written. Train longer, give clips it knows with --calib, or export --fp16"
                )
            if found.correlation < least:
                raise ParityError(
                    f"{part}, int8: map correlation {found.correlation:.4f} < {least:g} (worst clip "
                    f"{found.worst_correlation:.4f}); nothing written. Give more typical clips with --calib, or export "
                    "--fp16"
                )
            continue
        most = MAP_TOLERANCE[precision] if tolerance is None else tolerance
        if found.worst > most:
            raise ParityError(
                f"{part}, {precision.value}: worst map error {found.worst:.2g} > {most:g} on clip {found.worst_clip}; "
                "nothing written. Export with --precision fp32, or raise --tolerance"
            )


def _correlation(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Pearson's r of two maps; 0 when one is flat."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float(x @ y) / scale if scale else 0.0


def _peak_in_box(clips: Sequence[Clip], maps: FloatArray) -> float | None:
    hits = []
    for clip, cells in zip(clips, maps, strict=True):
        if clip.box_px is None:
            continue
        row, column = divmod(int(cells.argmax()), cells.shape[1])
        x, y = (column + 0.5) * clip.image.shape[2] / cells.shape[1], (row + 0.5) * clip.image.shape[1] / cells.shape[0]
        x0, y0, x1, y1 = clip.box_px
        hits.append(x0 <= x < x1 and y0 <= y < y1)
    return float(np.mean(hits)) if hits else None
