"""A checkpoint or a bundle as the two functions that evaluation needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lvs_runtime.spec import AudioSpec, ImageSpec

from .checkpoint import Checkpoint, load
from .evaluate import EmbedAudio, EmbedImage

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Embedders:
    """`image` takes (224, 224, 3) RGB uint8, `audio` a 16 kHz waveform; both return unit vectors."""

    image: EmbedImage
    audio: EmbedAudio
    audio_spec: AudioSpec
    image_spec: ImageSpec
    name: str
    thresholds: Mapping[str, float]
    fixed_samples: int | None = None  # the audio graph takes exactly so many; None: any length


def of_checkpoint(path: Path, device: str = "cpu") -> Embedders:
    """The torch model in float32."""
    return of_model(load(path), device, f"{path} (torch float32)")


def of_model(checkpoint: Checkpoint, device: str = "cpu", name: str = "torch float32") -> Embedders:
    """A loaded checkpoint, in evaluation mode."""
    import torch

    from .frontend import ImageNormalize, LogSpectrogram

    model = checkpoint.model.eval().to(device)
    normalize = ImageNormalize(checkpoint.image).to(device)
    spectrogram = LogSpectrogram(checkpoint.audio).to(device)

    @torch.inference_mode()
    def image(picture: npt.NDArray[np.uint8]) -> Floats:
        batch = torch.from_numpy(np.ascontiguousarray(picture)).to(device)[None]
        return np.asarray(model.embed_image(normalize(batch))[0].cpu().numpy(), np.float32)

    @torch.inference_mode()
    def audio(waveform: Floats) -> Floats:
        batch = torch.from_numpy(np.ascontiguousarray(waveform)).to(device)[None]
        return np.asarray(model.embed_audio(spectrogram(batch))[0].cpu().numpy(), np.float32)

    return Embedders(image, audio, checkpoint.audio, checkpoint.image, name, checkpoint.thresholds)


def of_bundle(path: Path | None, device: str = "cpu") -> Embedders:
    """A bundle through lvs_runtime, as a robot would run it; None is the one that ships."""
    from lvs_runtime.localizer import Localizer

    localizer = Localizer.from_bundle(path, device=device)
    name = f"{path or 'default bundle'} ({localizer.precision}, {localizer.provider})"
    return Embedders(
        lambda picture: localizer.embed_image(np.ascontiguousarray(picture[..., ::-1])),
        localizer.embed_audio, localizer.bundle.audio, localizer.bundle.image, name,
        localizer.thresholds, localizer.num_samples,
    )  # fmt: skip
