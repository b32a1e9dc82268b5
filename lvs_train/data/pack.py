"""Finished clips into tar shards of webdataset's kind, for disks that dislike 300,000 small files.

A machine packs what it prepared itself: full shards of N clips in clips-I-of-M-00000.tar ..., the rest in a last one.
A tar is written beside its place, moved there whole, and only then do the loose files go; so a kill at any moment
leaves each clip in a shard or as loose files, never in none, never as half a shard.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

from lvs_runtime.errors import DataError

from .shards import INDEX, write_index

LOOSE = ".loose"  # under OUT: clips that are not in a shard yet
_NUMBER = re.compile(r"-(\d+)\.tar$")


def packed_ids(out: Path) -> set[str]:
    """Clips that stand in the shards of `out`, whichever machine packed them. `DataError` for a damaged tar."""
    found = set()
    for path in sorted(out.glob("*.tar")):
        try:
            with tarfile.open(path, "r:") as tar:
                found |= {m.name.removesuffix(".wav") for m in tar if m.name.endswith(".wav")}
        except (tarfile.TarError, OSError) as error:
            raise DataError(f"{path}: not a readable tar ({error}); delete it and run again") from error
    return found


class Packer:
    """Collects the clips of one machine; `out`/.loose holds frames/<id>.jpg and audio/<id>.wav until then."""

    def __init__(self, out: Path, name: str, scratch: Path, clips_per_tar: int) -> None:
        self.out, self.name, self.scratch, self.size = out, name, scratch, clips_per_tar
        numbers = [int(m[1]) for p in out.glob(f"clips-{name}-*.tar") if (m := _NUMBER.search(p.name))]
        self.number = max(numbers, default=-1) + 1
        self.waiting: list[str] = []

    def add(self, clip: str) -> None:
        """A finished clip; writes a shard when enough wait."""
        self.waiting.append(clip)
        if len(self.waiting) == self.size:
            self.flush()

    def flush(self) -> None:
        """Write those that wait as one shard. Raises `DataError` when the disk refuses."""
        if not self.waiting:
            return
        path = self.out / f"clips-{self.name}-{self.number:05d}.tar"
        temporary = self.scratch / path.name
        try:
            with tarfile.open(temporary, "w") as tar:
                for clip in self.waiting:
                    for file in self._files(clip):
                        tar.add(file, file.name, filter=_anonymous)
            # An index that does not know this shard is made again from all; before, because a kill may come between,
            # and after, because a reader may.
            (self.out / INDEX).unlink(missing_ok=True)
            temporary.replace(path)
            (self.out / INDEX).unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}); clips stay, run again") from error
        self.remove_loose(self.waiting)
        self.number, self.waiting = self.number + 1, []

    def remove_loose(self, clips: Iterable[str]) -> None:
        """Loose files of clips that are in a shard."""
        for clip in clips:
            for file in self._files(clip):
                file.unlink(missing_ok=True)

    def _files(self, clip: str) -> tuple[Path, Path]:
        loose = self.out / LOOSE
        return loose / "frames" / f"{clip}.jpg", loose / "audio" / f"{clip}.wav"


def index_when_alone(out: Path, shards: int) -> None:
    """One machine writes the index at once; of several none does, and the first reader of the folder will."""
    if shards == 1 and any(out.glob("*.tar")) and not (out / INDEX).exists():
        write_index(out)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same clips give the same bytes, whoever packs them and when."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o644
    return info
