"""Everything the model card states, measured by one function, each with its controls.

Gate, drawn world, tiles, free composites, natural photos, real videos.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DataError

from .config import Recipe
from .data.augment import Waveform
from .data.free import FreeScenes
from .data.natural import natural_scenes
from .data.pairs import noise_or_silence
from .data.sounds import SplitSounds
from .embed import Embedders
from .evaluate import CompositeSet, evaluate_composites, evaluate_drawn
from .gate_check import drawn_sound, gate_shares, silent_windows, sounding_windows, unseen_sounds
from .prepare import material_of
from .scenes import evaluate_scenes
from .video_check import Moments, evaluate_videos, read_moments, write_sheet

BAND_HZ = 3500.0  # the narrowest collection's bandwidth: above it, the noise floor tells collections apart

Say = Callable[[str], None]


def quality_report(
    embed: Embedders,
    recipe: Recipe | None = None,
    number: int = 1000,
    seed: int = 0,
    videos: Sequence[Path] = (),
    sheet: Path | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Figures of a checkpoint or bundle; with a recipe also on its test material, with `videos` on those."""
    report: dict[str, Any] = {"what": embed.name, "seed": seed}
    say("drawn world")
    report["gate_drawn"] = _gate(embed, (drawn_sound(i, embed.audio_spec.seconds) for i in range(300)))
    report["drawn"] = evaluate_drawn(embed.image, embed.audio, (embed.audio_spec, embed.image_spec), min(number, 500))
    if recipe:
        report |= _on_material(embed, recipe, number, seed, say)
    if videos:
        say("videos")
        clips = read_clips(videos, embed.audio_spec.sample_rate, recipe.live_seconds if recipe else 1.0)
        report["videos"] = evaluate_videos(embed, clips, recipe.data.alike if recipe else ())
        if sheet:
            write_sheet(sheet, embed, clips)
    return report


def _on_material(embed: Embedders, recipe: Recipe, number: int, seed: int, say: Say) -> dict[str, Any]:
    specs, alike = (embed.audio_spec, embed.image_spec), recipe.data.alike
    material, bank = material_of(recipe.data, embed.audio_spec.sample_rate)
    report: dict[str, Any] = {"gate_real": _gate(embed, unseen_sounds(bank, 600))}
    for name, same in (("composites_same_source", True), ("composites_any_source", False)):
        say(name)
        tiles = CompositeSet(material, bank, specs, same_source=same, alike=alike, seed=seed)
        report[name] = evaluate_composites(embed.image, embed.audio, tiles, number)
        if same:
            say(f"{name}, band-limited")
            narrow = evaluate_composites(embed.image, _narrow(embed), tiles, number)
            report["composites_same_source_band_limited"] = {
                "band_hz": BAND_HZ, **{k: narrow[k] for k in ("n", "peak_in_tile", "swap_follows")}
            }  # fmt: skip
    sounds = SplitSounds(bank, "test", embed.audio_spec.num_samples)
    noises = [noise_or_silence(np.random.default_rng((3, i)), embed.audio_spec.num_samples) for i in range(60)]
    for name, several in (("free_one", False), ("free_several", True)):
        say(name)
        free = FreeScenes(material, sounds, embed.image_spec, several=several, alike=alike, seed=seed)
        report[name] = evaluate_scenes(embed, (free[i] for i in range(number // 2)), noises)
    say("natural photos")
    report["natural"] = evaluate_scenes(embed, natural_scenes(material, sounds, embed.image_spec, alike), noises)
    return report


def _narrow(embed: Embedders) -> Callable[[Waveform], npt.NDArray[np.float32]]:
    """The audio encoder behind one low-pass for every sound."""

    def audio(waveform: Waveform) -> npt.NDArray[np.float32]:
        spectrum = np.fft.rfft(waveform)
        spectrum[np.fft.rfftfreq(len(waveform), 1 / embed.audio_spec.sample_rate) > BAND_HZ] = 0
        return embed.audio(np.fft.irfft(spectrum, len(waveform)).astype(np.float32))

    return audio


def _gate(embed: Embedders, sounds: Iterable[Waveform]) -> dict[str, float]:
    rate = embed.audio_spec.sample_rate
    return gate_shares(embed.thresholds, sounding_windows(sounds, rate), silent_windows(300, rate), rate)


def read_clips(paths: Sequence[Path], sample_rate: int, window_s: float) -> list[Moments]:
    """Videos, or `.jsonl` lists of them (`file` beside the list, `cls`, `split`: only "test" is read)."""
    clips = []
    for path in paths:
        if path.suffix == ".jsonl":
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                if row.get("split", "test") == "test":
                    clips.append(read_moments(path.parent / row["file"], row.get("cls", []), sample_rate, window_s))
        else:
            clips.append(read_moments(path, [path.stem.rstrip("0123456789")], sample_rate, window_s))
    if len(clips) < 2:
        raise DataError(f"--videos: {len(clips)} clips found; the swap needs two of different classes")
    return clips
