"""Thresholds from data: how similar is similar enough. Four numbers, fitted on held-out composites and drawn pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lvs_runtime import drawn
from lvs_runtime.errors import DataError
from lvs_runtime.heatmap import CELL_SHIFT

from .config import Recipe
from .data.composite import PxBox
from .data.pairs import ClipPairs, noise_or_silence
from .embed import Embedders
from .evaluate import CompositeSet, similarity
from .prepare import clip_pairs, material_of

Floats = npt.NDArray[np.float32]
CALIBRATION_SEED = 5
AUDIBLE_ON_DBFS, AUDIBLE_OFF_DBFS = -46.0, -50.0


@dataclass(frozen=True, slots=True)
class Example:
    """A map with what is true of it; `box` is None when nothing in the picture makes the sound."""

    similarity_map: Floats
    box: PxBox | None


def drawn_examples(embed: Embedders, number: int, seed: int = 8_000_000) -> Iterable[Example]:
    """Drawn pictures with their own sound, and with one that nothing in them makes."""
    size = embed.image_spec.size_px
    for index in range(number):
        rng = np.random.default_rng((seed, index))
        absent = index % 2 == 1
        picture, waveform, _, box = drawn.training_pair(
            rng, size_px=size, seconds=embed.audio_spec.seconds, absent=absent
        )
        cells = embed.image(picture)
        yield Example(similarity(cells, embed.audio(waveform)), None if absent else box)


def composite_examples(embed: Embedders, composites: CompositeSet, number: int) -> Iterable[Example]:
    """Composites with their own sound, with another class' sound, and with noise."""
    last: tuple[str, Floats] | None = None
    for index in range(number):
        item = composites[index]
        cells, audio = embed.image(item.image), embed.audio(item.waveform)
        yield Example(similarity(cells, audio), item.box)
        if last and last[0] not in (item.label, item.other_label):
            yield Example(similarity(cells, last[1]), None)
        if index % 3 == 0:
            noise = noise_or_silence(np.random.default_rng((77, index)), composites.audio.num_samples)
            yield Example(similarity(cells, embed.audio(noise)), None)
        last = (item.label, audio)


def fit(examples: Sequence[Example], size_px: int) -> dict[str, float]:
    """Thresholds for the manifest. Raises DataError when one kind of example is lacking."""
    own = [e for e in examples if e.box is not None]
    other = [e for e in examples if e.box is None]
    if len(own) < 10 or len(other) < 10:
        raise DataError(f"calibration needs 10 examples with and 10 without a source; got {len(own)} and {len(other)}")
    floor, share = fit_box(own, size_px)
    centre, slope = fit_logistic(
        [float(e.similarity_map.max()) for e in own], [float(e.similarity_map.max()) for e in other]
    )
    return {
        "audible_on_dbfs": AUDIBLE_ON_DBFS,
        "audible_off_dbfs": AUDIBLE_OFF_DBFS,
        "confidence_similarity": round(centre, 4),
        "confidence_slope": round(slope, 3),
        "box_similarity": round(floor, 3),
        "box_relative": round(share, 3),
    }


def fit_logistic(positive: Sequence[float], negative: Sequence[float]) -> tuple[float, float]:
    """Centre and slope of sigmoid(slope (x - centre)), both kinds weighted alike; Newton steps with a weak prior."""
    x = np.concatenate([positive, negative])
    y = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    weight = np.concatenate([np.full(len(positive), 0.5 / len(positive)), np.full(len(negative), 0.5 / len(negative))])
    design = np.stack([x - x.mean(), np.ones_like(x)], 1)
    beta = np.array([5.0, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (weight * (p - y)) + 1e-6 * np.array([beta[0], 0])
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + np.diag([1e-6, 1e-9])
        beta = beta - np.clip(np.linalg.solve(hessian, gradient), -5, 5)
    slope = max(float(beta[0]), 1.0)
    return float(x.mean() - beta[1] / slope), slope


def fit_box(own: Sequence[Example], size_px: int) -> tuple[float, float]:
    """Absolute floor and share of the maximum above which cells overlap the true boxes best.

    The pair of highest mean intersection over union; small and large things count alike, each by its own overlap.
    """
    grid = own[0].similarity_map.shape[0]
    looks_at = (np.arange(grid) + 0.5 - CELL_SHIFT) * size_px / grid
    floors, shares = np.meshgrid(np.arange(0.2, 0.7, 0.02), np.arange(0.4, 0.86, 0.05), indexing="ij")
    scores = np.zeros(floors.shape)
    for example in own:
        x0, y0, x1, y1 = example.box or (0, 0, 0, 0)
        truth = ((looks_at >= y0) & (looks_at < y1))[:, None] & ((looks_at >= x0) & (looks_at < x1))[None]
        limits = np.maximum(floors, shares * example.similarity_map.max())
        masks = example.similarity_map >= limits[..., None, None]
        scores += (masks & truth).sum((2, 3)) / np.maximum((masks | truth).sum((2, 3)), 1)
    best = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(floors[best]), float(shares[best])


def clip_examples(embed: Embedders, clips: ClipPairs, number: int, seed: int = 7_000_000) -> Iterable[Example]:
    """Clips with their own sound and with another clip's; their boxes are unknown, so the whole picture stands in."""
    size, last = embed.image_spec.size_px, None
    for index in range(number):
        pair = clips.draw(np.random.default_rng((seed, index)), embed.audio_spec.num_samples)
        cells, audio = embed.image(pair.image), embed.audio(pair.waveform)
        yield Example(similarity(cells, audio), (0, 0, size, size))
        if last and last[0] != pair.label:
            yield Example(similarity(cells, last[1]), None)
        last = (pair.label, audio)


def calibrate(recipe: Recipe, embed: Embedders) -> dict[str, float]:
    """Thresholds from whatever the recipe trains on: composites of its test split, drawn pairs, or its clips."""
    data, number, examples = recipe.data, recipe.calibration_examples, list[Example]()
    if data.material:
        material, bank = material_of(data, embed.audio_spec.sample_rate)
        specs = (embed.audio_spec, embed.image_spec)
        composites = CompositeSet(material, bank, specs, same_source=False, alike=data.alike, seed=CALIBRATION_SEED)
        examples += composite_examples(embed, composites, number)
    if data.drawn_weight > 0:
        examples += drawn_examples(embed, number // (2 if examples else 1))
    for clips in clip_pairs(recipe, embed.audio_spec, embed.image_spec) if not examples else ():
        examples += clip_examples(embed, clips, number)
    return fit(examples, embed.image_spec.size_px)
