"""Fine-tune a trained model on one's own clips: minutes on a CPU, lower layers kept, forgetting watched.

Kept from forgetting by: all but the last layer of both trunks and all BatchNorm statistics stay as they are, a part of
every batch comes from the drawn world, few steps at a low rate, and the averaged weights are the result. A tenth of the
videos (by a hash of their names) is never trained on; it is measured before and after, and so is the drawn world.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lvs_runtime import drawn
from lvs_runtime.errors import ConfigError, DataError

from .calibrate import AUDIBLE_ON_DBFS
from .checkpoint import Checkpoint
from .config import Recipe, as_mapping, from_mapping, load_recipe, override
from .data.ids import VIDEO_SUFFIXES, video_key
from .data.lists import Entry
from .data.moments import write_moments
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

    clips: int  # held-out moments
    own_against_other_clips: float  # AUROC of the map's maximum; NaN (and not printed) when all are of one class
    own_against_other_sounds: float  # drawn sounds, noise and silence
    drawn_peak_in_box: float

    def known(self) -> dict[str, float]:
        """The figures that are numbers: what a manifest can hold."""
        return {name: value for name, value in vars(self).items() if np.isfinite(value)}

    def lines(self, after: Figures) -> list[str]:
        """A table of before and after."""
        rows = [
            (f"own sound against other held-out videos' (AUROC, n {self.clips})", "own_against_other_clips"),
            (f"own sound against foreign sounds (AUROC, n {self.clips})", "own_against_other_sounds"),
            (f"drawn world, peak in the sounding thing (n {DRAWN})", "drawn_peak_in_box"),
        ]
        return [
            f"{text:<60} {getattr(self, name):.3f} -> {getattr(after, name):.3f}"
            for text, name in rows
            if name in self.known()
        ]


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


def split(video_of: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(trained, held out) ids: a tenth of the videos by a hash of their names, two at least, with all their moments.

    Raises DataError for fewer than eight videos.
    """
    videos = sorted(set(video_of.values()), key=lambda v: hashlib.sha256(v.encode()).digest())
    if len(videos) < FEWEST:
        raise DataError(f"finetune: {len(videos)} clips; want at least {FEWEST}, and some dozens to see an effect")
    held = set(videos[: max(2, round(HELD_OUT * len(videos)))])
    return sorted(i for i, v in video_of.items() if v not in held), sorted(i for i, v in video_of.items() if v in held)


def plan(clips: Clips, out: Path, start: Path, one_class: str, steps: int, seed: int) -> tuple[Recipe, list[Entry]]:
    """The recipe (its list of clips is written into `out`) and the held-out entries."""
    labels = clips.labels
    trained, held = split(clips.video_of)
    labelled = not one_class and (all(labels.values()) or clips.video_of != {i: i for i in clips.video_of})
    names = {i: labels[i] if all(labels.values()) else clips.video_of[i] for i in labels}
    out.mkdir(parents=True, exist_ok=True)
    listing = out / "trained.csv"
    listing.write_text("".join(f'{i},"{names[i]}"\n' if labelled else f"{i}\n" for i in trained), encoding="utf-8")
    values = as_mapping(load_recipe(RECIPE))
    values["data"] |= {
        "clips": [str(clips.folder)], "clip_list": str(listing), "labels": labelled, "one_class": one_class,
    }  # fmt: skip
    values["init"] |= {"checkpoint": str(start)}
    values = override(values, [f"seed={seed}", f"stages.0.steps={steps}"])
    return from_mapping(values, "finetune"), [Entry(i, label=names[i]) for i in held]


@dataclass(frozen=True)
class Clips:
    """Pictures with their sounds: the folder, which video each id is a moment of, and its class where one is known."""

    folder: Path
    video_of: Mapping[str, str]
    labels: Mapping[str, str | None]


def clips_of(
    source: Path, out: Path, checkpoint: Checkpoint, listed: Sequence[Entry] | None, say: Callable[[str], None]
) -> Clips:
    """The clips of a folder; of a folder of videos, moments of them, written to `out`/clips."""
    if not holds_videos(source):
        store = open_store(source, "auto", listed)
        return Clips(source, {i: video_key(i) for i in store.ids}, dict(zip(store.ids, store.labels, strict=True)))
    quiet = checkpoint.thresholds.get("audible_on_dbfs", AUDIBLE_ON_DBFS)
    video_of = write_moments(source, out / "clips", checkpoint.audio.sample_rate, quiet, say)
    label_of: dict[str, str | None] = {e.id: e.label for e in listed or ()}
    if listed:
        video_of = {i: v for i, v in video_of.items() if v in label_of}
    say(f"{len(video_of)} moments of {len(set(video_of.values()))} videos in {out / 'clips'}")
    return Clips(out / "clips", video_of, {i: label_of.get(v) for i, v in video_of.items()})


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
