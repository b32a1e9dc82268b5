"""Folders of published code, read as they are. A wrong one is recognised and named.

    lvs ez_vsl slavc   frames/<id>.jpg  audio/<id>.wav              fnac: frames/<id>.png
    ssl_tie_train      total_video_frames/<id>/125.jpg  total_video_3s_audio/<id>.wav
    ssl_tie            frame/<id>.jpg (or frames/)  audio/<id>.wav
    ssl_tie_flickr     frames/<id>/00000003.jpg  mp3/<id>.mp3
    acl                frames/ audio/ extend_frames/ extend_audio/
    several_frames     frames/<id>/125.jpg  audio/<id>.wav          (lvs-train prepare --at 3 5 7)
    vssl_eval          frames/ audio/ annotations.json             is3: images/ audio_wav/ IS3_annotation.json
    shards             *.tar with <id>.jpg and <id>.wav            (lvs-train prepare --tar, webdataset)

Ids may begin with `-`, suffixes may be in capitals. What a list names and the folder lacks is counted and named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from lvs_runtime.errors import DataError

from .decode import Slice
from .ids import VIDEO_SUFFIXES, clip_key
from .lists import Entry
from .material import IMAGE_SUFFIXES, SOUND_SUFFIXES
from .shards import Member, Shards, is_sharded

SHARDS = "shards"
JPEG = frozenset({".jpg", ".jpeg"})
PNG = frozenset({".png"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a published program looks for pictures and sounds under its root."""

    name: str
    images: tuple[str, ...]
    sounds: tuple[str, ...]
    image_suffixes: frozenset[str]
    frame: str | None = None  # pictures lie as <id>/<frame>
    marks: tuple[str, ...] = ()  # only this layout has them

    @property
    def suffix(self) -> str:
        """What pictures usually end in."""
        return ".png" if self.name == "fnac" else ".jpg"


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("lvs", ("frames",), ("audio",), JPEG),
        Layout("ez_vsl", ("frames",), ("audio",), JPEG),
        Layout("slavc", ("frames",), ("audio",), JPEG),
        Layout("fnac", ("frames",), ("audio",), PNG | JPEG),
        Layout(
            "ssl_tie_train",
            ("total_video_frames",),
            ("total_video_3s_audio",),
            JPEG,
            "125.jpg",
            ("total_video_frames",),
        ),
        Layout("ssl_tie", ("frame", "frames"), ("audio",), JPEG, None, ("frame",)),
        Layout("ssl_tie_flickr", ("frames",), ("mp3",), JPEG, "00000003.jpg", ("mp3",)),
        Layout("acl", ("frames", "extend_frames"), ("audio", "extend_audio"), JPEG | PNG, None, ("extend_audio",)),
        Layout("vssl_eval", ("frames",), ("audio",), JPEG | PNG, None, ("class_files_dict.json",)),
        Layout("several_frames", ("frames",), ("audio",), JPEG, "125.jpg"),
        Layout("is3", ("images",), ("audio_wav",), JPEG | PNG, None, ("audio_wav",)),
    )
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A picture and a sound on disk."""

    id: str
    image: Path | Slice
    sound: Path | Slice
    label: str | None = None
    visible: bool = True  # False: the sound's source is not in the picture


@dataclass(frozen=True)
class ClipFolder:
    """The clips of a root that a list names, in the list's order, and those that lack a file."""

    root: Path
    layout: str
    clips: tuple[Clip, ...]
    listed: int
    missing: Mapping[str, str] = field(default_factory=dict)  # id -> what is not there

    def missing_text(self, shown: int = 5) -> str:
        """One line for people."""
        first = "; ".join(f"{i}: {what}" for i, what in list(self.missing.items())[:shown])
        more = " ..." if len(self.missing) > shown else ""
        return f"{len(self.missing)} of {self.listed} listed clips lack a file ({first}{more})" if self.missing else ""


def recognise(root: Path) -> list[str]:
    """Names of the layouts that `root` looks like, most telling first; empty when none fits."""
    found = [layout.name for layout in LAYOUTS.values() if any((root / m).exists() for m in layout.marks)]
    for layout in LAYOUTS.values():
        images = next((root / d for d in layout.images if (root / d).is_dir()), None)
        if layout.name in found or layout.marks or images is None or not _has(root, layout.sounds):
            continue
        if layout.frame:
            fits = any((p / layout.frame).exists() for p in islice(images.iterdir(), 20))
        else:
            fits = bool(_suffixes(images) & layout.image_suffixes)
        if fits:
            found.append(layout.name)
    return found


def read_clips(root: Path, layout: str = "auto", entries: Sequence[Entry] | None = None) -> ClipFolder:
    """The clips of `entries` (None: all that the folder holds) under `root` in a named layout.

    Raises `DataError` when the root is missing, looks like another layout, or holds not one of the clips.
    """
    if layout == SHARDS or (layout == "auto" and is_sharded(Path(root))):
        return _read_shards(Path(root), entries)
    chosen = _choose(Path(root), layout)
    images, sounds = _Index(Path(root), chosen, True), _Index(Path(root), chosen, False)
    wanted = [Entry(i) for i in sorted(images.ids() | sounds.ids())] if entries is None else list(entries)
    clips, missing = list[Clip](), dict[str, str]()
    for entry in wanted:
        image, sound = images.find(entry.id), sounds.find(entry.audio_id or entry.id)
        if image is None or sound is None:
            lacks = [
                s
                for s, p in ((images.where(entry.id), image), (sounds.where(entry.audio_id or entry.id), sound))
                if not p
            ]
            missing[entry.id] = "no " + " and no ".join(lacks)
        else:
            clips.append(Clip(entry.id, image, sound, entry.label, entry.visible))
    if not clips:
        first = ", ".join(e.id for e in wanted[:3]) or "none"
        there = ", ".join(sorted(images.ids())[:3]) or "none"
        raise DataError(
            f"{root} as {chosen.name}: not one of {len(wanted)} clips has both files. Listed: {first}; "
            f"pictures there: {there} ({len(images.ids())}), sounds: {len(sounds.ids())}. Is it the right list?"
        )
    return ClipFolder(Path(root), chosen.name, tuple(clips), len(wanted), missing)


def _read_shards(root: Path, entries: Sequence[Entry] | None) -> ClipFolder:
    if not is_sharded(root):
        raise DataError(f"{root}: {_what_is_there(root) if root.is_dir() else 'no such folder'}; want *.tar")
    shards = Shards(root)
    wanted = shards.entries() if entries is None else list(entries)
    clips, missing = list[Clip](), dict[str, str]()
    for entry in wanted:
        image, sound = shards.find(entry.id), shards.find(entry.audio_id or entry.id)
        if image is None or sound is None:
            missing[entry.id] = f"{entry.id if image is None else entry.audio_id} is in no shard"
        else:
            places = _slice(root, image, image.image), _slice(root, sound, sound.sound)
            clips.append(Clip(entry.id, *places, entry.label or image.label, entry.visible))
    if not clips:
        raise DataError(f"{root}: not one of {len(wanted)} listed clips is among the {len(shards.members)} in its tars")
    return ClipFolder(root, SHARDS, tuple(clips), len(wanted), missing)


def _slice(root: Path, member: Member, place: tuple[int, int]) -> Slice:
    return Slice(root / member.shard, *place, member.id)


def _choose(root: Path, name: str) -> Layout:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    likely = recognise(root)
    if name != "auto" and name not in LAYOUTS:
        raise DataError(f"layout {name!r} is unknown; possible: auto, {', '.join(LAYOUTS)}, {SHARDS}")
    if name == "auto":
        if not likely:
            raise DataError(f"{root}: {_what_is_there(root)}; want one of {', '.join(LAYOUTS)}. {_hint(root)}")
        return LAYOUTS[likely[0]]
    layout = LAYOUTS[name]
    fits = _has(root, layout.images) and _has(root, layout.sounds)
    images = next((root / d for d in layout.images if (root / d).is_dir()), None)
    if (
        fits
        and images is not None
        and (layout.frame or not _suffixes(images) or _suffixes(images) & layout.image_suffixes)
    ):
        return layout
    instead = f"it looks like {' or '.join(likely)}: --layout {likely[0]}" if likely else _hint(root)
    want = f"{layout.images[0]}/<id>{'/' + layout.frame if layout.frame else layout.suffix}"
    raise DataError(
        f"{root} is not laid out as {name} ({want}, {layout.sounds[0]}/<id>): {_what_is_there(root)}; {instead}"
    )


def _has(root: Path, folders: Iterable[str]) -> bool:
    return any((root / folder).is_dir() for folder in folders)


def _suffixes(folder: Path, look: int = 200) -> set[str]:
    """Suffixes of the first files of a folder; a folder of folders has none."""
    found = set()
    with os.scandir(folder) as entries:
        for _, entry in zip(range(look), entries, strict=False):
            if entry.is_file():
                found.add(Path(entry.name).suffix.lower())
    return found


def _what_is_there(root: Path) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in root.iterdir())
    return f"found {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}" if names else "the folder is empty"


def _hint(root: Path) -> str:
    if _suffixes(root) & VIDEO_SUFFIXES:
        return f"These are videos: lvs-train prepare {root} OUT first"
    inside = [p for p in sorted(root.iterdir()) if p.is_dir() and recognise(p)][:1]
    return f"{inside[0]} looks like {recognise(inside[0])[0]}: give that folder" if inside else ""


class _Index:
    """Files of a layout by id. Flat folders are listed once; folders of frames are asked for one by one."""

    def __init__(self, root: Path, layout: Layout, pictures: bool) -> None:
        self.folders = [root / f for f in (layout.images if pictures else layout.sounds) if (root / f).is_dir()]
        self.frame = layout.frame if pictures else None
        suffixes = layout.image_suffixes | IMAGE_SUFFIXES if pictures else SOUND_SUFFIXES
        self.kind = self.folders[0].name if self.folders else (layout.images if pictures else layout.sounds)[0]
        self.suffix = layout.suffix if pictures else ".wav"
        self.files: dict[str, Path] = {}
        for folder in self.folders:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    stem, suffix = os.path.splitext(entry.name)  # noqa: PTH122 -- 200,000 Path objects are slow
                    if not stem.startswith(".") and (self.frame is not None or suffix.lower() in suffixes):
                        self.files.setdefault(entry.name if self.frame else stem, folder / entry.name)
        self.by_key = {clip_key(i): path for i, path in self.files.items()}

    def ids(self) -> set[str]:
        return set(self.files)

    def find(self, clip: str) -> Path | None:
        path = self.files.get(clip) or self.by_key.get(clip_key(clip))
        if path is None or self.frame is None:
            return path
        frames = {p.name.lower(): p for p in path.iterdir()} if path.is_dir() else {}
        return frames.get(self.frame)

    def where(self, clip: str) -> str:
        return f"{self.kind}/{clip}{'/' + self.frame if self.frame else self.suffix}"
