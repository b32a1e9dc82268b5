"""Does it listen? Composites with exact ground truth, the swap test, the drawn world, and controls beside each.

Everything here works on two functions, so the torch model and a shipped bundle are measured by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime import drawn
from lvs_runtime.errors import DataError
from lvs_runtime.heatmap import peak_px
from lvs_runtime.metrics import adaptive_mask, boxes_to_target, ciou_of_mask
from lvs_runtime.spec import AudioSpec, ImageSpec

from .data.augment import Image, Waveform
from .data.composite import PxBox, load_photo, material_pool, squash, tiles
from .data.decode import SoundBank
from .data.material import Item, Material
from .data.sounds import SplitSounds

Floats = npt.NDArray[np.float32]
EmbedImage = Callable[[Image], Floats]  # (224, 224, 3) RGB -> (512, 14, 14)
EmbedAudio = Callable[[Waveform], Floats]  # (num_samples,) -> (512,)
MIN_SIDE_PX = 72  # smaller test photos show too little of a thing to be judged


@dataclass(frozen=True, slots=True)
class Composite:
    """A test picture with its own sound and the sound of another object in it."""

    image: Image
    waveform: Waveform
    box: PxBox
    other_waveform: Waveform
    other_box: PxBox
    label: str
    other_label: str
    source: str


class CompositeSet:
    """2 x 2 tiles of test photos: one sounding, one other object with a sound of its own, two more things.

    `same_source` draws all four from the sounding photo's collection, so that its look is no cue. Item i depends on
    (seed, i) alone.
    """

    def __init__(
        self,
        material: Material,
        bank: SoundBank,
        specs: tuple[AudioSpec, ImageSpec],
        *,
        same_source: bool,
        classes: Sequence[str] | None = None,
        alike: Sequence[Sequence[str]] = (),
        split: str = "test",
        seed: int = 0,
    ) -> None:
        self.material, self.split, self.seed, self.same_source = material, split, seed, same_source
        self.audio, self.image, self.alike = *specs, alike
        self.sounds = SplitSounds(bank, split, self.audio.num_samples)
        wanted = classes if classes is not None else material.classes(40, 20)
        self.photos = {c: [p for p in material.photos_of(c, split) if self._large(p)] for c in wanted}
        self.classes = [c for c in wanted if c in self.sounds and self.photos[c]]
        if len(self.classes) < 2:
            raise DataError(f"composites need two classes with {split} photos and sounds; found {self.classes}")

    @staticmethod
    def _large(item: Item) -> bool:
        return int(min(load_photo(item).shape[:2])) >= MIN_SIDE_PX

    def _forbidden(self, label: str) -> frozenset[str]:
        return frozenset({label, *(a for group in self.alike if label in group for a in group)})

    def __getitem__(self, index: int) -> Composite:
        rng = np.random.default_rng((self.seed, index))
        label = self.classes[int(rng.integers(len(self.classes)))]
        own = self._pick(rng, self.photos[label])
        source = own.source if self.same_source else None
        forbidden = self._forbidden(label)
        others = [p for c in self.classes if c not in forbidden for p in self.photos[c] if source in (None, p.source)]
        others = others or [p for c in self.classes if c not in forbidden for p in self.photos[c]]
        other = self._pick(rng, others)
        forbidden |= self._forbidden(other.group)
        pool = [p for p in material_pool(self.material, self.split, source) if p.group not in forbidden]
        pool = (
            pool
            if len(pool) >= 2
            else [p for p in material_pool(self.material, self.split, None) if p.group not in forbidden]
        )
        rest = [pool[i] for i in rng.choice(len(pool), 2, replace=False)]
        return self._build(rng, [own, other, *rest], label)

    def _build(self, rng: np.random.Generator, items: Sequence[Item], label: str) -> Composite:
        half, place = self.image.size_px // 2, int(rng.integers(4))
        pictures = [squash(load_photo(i), (half, half)) for i in items]
        others = [pictures[1], pictures[2], pictures[3]]
        order = rng.permutation(3)
        image, box = tiles([pictures[0], *[others[i] for i in order]], place, self.image.size_px)
        cells = [c for c in range(4) if c != place]
        y, x = divmod(cells[int(np.flatnonzero(order == 0)[0])], 2)
        other_box = (x * half, y * half, (x + 1) * half, (y + 1) * half)
        return Composite(
            image, self.sounds.draw(rng, label), box, self.sounds.draw(rng, items[1].group), other_box,
            label, items[1].group, items[0].source,
        )  # fmt: skip

    @staticmethod
    def _pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
        return items[int(rng.integers(len(items)))]


def similarity(image_embedding: Floats, audio_embedding: Floats) -> Floats:
    """(512, 14, 14), (512,) -> (14, 14)."""
    return np.tensordot(audio_embedding, image_embedding, 1).astype(np.float32)


def peak_inside(similarity_map: Floats, box: PxBox, size_px: int) -> bool:
    """The peak, as the runtime reports it, lies in the box."""
    x, y = peak_px(similarity_map, (size_px, size_px))
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def evaluate_composites(
    embed_image: EmbedImage, embed_audio: EmbedAudio, composites: CompositeSet, number: int
) -> dict[str, Any]:
    """Peak in the right tile, swap test, image-only control; peaks and maxima for calibration; per class and source.

    `mean_iou_adaptive`: overlap of the tile with as many pixels of the map (an oracle of the size).
    """
    size, rows, own, other, embeddings, overlaps = composites.image.size_px, [], [], [], [], []
    items = [composites[i] for i in range(number)]
    for item in items:
        cells = embed_image(item.image)
        audio, audio_other = embed_audio(item.waveform), embed_audio(item.other_waveform)
        embeddings.append((cells, audio))
        heard = similarity(cells, audio)
        own.append(peak_inside(heard, item.box, size))
        target = boxes_to_target([item.box], frame_px=float(size))
        overlaps.append(ciou_of_mask(adaptive_mask(heard, target), target))
        other.append(peak_inside(similarity(cells, audio_other), item.other_box, size))
        rows.append((item.label, item.source, own[-1]))
    mean = np.mean([a for _, a in embeddings], 0)
    image_only = [peak_inside(similarity(c, mean), i.box, size) for (c, _), i in zip(embeddings, items, strict=True)]
    maxima = [float(similarity(c, a).max()) for c, a in embeddings]
    absent = [
        float(similarity(c, embeddings[j][1]).max())
        for n, (c, _) in enumerate(embeddings)
        if (j := _absent(items, n, composites)) is not None
    ]
    return {
        "n": number,
        "classes": len(composites.classes),
        "peak_in_tile": _share(own),
        "swap_follows": _share(other),
        "control_image_only": _share(image_only),
        "chance": 0.25,
        "mean_iou_adaptive": float(np.nan_to_num(overlaps).mean()),
        "auroc_absent": auroc(maxima, absent),
        "own_maxima": _quantiles(maxima),
        "absent_maxima": _quantiles(absent),
        "per_class": _by(rows, 0),
        "per_source": _by(rows, 1),
    }


def _absent(items: Sequence[Composite], index: int, composites: CompositeSet) -> int | None:
    """Another item whose sound's class is not among this item's two known classes."""
    known = composites._forbidden(items[index].label) | composites._forbidden(items[index].other_label)
    for step in range(1, len(items)):
        j = (index + step) % len(items)
        if items[j].label not in known:
            return j
    return None


def evaluate_drawn(
    embed_image: EmbedImage,
    embed_audio: EmbedAudio,
    specs: tuple[AudioSpec, ImageSpec],
    number: int,
    seed: int = 9_000_000,
) -> dict[str, Any]:
    """Peak inside the drawn sounding object's box; seeds of training never reach `seed`."""
    audio, image = specs
    hits, chance, maxima, absent = [], [], [], []
    for index in range(number):
        rng = np.random.default_rng((seed, index))
        picture, waveform, _, box = drawn.training_pair(rng, size_px=image.size_px, seconds=audio.seconds)
        cells = embed_image(picture)
        own = similarity(cells, embed_audio(waveform))
        hits.append(peak_inside(own, box, image.size_px))
        chance.append((box[2] - box[0]) * (box[3] - box[1]) / image.size_px**2)
        maxima.append(float(own.max()))
        picture, waveform, _, _ = drawn.training_pair(rng, size_px=image.size_px, seconds=audio.seconds, absent=True)
        absent.append(float(similarity(embed_image(picture), embed_audio(waveform)).max()))
    return {
        "n": number,
        "peak_in_box": _share(hits),
        "chance_box_area": float(np.mean(chance)),
        "auroc_absent": auroc(maxima, absent),
        "own_maxima": _quantiles(maxima),
        "absent_maxima": _quantiles(absent),
    }


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Chance that a positive scores above a negative (ties count half)."""
    p, n = np.asarray(positive), np.asarray(negative)
    if not len(p) or not len(n):
        return float("nan")
    return float((p[:, None] > n).mean() + 0.5 * (p[:, None] == n).mean())


def _share(hits: Sequence[bool]) -> dict[str, float]:
    """Share with its standard error."""
    share = float(np.mean(hits))
    return {"share": share, "standard_error": float(np.sqrt(share * (1 - share) / len(hits)))}


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"q{q:02d}": float(np.quantile(values, q / 100)) for q in (5, 25, 50, 75, 95)} if len(values) else {}


def _by(rows: Sequence[tuple[str, str, bool]], column: int) -> Mapping[str, dict[str, float]]:
    names = sorted({str(row[column]) for row in rows})
    picked = {name: [row[2] for row in rows if row[column] == name] for name in names}
    return {name: {"n": len(hits), "peak_in_tile": float(np.mean(hits))} for name, hits in picked.items()}
