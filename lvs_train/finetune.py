"""Fine-tune a trained model on one's own clips: minutes on a CPU, lower layers kept, forgetting watched.

Kept from forgetting by: the stem and two layers of both trunks and all BatchNorm statistics stay as they are, a part of
every batch comes from the drawn world, few steps at a low rate, and the averaged weights are the result. A tenth of the
clips (by a hash of their ids) is never trained on; it is measured before and after, and so is the drawn world.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lvs_runtime import drawn
from lvs_runtime.errors import ConfigError, DataError

from .checkpoint import Checkpoint
from .config import Recipe, as_mapping, from_mapping, load_recipe, override
from .data.ids import VIDEO_SUFFIXES
from .data.lists import Entry
from .data.pairs import ClipPairs, noise_or_silence
from .data.stores import open_store
from .embed import Embedders, of_model
from .evaluate import auroc, evaluate_drawn, similarity

SHIPPED = Path(__file__).parent / "weights" / "default.safetensors"
RECIPE = Path(__file__).parent / "recipes" / "finetune.toml"
HELD_OUT = 0.1
FEWEST = 8
DRAWN = 50  # drawn pictures that forgetting is measured on
MEASURE_SEED = 8_000_000


@dataclass(frozen=True)
class Figures:
    """How a model does on the held-out clips and on the drawn world; shares and AUROCs are 0...1."""

    clips: int
    own_against_other_clips: float  # AUROC of the map's maximum; NaN when all clips are of one class
    own_against_other_sounds: float  # drawn sounds, noise and silence
    drawn_peak_in_box: float

    def lines(self, after: Figures) -> list[str]:
        """A table of before and after."""
        rows = [
            (f"own sound against other held-out clips' (AUROC, n {self.clips})", "own_against_other_clips"),
            (f"own sound against foreign sounds (AUROC, n {self.clips})", "own_against_other_sounds"),
            (f"drawn world, peak in the sounding thing (n {DRAWN})", "drawn_peak_in_box"),
        ]
        return [f"{text:<60} {getattr(self, name):.3f} -> {getattr(after, name):.3f}" for text, name in rows]


def start_of(path: Path | None) -> Path:
    """The checkpoint to start from: the one given, or the shipped float weights of a checkout."""
    if path is not None:
        return path
    if not SHIPPED.is_file():
        raise ConfigError("finetune: the float weights come with a checkout, not with the wheel; give --ckpt model.pt")
    return SHIPPED


def holds_videos(folder: Path) -> bool:
    """True for a folder of videos rather than of clips."""
    return folder.is_dir() and any(p.suffix.lower() in VIDEO_SUFFIXES for p in folder.iterdir())


def split(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """(trained, held out): a tenth by a hash of the id, two at least. Raises DataError for fewer than eight clips."""
    if len(ids) < FEWEST:
        raise DataError(f"finetune: {len(ids)} clips; want at least {FEWEST}, and some dozens to see an effect")
    order = sorted(ids, key=lambda i: hashlib.sha256(i.encode()).digest())
    number = max(2, round(HELD_OUT * len(ids)))
    return sorted(order[number:]), sorted(order[:number])


def plan(
    folder: Path, out: Path, start: Path, entries: Sequence[Entry] | None, one_class: str, steps: int, seed: int
) -> tuple[Recipe, list[Entry]]:
    """The recipe (its list of clips is written into `out`) and the held-out entries."""
    store = open_store(folder, "auto", entries)
    labels = dict(zip(store.ids, store.labels, strict=True))
    trained, held = split(list(store.ids))
    labelled = entries is not None and all(labels.values()) and not one_class
    out.mkdir(parents=True, exist_ok=True)
    listing = out / "trained.csv"
    listing.write_text("".join(f'{i},"{labels[i]}"\n' if labelled else f"{i}\n" for i in trained), encoding="utf-8")
    values = as_mapping(load_recipe(RECIPE))
    values["data"] |= {
        "clips": [str(folder)], "clip_list": str(listing), "labels": labelled, "one_class": one_class,
    }  # fmt: skip
    values["init"] |= {"checkpoint": str(start)}
    values = override(values, [f"seed={seed}", f"stages.0.steps={steps}"])
    return from_mapping(values, "finetune"), [Entry(i, label=labels[i]) for i in held]


def measure(checkpoint: Checkpoint, folder: Path, held: Sequence[Entry], recipe: Recipe, device: str) -> Figures:
    """Figures on the held-out clips (whole picture, a cut drawn from a fixed seed) and on the drawn world."""
    embed = of_model(checkpoint, device)
    labels, one = recipe.data.labels, recipe.data.one_class
    clips = ClipPairs(
        folder, embed.audio_spec, embed.image_spec, entries=held, picture="none", labels=labels, one_class=one
    )
    pairs = [
        clips._pair(i, np.random.default_rng((MEASURE_SEED, n)), embed.audio_spec.num_samples)
        for n, i in enumerate(clips.usable)
    ]
    cells, sounds = [embed.image(p.image) for p in pairs], [embed.audio(p.waveform) for p in pairs]
    own = [float(similarity(c, a).max()) for c, a in zip(cells, sounds, strict=True)]
    other = [
        float(similarity(c, a).max())
        for p, c in zip(pairs, cells, strict=True)
        for q, a in zip(pairs, sounds, strict=True)
        if p.label != q.label
    ]
    foreign = [float(similarity(c, a).max()) for c in cells for a in _foreign(embed)]
    specs = (embed.audio_spec, embed.image_spec)
    world = evaluate_drawn(embed.image, embed.audio, specs, DRAWN)
    return Figures(len(pairs), auroc(own, other), auroc(own, foreign), float(world["peak_in_box"]["share"]))


def _foreign(embed: Embedders, number: int = 12) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    sounds = []
    for index in range(number):
        rng = np.random.default_rng((MEASURE_SEED, 1, index))
        sounds.append(embed.audio(drawn.training_pair(rng, size_px=64, seconds=embed.audio_spec.seconds)[1]))
    rng = np.random.default_rng((MEASURE_SEED, 2))
    return sounds + [embed.audio(noise_or_silence(rng, embed.audio_spec.num_samples)) for _ in range(4)]
