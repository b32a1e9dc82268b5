"""Folders of photos and sounds, indexed by class, source and split.

A root holds any `*.jsonl` whose lines name files (`file`, `cls` a name or a list, optional `source`, `recording`,
`split`, `box` or `boxes`), or, without one, `images/<class>/*` and `sounds/<class>/*`. Only files that exist count.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lvs_runtime.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
SOUND_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})
TEST_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Item:
    """One photo or sound. `classes` is empty for silent things and background noise (`_silent`, `_background`)."""

    path: Path
    classes: tuple[str, ...]
    group: str  # what the folder calls it, e.g. "dog", "_silent", "_scene"
    source: str
    split: str
    boxes: tuple[tuple[str, float, float, float, float], ...] = ()


@dataclass(frozen=True)
class Material:
    """All items of some roots. Photos and sounds of one split, by class."""

    photos: tuple[Item, ...]
    sounds: tuple[Item, ...]
    missing: int = 0
    _by: dict[tuple[str, str, str], list[Item]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        by: dict[tuple[str, str, str], list[Item]] = defaultdict(list)
        for kind, items in (("photo", self.photos), ("sound", self.sounds)):
            for item in items:
                by[kind, item.split, item.group].append(item)
        self._by.update(by)

    def photos_of(self, group: str, split: str) -> list[Item]:
        """Photos of a class (or `_silent`, `_scene`) in a split."""
        return self._by.get(("photo", split, group), [])

    def sounds_of(self, group: str, split: str) -> list[Item]:
        """Sounds of a class (or `_background`) in a split."""
        return self._by.get(("sound", split, group), [])

    def classes(self, min_photos: int = 1, min_sounds: int = 1) -> list[str]:
        """Names that have at least so many photos and sounds over all splits, sorted."""
        photos, sounds = _count(self.photos), _count(self.sounds)
        return sorted(c for c in photos if photos[c] >= min_photos and sounds.get(c, 0) >= min_sounds and c[0] != "_")


def _count(items: Iterable[Item]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[item.group] += 1
    return dict(counts)


def load_material(
    roots: Iterable[str | Path],
    relabel: Mapping[str, str] | None = None,
    identity: Iterable[str] = (),
    share: float = 1.0,
) -> Material:
    """Index `roots`. `relabel` maps a file pattern (`chicken/*-A.ogg`) to the class it really shows.

    `share` below 1 keeps that part of the training photos and recordings, by a hash of their names: smaller shares are
    parts of larger ones, test items all stay.

    `identity` holds regular expressions for file names: files for which the groups of one are equal are the same photo
    or recording in two collections. The later root's copy is kept; if any copy is test material, the kept one is too.
    Raises DataError for a missing root, an unreadable index, or no photos or no sounds at all.
    """
    photos: list[Item] = []
    sounds: list[Item] = []
    missing = 0
    for root in map(Path, roots):
        if not root.is_dir():
            raise DataError(
                f"material {root}: no such folder; expected *.jsonl beside class folders, or images/ sounds/"
            )
        for path, line in _lines(root):
            if not path.is_file():
                missing += 1
                continue
            item = _item(root, path, line, relabel or {})
            if item.split != "train" or split_of(f"share {_recording(root, path, line)}", share) == "test":
                _place(item, photos, sounds)
    if not photos or not sounds:
        raise DataError(
            f"material {[str(r) for r in roots]}: {len(photos)} photos and {len(sounds)} sounds "
            f"({missing} listed files are missing); both are needed"
        )
    patterns = [re.compile(p) for p in identity]
    return Material(tuple(_unique(photos, patterns)), tuple(_unique(sounds, patterns)), missing)


def _unique(items: list[Item], patterns: list[re.Pattern[str]]) -> list[Item]:
    kept: dict[object, Item] = {}
    for item in items:
        matches = (pattern.search(item.path.name) for pattern in patterns)
        key: object = next(((i, m.groups()) for i, m in enumerate(matches) if m), item.path)
        if key in kept and "test" in (kept[key].split, item.split):
            item = replace(item, split="test")
        kept[key] = item
    return list(kept.values())


def _place(item: Item, photos: list[Item], sounds: list[Item]) -> None:
    suffix = item.path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        photos.append(item)
    elif suffix in SOUND_SUFFIXES:
        sounds.append(item)


def _lines(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    indexes = sorted(root.glob("*.jsonl"))
    for index in indexes:
        for number, text in enumerate(index.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                line = json.loads(text)
                yield root / line["file"], line
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{index} line {number}: {error!r}; expected JSON with at least `file`, `cls`"
                ) from error
    if not indexes:
        for kind in ("images", "sounds"):
            for path in sorted((root / kind).glob("*/*")):
                yield path, {"cls": path.parent.name}


def _item(root: Path, path: Path, line: Mapping[str, Any], relabel: Mapping[str, str]) -> Item:
    name = path.relative_to(root).as_posix()
    group = path.parent.name
    for pattern, new in relabel.items():
        if fnmatch.fnmatch(name, pattern):
            group = new
    listed = line.get("cls", group)
    classes = tuple(listed) if isinstance(listed, list) else (group,)
    boxes = tuple(tuple(box) for box in line.get("boxes", ()))
    if line.get("box") and not boxes:
        boxes = ((group, *line["box"]),)
    source = line.get("source") or path.stem.split("-")[0]
    split = line.get("split") or split_of(_recording(root, path, line))
    return Item(path, tuple(c for c in classes if c[0] != "_"), group, source, split, boxes)


def _recording(root: Path, path: Path, line: Mapping[str, Any]) -> str:
    return line.get("recording") or path.relative_to(root).as_posix()


def split_of(key: str, test_share: float = TEST_SHARE) -> str:
    """Stable split by the hash of a recording's or photo's name."""
    draw = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
    return "test" if draw < test_share else "train"
