"""What one training step computes: which inputs go through which trunk, and what the loss makes of the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvs_runtime.spec import AudioSpec, ImageSpec

from .config import Augment, Loss, Recipe, Stage
from .data.augment import mask_spectrogram
from .data.pairs import Batch, same_pairs
from .distributed import World
from .frontend import ImageNormalize, LogSpectrogram
from .losses import TriMapConfig, positive_pool, trimap_loss
from .model import DualResNet, cross_similarity, unit
from .rivals import Pairs, RivalHeads
from .upgrades import SlowCopy, Twin, draw_twin, drop_channels, equivariance_loss, mix_sounds

Which = Literal["image", "audio"]
Features = dict[str, Tensor]  # trunk outputs by the name of their view


@dataclass
class Views:
    """The inputs of a step, by name: which trunk, and what goes in. `rng` is the step's own generator."""

    inputs: dict[str, tuple[Which, Tensor]]
    batch: Batch
    rng: np.random.Generator
    world: World
    twin: Twin | None = None


class Objective(nn.Module):
    """Views of a batch, then a loss of their features with figures to log."""

    inputs: Inputs  # set past nn.Module: not a part of what is stored

    def views(self, batch: Batch, rng: np.random.Generator, world: World) -> Views:
        """Inputs on the device."""
        raise NotImplementedError

    def loss(self, model: DualResNet, features: Features, views: Views) -> tuple[Tensor, dict[str, float]]:
        """A scalar, and figures."""
        raise NotImplementedError

    def after_step(self, model: DualResNet) -> None:
        """Called when the optimiser has moved the weights."""


class Inputs(nn.Module):
    """Batches of numpy arrays to network inputs on a device."""

    def __init__(self, audio: AudioSpec, image: ImageSpec, device: torch.device, channels_last: bool = True) -> None:
        super().__init__()
        self.spectrogram, self.normalize = LogSpectrogram(audio).to(device), ImageNormalize(image).to(device)
        self.floor = float(np.log(audio.floor) / audio.scale)
        self.device = device
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def images(self, batch: Batch) -> Tensor:
        """(B, 3, H, W) normalised."""
        images: Tensor = self.normalize(torch.from_numpy(batch.images).to(self.device))
        return images.contiguous(memory_format=self.format)

    def spectrograms(self, batch: Batch, rng: np.random.Generator, augment: Augment | None = None) -> Tensor:
        """(B + X, 1, 257, T): mixed and masked as `augment` says; extra sounds stay as they are."""
        augment = augment or Augment()
        waveforms, n = torch.from_numpy(batch.waveforms).to(self.device), len(batch.labels)
        spectrogram: Tensor = self.spectrogram(waveforms)
        if augment.mixing > 0:
            own = np.random.default_rng(int(rng.bit_generator.seed_seq.generate_state(1)[0]))
            mixed = mix_sounds(waveforms[:n], spectrogram[:n, 0].mean(2), augment.mixing, own)
            spectrogram = torch.cat([self.spectrogram(mixed), spectrogram[n:]])
        if augment.spectrogram == "none":
            return spectrogram
        share, limits = (0.8, (35, 180)) if augment.spectrogram == "tie" else (0.5, (35, 24))
        for index in np.flatnonzero(rng.random(n) < share):
            one = spectrogram[index, 0].cpu().numpy()
            spectrogram[index, 0] = torch.from_numpy(mask_spectrogram(rng, one, self.floor, *limits)).to(self.device)
        return spectrogram


def pairs_of(views: Views, device: torch.device) -> Pairs:
    """How this process's rows meet the columns of all."""
    world, labels = views.world, list(views.batch.labels)
    everyone = [name for part in world.gather_objects(labels) for name in part]
    same = same_pairs(labels, views.batch.also, everyone, views.batch.alike)
    own = torch.arange(len(labels), device=device) + world.rank * len(labels)
    return Pairs(own, torch.from_numpy(same).to(device), everyone, views.rng, world)


class TriMapObjective(Objective):
    """The paper's objective on (B images, B + X sounds), with whatever upgrades are switched on."""

    def __init__(self, loss: Loss, augment: Augment, inputs: Inputs, model: DualResNet) -> None:
        super().__init__()
        self.config = TriMapConfig(**{f.name: getattr(loss, f.name) for f in fields(TriMapConfig)})
        self.augment, self.every_source = augment, loss.every_source
        object.__setattr__(self, "inputs", inputs)
        self.slow = SlowCopy(model, augment.momentum) if augment.momentum > 0 else None

    def views(self, batch: Batch, rng: np.random.Generator, world: World) -> Views:
        """Pictures, sounds, and the twins of the pictures."""
        images, sounds = self.inputs.images(batch), self.inputs.spectrograms(batch, rng, self.augment)
        views = Views({"image": ("image", images), "audio": ("audio", sounds)}, batch, rng, world)
        if self.augment.geometric:
            views.twin = draw_twin(rng, len(images))
            views.inputs["twin"] = ("image", views.twin.warp(images).contiguous(memory_format=self.inputs.format))
        return views

    def loss(self, model: DualResNet, features: Features, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Loss and the share of rows whose own sound beats all others."""
        pairs = pairs_of(views, features["audio"].device)
        cells, heard = model.heads.image(features["image"]), model.heads.audio(features["audio"])
        sounds = self._gathered(heard, views)
        if self.slow is None:
            dropped = self._dropped(features["image"], cells, views)
            loss = self._pair_loss(dropped, sounds, pairs, views)
        else:
            slow_cells, slow_sounds = self._targets(views)
            dropped = self._dropped(features["image"], cells, views)
            loss = self._pair_loss(dropped, slow_sounds, pairs, views)
            loss = (loss + self._pair_loss(slow_cells, sounds, pairs, views)) / 2
        if views.twin is not None:
            loss = self._with_twin(loss, model.heads.image(features["twin"]), cells, heard, sounds, pairs, views)
        return loss, self._figures(cells, sounds, pairs)

    def after_step(self, model: DualResNet) -> None:
        """The slow copy follows."""
        if self.slow is not None:
            self.slow.follow(model)

    def _gathered(self, heard: Tensor, views: Views) -> Tensor:
        """Sounds of all processes: the pairs' first, extra ones behind them."""
        n, world = len(views.batch.labels), views.world
        parts = [world.gather(heard[:n])]
        return torch.cat([*parts, world.gather(heard[n:])]) if len(heard) > n else parts[0]

    def _dropped(self, raw: Tensor, cells: Tensor, views: Views) -> Tensor:
        share = self.augment.visual_dropout
        return unit(drop_channels(raw, share, views.rng)) if share > 0 else cells

    @torch.no_grad()
    def _targets(self, views: Views) -> tuple[Tensor, Tensor]:
        assert self.slow is not None
        slow = self.slow.model.train()  # statistics of the batch, as the trained nets see it
        return slow.embed_image(views.inputs["image"][1]), self._gathered(
            slow.embed_audio(views.inputs["audio"][1]), views
        )

    def _pair_loss(self, cells: Tensor, sounds: Tensor, pairs: Pairs, views: Views) -> Tensor:
        similarity = cross_similarity(cells, sounds)
        same = F.pad(pairs.same, (0, len(sounds) - pairs.same.shape[1]))
        gather = views.world.gather
        if not self.every_source or not any(views.batch.also):
            return trimap_loss(similarity, self.config, pairs.own, same, gather)
        rows, columns = shown_pairs(views.batch, pairs, views.rng)
        by_image = replace(self.config, directions="image")
        loss = trimap_loss(similarity[rows], by_image, columns, same[rows])
        if self.config.directions == "image":
            return loss
        by_audio = trimap_loss(similarity, replace(self.config, directions="audio"), pairs.own, same, gather)
        return by_audio if self.config.directions == "audio" else (loss + by_audio) / 2

    def _with_twin(
        self, loss: Tensor, twins: Tensor, cells: Tensor, heard: Tensor, sounds: Tensor, pairs: Pairs, views: Views
    ) -> Tensor:
        assert views.twin is not None
        loss = (loss + self._pair_loss(twins, sounds, pairs, views)) / 2
        if self.augment.equivariance > 0:
            own = heard[: len(cells)]
            maps, twin_maps = (torch.einsum("bchw,bc->bhw", x, own) for x in (cells, twins))
            loss = loss + self.augment.equivariance * equivariance_loss(maps, twin_maps, views.twin)
        return loss

    @torch.no_grad()
    def _figures(self, cells: Tensor, sounds: Tensor, pairs: Pairs) -> dict[str, float]:
        similarity = cross_similarity(cells, sounds)
        pooled = positive_pool(similarity.flatten(2), self.config)
        rows = torch.arange(len(cells), device=cells.device)
        same = F.pad(pairs.same, (0, pooled.shape[1] - pairs.same.shape[1]))
        hits = (pooled[rows, pairs.own][:, None] >= pooled.masked_fill(same, -1)).all(1).float().mean()
        return {"hit": hits.item(), "own_peak": similarity[rows, pairs.own].amax((1, 2)).mean().item()}


def shown_pairs(batch: Batch, pairs: Pairs, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(rows, columns) of every picture with its own sound, then with one sound of each further class that it shows.

    The same picture with another sound must answer elsewhere: the place is still never told.
    """
    rows, columns = list(range(len(batch.labels))), pairs.own.tolist()
    names = np.array(pairs.labels)
    for row, shown in enumerate(batch.also):
        for name in shown:
            found = np.flatnonzero(names == name)
            if len(found) and name != batch.labels[row]:
                rows.append(row)
                columns.append(int(found[rng.integers(len(found))]))
    return torch.tensor(rows, device=pairs.own.device), torch.tensor(columns, device=pairs.own.device)


class RivalObjective(Objective):
    """A rival's loss on the same pairs; extra sounds without a picture are left out."""

    def __init__(self, augment: Augment, inputs: Inputs) -> None:
        super().__init__()
        self.augment = augment
        object.__setattr__(self, "inputs", inputs)

    def views(self, batch: Batch, rng: np.random.Generator, world: World) -> Views:
        """Pictures and sounds."""
        images, sounds = self.inputs.images(batch), self.inputs.spectrograms(batch, rng, self.augment)
        sounds = sounds[: len(images)]
        return Views({"image": ("image", images), "audio": ("audio", sounds)}, batch, rng, world)

    def loss(self, model: DualResNet, features: Features, views: Views) -> tuple[Tensor, dict[str, float]]:
        """See lvs_train.rivals."""
        heads = model.heads
        assert isinstance(heads, RivalHeads)
        with torch.autocast(features["image"].device.type, enabled=False):
            image, audio = features["image"].float(), features["audio"].float()
            return heads.loss(image, audio, pairs_of(views, image.device))


class ClassObjective(Objective):
    """Warm-up with weak labels: pictures (pooled as the positive map) and sounds are told apart by class.

    One direction a class in the shared space, to which both modalities are drawn. It uses the class names by which
    photos and sounds are paired anyway, never a place.
    """

    def __init__(self, loss: Loss, inputs: Inputs, labels: Sequence[str], size: int = 512) -> None:
        super().__init__()
        self.temperature, self.labels = loss.temperature, {name: i for i, name in enumerate(labels)}
        object.__setattr__(self, "inputs", inputs)
        self.vectors = nn.Parameter(torch.rand(len(labels), size))  # non-negative at first, as both trunks' outputs are

    def views(self, batch: Batch, rng: np.random.Generator, world: World) -> Views:
        """Pictures and sounds."""
        images, sounds = self.inputs.images(batch), self.inputs.spectrograms(batch, rng)
        return Views({"image": ("image", images), "audio": ("audio", sounds)}, batch, rng, world)

    def loss(self, model: DualResNet, features: Features, views: Views) -> tuple[Tensor, dict[str, float]]:
        """Sum of both modalities' cross-entropies, with their accuracies."""
        device = features["image"].device
        labels = torch.tensor([self.labels[name] for name in views.batch.labels], device=device)
        vectors = F.normalize(self.vectors, dim=1)
        cells = cross_similarity(unit(features["image"]), vectors).flatten(2)
        seen = torch.logsumexp(cells * 20, 2) / 20 - np.log(cells.shape[2]) / 20  # soft maximum over cells
        heard = unit(features["audio"].float().amax((2, 3)))[: len(labels)] @ vectors.T
        loss = self._cross_entropy(seen, labels) + self._cross_entropy(heard, labels)
        accuracy = [(x.argmax(1) == labels).float().mean().item() for x in (seen, heard)]
        return loss, {"image_acc": accuracy[0], "audio_acc": accuracy[1]}

    def _cross_entropy(self, similarity: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(similarity.float() / self.temperature, labels, label_smoothing=0.05)


def make_objective(stage: Stage, recipe: Recipe, inputs: Inputs, model: DualResNet, labels: Sequence[str]) -> Objective:
    """The objective of a stage's kind."""
    if stage.kind == "classes":
        return ClassObjective(recipe.loss, inputs, labels)
    if recipe.loss.objective == "trimap":
        return TriMapObjective(recipe.loss, recipe.augment, inputs, model)
    return RivalObjective(recipe.augment, inputs)
