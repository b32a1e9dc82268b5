"""Clips in tar shards of webdataset's kind (`<id>.jpg`, `<id>.wav`), read at random by an index of offsets.

A few large files instead of 300,000 small ones: what network disks want. Webdataset itself reads shards from front to
back and shuffles in a buffer; with the offsets of all members any clip is one read away, so that shards and files give
the same clips in the same order for the same seed. `index.jsonl` beside the tars: first the tars it was made from,
`{"shards": {name: bytes}}`, then one line a clip, `{"id", "shard", "image": [offset, bytes], "sound": [offset, bytes],
"label"?}`. Without one, or when the folder holds other tars by now, they are scanned and it is written.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from lvs_runtime.errors import DataError

from .augment import Image, Waveform
from .decode import decode_image, decode_sound
from .ids import clip_key
from .lists import Entry
from .material import IMAGE_SUFFIXES, SOUND_SUFFIXES

INDEX = "index.jsonl"


@dataclass(frozen=True, slots=True)
class Member:
    """Where a clip's two files stand in a shard: (offset, size in bytes)."""

    id: str
    shard: str
    image: tuple[int, int]
    sound: tuple[int, int]
    label: str | None = None


def is_sharded(root: Path) -> bool:
    """True for a folder with tar files."""
    return root.is_dir() and any(root.glob("*.tar"))


class Shards:
    """The members of a folder of shards by id, in any spelling of it."""

    def __init__(self, root: Path) -> None:
        self.members = {m.id: m for m in read_index(root)}
        self._by_key = {clip_key(i): m for i, m in self.members.items()}

    def find(self, clip: str) -> Member | None:
        """None when no shard holds it."""
        return self.members.get(clip) or self._by_key.get(clip_key(clip))

    def entries(self) -> list[Entry]:
        """All clips, in alphabetical order."""
        return [Entry(i) for i in sorted(self.members)]


class ShardStore:
    """Clips of a folder of shards, by id in alphabetical order, or in the order of `entries`."""

    def __init__(self, root: Path, entries: Sequence[Entry] | None = None) -> None:
        shards = Shards(root)
        wanted = shards.entries() if entries is None else entries
        found = [(e, m) for e in wanted if (m := shards.find(e.id)) is not None]
        self.root, self.members = root, [m for _, m in found]
        self.missing = {e.id: "in no shard" for e in wanted if shards.find(e.id) is None}
        if not found:
            raise DataError(f"clips {root}: not one of {len(wanted)} listed clips is in its {len(shards.members)}")
        self.ids: Sequence[str] = [e.id for e, _ in found]
        self.labels: Sequence[str | None] = [e.label or m.label for e, m in found]
        self._files: dict[str, int] = {}

    def image(self, index: int) -> Image:
        """See ClipStore."""
        member = self.members[index]
        return decode_image(self._read(member, member.image), f"{self.root / member.shard}:{member.id}")

    def sound(self, index: int, sample_rate: int) -> Waveform:
        """See ClipStore."""
        member = self.members[index]
        data = BytesIO(self._read(member, member.sound))
        return decode_sound(data, f"{self.root / member.shard}:{member.id}", sample_rate)

    def version(self, index: int) -> str:
        """See ClipStore."""
        return str(self.members[index])

    def _read(self, member: Member, place: tuple[int, int]) -> bytes:
        """pread: threads share the file without sharing a position."""
        try:
            if member.shard not in self._files:
                self._files[member.shard] = os.open(self.root / member.shard, os.O_RDONLY)
            data = os.pread(self._files[member.shard], place[1], place[0])
        except OSError as error:
            raise DataError(f"{self.root / member.shard}: cannot be read ({error.strerror})") from error
        if len(data) != place[1]:
            raise DataError(f"{self.root / member.shard}:{member.id}: ends early; is the shard whole? Delete {INDEX}")
        return data

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            os.close(file)


def read_index(root: Path) -> list[Member]:
    """All members, from the index or by a scan that writes it. Raises DataError for a damaged index or tar."""
    path = root / INDEX
    if not path.is_file():
        return write_index(root)
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != _head(_shards(root)):
        return write_index(root)
    members = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            row = json.loads(line)
            image, sound = ((int(row[k][0]), int(row[k][1])) for k in ("image", "sound"))
            members.append(Member(row["id"], row["shard"], image, sound, row.get("label")))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"{path} line {number}: {error!r}; delete it, it is made again from the shards") from error
    return members


def write_index(root: Path) -> list[Member]:
    """Scan the shards and write `index.jsonl` whole; a folder that cannot be written is scanned each time.

    Shards that come while others are scanned are not in it, and its first line says so to the next reader.
    """
    shards = _shards(root)
    members = [m for name in shards for m in _scan(root / name)]
    if not members:
        raise DataError(f"{root}: its tar files hold no <id>.jpg beside <id>.wav")
    temporary = root / f".{INDEX}.{os.getpid()}.tmp"
    lines = [_head(shards), *(json.dumps(_row(m)) for m in members)]
    try:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        temporary.replace(root / INDEX)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise DataError(f"{root / INDEX}: cannot be written ({error.strerror})") from error
    return members


def _shards(root: Path) -> dict[str, int]:
    """Names and sizes. One that goes while it is looked at does not count."""
    found = {}
    for path in sorted(root.glob("*.tar")):
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = path.stat().st_size
    return found


def _head(shards: Mapping[str, int]) -> str:
    return json.dumps({"shards": shards})


def _row(member: Member) -> dict[str, Any]:
    row = {"id": member.id, "shard": member.shard, "image": list(member.image), "sound": list(member.sound)}
    return row | ({"label": member.label} if member.label else {})


def _scan(shard: Path) -> Iterator[Member]:
    images: dict[str, tuple[int, int]] = {}
    sounds: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for item in tar:
                name = PurePosixPath(item.name)
                kind = images if name.suffix.lower() in IMAGE_SUFFIXES else sounds
                if item.isfile() and name.suffix.lower() in IMAGE_SUFFIXES | SOUND_SUFFIXES:
                    kind[name.stem] = (item.offset_data, item.size)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard}: not a readable tar ({error})") from error
    for clip in sorted(images.keys() & sounds.keys()):
        yield Member(clip, shard.name, images[clip], sounds[clip])
