"""Parity: how far the maps of the exported graphs lie from the maps of the trained model, on clips.

Each part is measured with its partner from torch, then both together, then the fused graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .graphs import FusedGraph
from .maps import MapErrors, Reference, compare, run_audios, run_images, similarity
from .material import Clip
from .session import GraphSession


def reference(graph: FusedGraph, clips: Sequence[Clip]) -> Reference:
    """Run the torch model on the clips."""
    with torch.inference_mode():
        images = np.concatenate([graph.image(torch.from_numpy(clip.image)).numpy() for clip in clips])
        audios = np.concatenate([graph.audio(torch.from_numpy(clip.waveform)).numpy() for clip in clips])
    return Reference(tuple(clips), images, audios, similarity(images, audios))


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
