"""What one training step computes: the tri-map stage, and the class warm-up that brings both trunks into one space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvs_runtime.spec import AudioSpec, ImageSpec

from .config import Loss, Stage
from .data.augment import mask_spectrogram
from .data.pairs import Batch
from .frontend import ImageNormalize, LogSpectrogram
from .losses import TriMapConfig, positive_pool, trimap_loss
from .model import DualResNet, cross_similarity


class StageStep(Protocol):
    """Loss of one batch, with figures to log."""

    def __call__(self, model: DualResNet, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss as a scalar tensor, and figures."""
        ...


class Inputs(nn.Module):
    """Batches of numpy arrays to network inputs on a device."""

    def __init__(self, audio: AudioSpec, image: ImageSpec, device: torch.device) -> None:
        super().__init__()
        self.spectrogram, self.normalize = LogSpectrogram(audio).to(device), ImageNormalize(image).to(device)
        self.floor = float(np.log(audio.floor) / audio.scale)
        self.device = device

    def images(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) normalised, channels last."""
        images: Tensor = self.normalize(torch.from_numpy(batch.images).to(self.device))
        return images.contiguous(memory_format=torch.channels_last)

    def spectrograms(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """(B + X, 1, 257, T), SpecAugment on half of the pairs' own sounds."""
        spectrogram: Tensor = self.spectrogram(torch.from_numpy(batch.waveforms).to(self.device))
        for index in np.flatnonzero(rng.random(len(batch.labels)) < 0.5):
            one = spectrogram[index, 0].cpu().numpy()
            spectrogram[index, 0] = torch.from_numpy(mask_spectrogram(rng, one, self.floor)).to(self.device)
        return spectrogram


class TriMapStep:
    """The paper's objective on (B images, B + X sounds)."""

    def __init__(self, loss: Loss, inputs: Inputs) -> None:
        self.config = TriMapConfig(**{f: getattr(loss, f) for f in loss.__struct_fields__})
        self.inputs = inputs

    def __call__(self, model: DualResNet, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss and the share of rows whose own sound beats all others."""
        similarity = cross_similarity(
            model.embed_image(self.inputs.images(batch)), model.embed_audio(self.inputs.spectrograms(batch, rng))
        )
        same = torch.from_numpy(batch.same()).to(similarity.device)
        square = len(batch.waveforms) == len(batch.labels)
        if self.config.directions == "image" or square:
            loss = trimap_loss(similarity, self.config, same_BK=same)
        else:  # extra sounds have no picture: they are columns for the image anchor only
            rows = replace(self.config, directions="image")
            own, n = replace(self.config, directions="audio"), len(batch.labels)
            loss = trimap_loss(similarity, rows, same_BK=same)
            other = trimap_loss(similarity[:, :n], own, same_BK=same[:, :n])
            loss = other if self.config.directions == "audio" else (loss + other) / 2
        with torch.no_grad():
            pooled = positive_pool(similarity.flatten(2), self.config)
            own_pool = pooled.diagonal()[:, None]
            hits = (own_pool >= pooled.masked_fill(same, -1)).all(1).float().mean()
            peak = similarity.diagonal().amax((0, 1)).mean()
        return loss, {"hit": hits.item(), "own_peak": peak.item()}


class ClassVectors(nn.Module):
    """One direction a class in the shared space; both modalities are drawn to it."""

    def __init__(self, labels: Sequence[str], size: int = 512) -> None:
        super().__init__()
        self.labels = {name: i for i, name in enumerate(labels)}
        self.vectors = nn.Parameter(torch.rand(len(labels), size))  # non-negative at first, as both trunks' outputs are

    def loss(self, similarity: Tensor, labels: Tensor, temperature: float) -> Tensor:
        """Cross-entropy of (N, classes) cosines."""
        return F.cross_entropy(similarity.float() / temperature, labels, label_smoothing=0.05)


class ClassStep:
    """Warm-up with weak labels: pictures (pooled as the positive map) and sounds are told apart by class.

    It uses the class names by which photos and sounds are paired anyway, never a place.
    """

    def __init__(self, loss: Loss, inputs: Inputs, vectors: ClassVectors) -> None:
        self.temperature, self.inputs, self.vectors = loss.temperature, inputs, vectors

    def __call__(self, model: DualResNet, batch: Batch, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Sum of both modalities' cross-entropies, with their accuracies."""
        labels = torch.tensor([self.vectors.labels[name] for name in batch.labels], device=self.inputs.device)
        vectors = F.normalize(self.vectors.vectors, dim=1)
        cells = cross_similarity(model.embed_image(self.inputs.images(batch)), vectors).flatten(2)
        seen = torch.logsumexp(cells * 20, 2) / 20 - np.log(cells.shape[2]) / 20  # soft maximum over cells
        heard = model.embed_audio(self.inputs.spectrograms(batch, rng))[: len(labels)] @ vectors.T
        loss = self.vectors.loss(seen, labels, self.temperature) + self.vectors.loss(heard, labels, self.temperature)
        accuracy = [(x.argmax(1) == labels).float().mean().item() for x in (seen, heard)]
        return loss, {"image_acc": accuracy[0], "audio_acc": accuracy[1]}


def make_step(stage: Stage, loss: Loss, inputs: Inputs, vectors: ClassVectors | None) -> StageStep:
    """The step of a stage's kind."""
    if stage.kind == "classes":
        assert vectors is not None
        return ClassStep(loss, inputs, vectors)
    return TriMapStep(loss, inputs)
