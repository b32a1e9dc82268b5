"""Similarity maps of a test set, for each clip's own sound and for the sounds that should make no or another map.

own         the clip's sound
image_only  the mean audio embedding of the set: what can be scored without listening
swapped     the sound of another clip, of another class where classes are known (also the off-screen sound)
silence     zeros          noise    Gaussian, standard deviation 1, clipped, the same for a clip id in every run
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import ConfigError, DataError
from lvs_runtime.image import to_network
from lvs_runtime.spectrogram import fit_length

from ..data.augment import Image, Waveform
from ..data.decode import Slice, read_image, read_sound
from ..data.ids import video_key
from ..data.layouts import Clip
from ..data.sounds import central
from ..embed import Embedders
from ..evaluate import similarity

Floats = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
T = TypeVar("T")
R = TypeVar("R")
CONTROLS = ("image_only", "swapped", "silence", "noise")
ROWS = ("own", *CONTROLS)
WINDOWS = ("central", "first")
READERS = 4
TOLERATED = 0.01  # share of unreadable clips


@dataclass(frozen=True)
class Window:
    """Which part of a sound is heard. Short sound is repeated."""

    where: str
    num_samples: int
    sample_rate: int

    def cut(self, waveform: Waveform) -> Waveform:
        """(N,) -> (num_samples,)."""
        if self.where == "first":
            return np.asarray(fit_length(waveform, self.num_samples), np.float32)
        return central(waveform, self.num_samples)

    def __str__(self) -> str:
        return f"{self.where} {self.num_samples / self.sample_rate:g} s"


@dataclass
class Maps:
    """Maps of `clips`, in order: cells[row] is (n, grid, grid) float32."""

    clips: list[Clip]
    cells: dict[str, Floats]
    swapped_with: list[str | None]
    window: Window
    unreadable: dict[str, str] = field(default_factory=dict)


def window_for(embed: Embedders, where: str = "central", seconds: float | None = None) -> Window:
    """`seconds` None: what the model was trained on, or what its graph takes. Raises `ConfigError`."""
    rate = embed.audio_spec.sample_rate
    if where not in WINDOWS:
        raise ConfigError(f"window {where!r} is unknown; possible: {', '.join(WINDOWS)}")
    wanted = None if seconds is None else round(seconds * rate)
    if embed.fixed_samples is not None:
        if wanted not in (None, embed.fixed_samples):
            raise ConfigError(
                f"--seconds {seconds:g}: {embed.name} takes exactly {embed.fixed_samples / rate:g} s; "
                f"use the checkpoint, or export with --dynamic"
            )
        return Window(where, embed.fixed_samples, rate)
    samples = embed.audio_spec.num_samples if wanted is None else wanted
    if samples < embed.audio_spec.n_fft:
        raise ConfigError(f"--seconds {seconds:g}: want at least {embed.audio_spec.n_fft / rate:g} s")
    return Window(where, samples, rate)


def make_maps(
    embed: Embedders,
    clips: Sequence[Clip],
    window: Window,
    seed: int = 0,
    pictures: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Run a model over a test set, once over the sounds and once over the pictures.

    `pictures` names each clip's picture where several clips share one (IS3): sounds are not swapped within. A clip that
    cannot be read is left out and told; more than 1 % of them (and more than one) are a `DataError`.
    """
    told = progress or (lambda *_: None)
    sounds, noises, unreadable = _embed_sounds(embed, clips, window, seed, told)
    kept = [i for i, c in enumerate(clips) if c.id not in unreadable]
    _stop_when_many(unreadable, len(clips))
    names = [(pictures[i] if pictures else video_key(clips[i].id)) for i in kept]
    partners = swap_partners([clips[i] for i in kept], names, seed)
    silence = embed.audio(np.zeros(window.num_samples, np.float32))
    audible = [sounds[i] for i in kept if clips[i].visible] or [sounds[i] for i in kept]
    mean = np.mean(audible, 0)
    rows: dict[str, list[Floats]] = {name: [] for name in ROWS}
    used: list[int] = []
    for n, (index, picture) in enumerate(zip(kept, _ahead(_picture, [clips[i] for i in kept]), strict=True)):
        told("pictures", n + 1, len(kept))
        if isinstance(picture, DataError):
            unreadable[clips[index].id] = str(picture)
            continue
        cells = embed.image(picture)
        partner = partners[n]
        heard = (sounds[index], mean, None if partner is None else sounds[kept[partner]], silence, noises[index])
        for name, audio in zip(ROWS, heard, strict=True):
            rows[name].append(np.zeros(cells.shape[1:], np.float32) if audio is None else similarity(cells, audio))
        used.append(n)
    _stop_when_many(unreadable, len(clips))
    chosen = [partners[n] for n in used]
    if all(p is None for p in chosen):
        del rows["swapped"]
    return Maps(
        [clips[kept[n]] for n in used],
        {name: np.stack(m) for name, m in rows.items()},
        [None if p is None else clips[kept[p]].id for p in chosen],
        window,
        unreadable,
    )


def swap_partners(clips: Sequence[Clip], pictures: Sequence[str], seed: int) -> list[int | None]:
    """For each clip another whose sound is not in its picture, as far as is known; the same in every run.

    None where every other clip is of the same picture or class.
    """

    def differs(i: int, j: int) -> bool:
        same_class = clips[i].label is not None and clips[i].label == clips[j].label
        return pictures[i] != pictures[j] and not same_class

    partners: list[int | None] = []
    for i, clip in enumerate(clips):
        rng = np.random.default_rng((seed, _number(clip.id)))
        drawn = [int(j) for j in rng.integers(len(clips), size=32)]
        partners.append(next((j for j in (*drawn, *range(len(clips))) if differs(i, j)), None))
    return partners


def noise_for(clip: str, num_samples: int, seed: int = 0) -> Waveform:
    """White noise at clipping level (vssl_eval's), a function of the clip's id and the seed."""
    rng = np.random.default_rng((seed, _number(clip)))
    return rng.standard_normal(num_samples, np.float32).clip(-1, 1)


def _number(clip: str) -> int:
    return zlib.crc32(clip.encode())


def _embed_sounds(
    embed: Embedders, clips: Sequence[Clip], window: Window, seed: int, told: Progress
) -> tuple[dict[int, Floats], dict[int, Floats], dict[str, str]]:
    """Audio embeddings of own sounds and of noise, by position; and what could not be read."""
    sounds, noises, unreadable = dict[int, Floats](), dict[int, Floats](), dict[str, str]()
    paths = [c.sound for c in clips]
    for n, waveform in enumerate(_ahead(lambda p: _sound(p, window.sample_rate), paths)):
        told("sounds", n + 1, len(clips))
        if isinstance(waveform, DataError):
            unreadable[clips[n].id] = str(waveform)
            continue
        sounds[n] = embed.audio(window.cut(waveform))
        noises[n] = embed.audio(noise_for(clips[n].id, window.num_samples, seed))
    return sounds, noises, unreadable


def _stop_when_many(unreadable: dict[str, str], total: int) -> None:
    if len(unreadable) > max(1, TOLERATED * total) or len(unreadable) == total:
        first = "; ".join(list(unreadable.values())[:3])
        raise DataError(f"{len(unreadable)} of {total} clips are unreadable, more than 1 %: {first}")


def _picture(clip: Clip) -> Image | DataError:
    try:
        rgb = read_image(clip.image)
    except DataError as error:
        return error
    picture: Image = to_network(np.ascontiguousarray(rgb[..., ::-1]))[0]
    return picture


def _sound(path: Path | Slice, sample_rate: int) -> Waveform | DataError:
    try:
        return read_sound(path, sample_rate).clip(-1, 1)
    except DataError as error:
        return error


def _ahead(read: Callable[[T], R], items: Iterable[T], depth: int = 4 * READERS) -> Iterator[R]:
    """`map` in reader threads, a few items ahead and no more: memory stays bounded."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        for item in items:
            waiting.append(pool.submit(read, item))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
