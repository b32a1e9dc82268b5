"""Running finished bundles on clips, for `lvs-export verify` and `lvs-export diff`. Needs ONNX Runtime, no torch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lvs_runtime.bundle import LIVE_PARTS, Bundle
from lvs_runtime.errors import ConfigError

from . import material
from .maps import MapErrors, Reference, compare, run_audios, run_images, similarity
from .material import Clip
from .session import FloatArray, GraphSession

UNIT_TOLERANCE = 1e-3  # of an embedding's length, half precision included
FUSED_TOLERANCE = 1e-3  # of the fused graph against the split ones: the same numbers in other fusions
DRAWN_CLIPS = 32


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, whether it holds, and the figure."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Run:
    """A bundle on clips: embeddings and maps of the split graphs (empty without them), maps of the fused one, times."""

    images: FloatArray
    audios: FloatArray
    maps: FloatArray
    fused: FloatArray | None
    ms: dict[str, float]


def open_clips(bundle: Bundle, folder: Path | None, seed: int = 1) -> tuple[Clip, ...]:
    """Clips for the bundle's inputs: of `folder` (`--clips`), or of the drawn world."""
    audio = bundle.audio
    given = bundle.manifest.sound_input.shape[1]
    if isinstance(given, int):  # a graph of fixed length may have been exported for another one than it was trained on
        audio = replace(audio, seconds=given / audio.sample_rate)
    if folder is not None:
        return tuple(material.read_folder(folder, audio, bundle.image, flag="--clips", least=1))
    return material.drawn(audio, bundle.image, seed, calibration=0, parity=DRAWN_CLIPS).parity


def run(bundle: Bundle, clips: Sequence[Clip], threads: int | None = None) -> Run:
    """Every graph of the bundle on every clip; ConfigError when the clips do not fit its inputs."""
    parts = bundle.manifest.parts
    files = {part.file: bundle.model_bytes(name) for name, part in parts.items()}
    ms: dict[str, float] = {}
    images = audios = maps = np.zeros((0, 0), np.float32)
    _check_length(bundle, clips)
    if bundle.live_parts == LIVE_PARTS:
        image, audio = (GraphSession(files[parts[name].file], None, threads) for name in LIVE_PARTS)
        ms = {"image": _ms(image, image=clips[0].image), "audio": _ms(audio, waveform=clips[0].waveform)}
        images, audios = run_images(image, clips), run_audios(audio, clips)
        maps = similarity(images, audios)
    fused = None
    if "fused" in parts:
        others = {name: data for name, data in files.items() if name != parts["fused"].file}
        session = GraphSession(files[parts["fused"].file], others or None, threads)
        ms["fused"] = _ms(session, image=clips[0].image, waveform=clips[0].waveform)
        fused = np.concatenate([session.run(image=clip.image, waveform=clip.waveform) for clip in clips])
    return Run(images, audios, maps if maps.size or fused is None else fused, fused, ms)


def checks(found: Run) -> list[Check]:
    """What must hold of any bundle, whatever its weights."""
    result = [Check("maps are finite and in [-1, 1]", bool(np.all(np.abs(found.maps) <= 1 + 1e-3)), _span(found.maps))]
    for name, embedding in (("image", found.images), ("audio", found.audios)):
        if embedding.size:
            lengths = np.linalg.norm(embedding, axis=1)
            off = float(np.where(lengths < 0.5, lengths, np.abs(lengths - 1)).max())  # silence may give a zero vector
            result.append(Check(f"{name} embeddings are unit vectors", off <= UNIT_TOLERANCE, f"off by {off:.1e}"))
    if found.fused is not None and found.images.size:
        worst = float(np.abs(found.fused - found.maps).max())
        result.append(Check("fused graph equals the split ones", worst <= FUSED_TOLERANCE, f"worst {worst:.1e}"))
    return result


def metric(clips: Sequence[Clip], maps: FloatArray) -> dict[str, Any]:
    """Peak-in-box and mean cIoU on clips whose source is known, as plain values."""
    zeros = np.zeros((0, 0), np.float32)
    own = asdict(compare(Reference(tuple(clips), zeros, zeros, maps), maps))
    return {name: own[name] for name in ("clips", "clips_with_box", "peak_in_box", "ciou")}


def compare_bundles(first: Bundle, second: Bundle, clips: Sequence[Clip]) -> tuple[dict[str, MapErrors], Run, Run]:
    """Map errors of `second` against `first` on the same clips, part by part, and both runs."""
    one, two = run(first, clips), run(second, clips)
    truth = Reference(tuple(clips), one.images, one.audios, one.maps)
    errors = {"both": compare(truth, two.maps)}
    if one.images.size and two.images.size:
        errors = {
            "image": compare(truth, similarity(two.images, one.audios)),
            "audio": compare(truth, similarity(one.images, two.audios)),
            **errors,
        }
    return errors, one, two


def _check_length(bundle: Bundle, clips: Sequence[Clip]) -> None:
    wanted, given = bundle.manifest.sound_input.shape[1], clips[0].waveform.shape[1]
    if isinstance(wanted, int) and wanted != given:
        raise ConfigError(
            f"bundle {bundle.path} takes {wanted} samples a clip, the clips have {given}: compare bundles of one "
            "--audio-seconds, or exports made with --dynamic"
        )


def _span(maps: FloatArray) -> str:
    return f"{float(maps.min()):.3f} to {float(maps.max()):.3f}"


def _ms(session: GraphSession, **feed: Any) -> float:
    """Median of seven runs after one."""
    session.run(**feed)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        session.run(**feed)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)
