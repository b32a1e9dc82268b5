"""Where clips lie: a folder in a published layout, or tar shards. Both give the same clips in the same order.

Files are decoded when they are asked for, so 200,000 clips need no memory; all of them are tried once before training,
because what one step sees must not depend on which file turns out to be broken on the way.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from lvs_runtime.errors import DataError

from .augment import Image, Waveform
from .decode import read_image, read_sound
from .layouts import read_clips
from .lists import Entry
from .shards import ShardStore, is_sharded

TOLERATED = 0.01  # share of unreadable clips


class UnreadableWarning(UserWarning):
    """Some clips cannot be read and are left out."""


class ClipStore(Protocol):
    """Clips by number."""

    @property
    def ids(self) -> Sequence[str]:
        """Names of the clips."""
        ...

    @property
    def labels(self) -> Sequence[str | None]:
        """Classes, where the list names them."""
        ...

    def image(self, index: int) -> Image:
        """(H, W, 3) RGB uint8; DataError when unreadable."""
        ...

    def sound(self, index: int, sample_rate: int) -> Waveform:
        """Mono float32; DataError when unreadable."""
        ...

    def version(self, index: int) -> str:
        """Changes when the clip's files do."""
        ...


class FolderStore:
    """Clips as files."""

    def __init__(self, root: Path, layout: str = "auto", entries: Sequence[Entry] | None = None) -> None:
        found = read_clips(root, layout, entries)
        self.clips = found.clips
        self.missing = dict(found.missing)
        self.ids: Sequence[str] = [c.id for c in self.clips]
        self.labels: Sequence[str | None] = [c.label for c in self.clips]

    def image(self, index: int) -> Image:
        """See ClipStore."""
        return read_image(self.clips[index].image)

    def sound(self, index: int, sample_rate: int) -> Waveform:
        """See ClipStore."""
        return read_sound(self.clips[index].sound, sample_rate)

    def version(self, index: int) -> str:
        """See ClipStore."""
        clip = self.clips[index]
        sizes = (p.stat().st_size if isinstance(p, Path) else p.size for p in (clip.image, clip.sound))
        return " ".join(map(str, (clip.id, *sizes)))


def open_store(root: Path, layout: str = "auto", entries: Sequence[Entry] | None = None) -> ClipStore:
    """Tar shards when the folder holds some, files otherwise. Raises DataError when no clip is there."""
    if is_sharded(root):
        return ShardStore(root, entries)
    try:
        return FolderStore(root, layout, entries)
    except DataError as error:
        raise DataError(f"clips {error}") from error


def unreadable(store: ClipStore, sample_rate: int, cache: Path | None = None) -> dict[int, str]:
    """Try every clip once: number -> what is wrong with it. `cache` (a folder) keeps the answer for the same files.

    Raises DataError when more than 1 % (and more than one) cannot be read; fewer are named in an UnreadableWarning.
    """
    file = None
    if cache is not None:
        key = hashlib.sha256("\n".join(store.version(i) for i in range(len(store.ids))).encode()).hexdigest()[:16]
        file = cache / f"checked-{key}.json"
    if file is not None and file.is_file():
        failures = {int(i): str(what) for i, what in json.loads(file.read_text(encoding="utf-8")).items()}
    else:
        failures = _try_all(store, sample_rate)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
            temporary.write_text(json.dumps(failures), encoding="utf-8")
            temporary.replace(file)
    if failures:
        first = "; ".join(list(failures.values())[:5])
        text = (
            f"{len(failures)} of {len(store.ids)} clips are unreadable ({first}{' ...' if len(failures) > 5 else ''})"
        )
        if len(failures) > max(1, TOLERATED * len(store.ids)):
            raise DataError(
                f"{text}: more than 1 % stops the run. Mend or remove them, or name the good ones in a list"
            )
        warnings.warn(f"{text}: left out", UnreadableWarning, stacklevel=2)
    return failures


def _try_all(store: ClipStore, sample_rate: int) -> dict[int, str]:
    def check(index: int) -> str | None:
        try:
            store.image(index)
            store.sound(index, sample_rate)
        except DataError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        answers = pool.map(check, range(len(store.ids)))
        return {i: answer for i, answer in enumerate(answers) if answer is not None}
