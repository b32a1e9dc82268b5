"""What the user wrote as INPUT -> the single recordings in it: files, folders, globs, @lists, tar shards, URLs."""

from __future__ import annotations

import fnmatch
import glob
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..errors import ConfigError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".m4v", ".3gp", ".flv", ".ogv",
     ".wmv", ".mxf", ".asf", ".vob", ".y4m")
)  # fmt: skip
SHARD_SUFFIX, RECORDING_SUFFIX = ".tar", ".mcap"
_SUFFIXES = VIDEO_SUFFIXES | {SHARD_SUFFIX, RECORDING_SUFFIX}
_PACKED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst", ".zip")


@dataclass(frozen=True, slots=True)
class Source:
    """One recording: a file, an address (s3://...), or a member of an uncompressed tar file (a webdataset shard)."""

    path: str  # absolute path or URL
    member: str = ""  # name inside the tar
    offset: int = 0  # where the member's bytes begin
    size_bytes: int | None = None  # of the member
    problem: str = ""  # why it cannot be read, when that was seen while listing

    def __str__(self) -> str:
        """The name that tables and messages show."""
        return f"{self.path}::{self.member}" if self.member else self.path

    @property
    def is_remote(self) -> bool:
        """Whether fsspec opens it."""
        return is_url(self.path)

    @property
    def suffix(self) -> str:
        """In lower case, of the member if there is one."""
        return PurePosixPath(self.member or self.path).suffix.lower()


def is_url(text: str) -> bool:
    """Whether `text` is an address like s3://bucket/name rather than a path."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isalnum()


def import_fsspec(asked: str) -> Any:
    """fsspec, or a `ConfigError` that says how to get it."""
    try:
        import fsspec
    except ImportError as error:
        raise ConfigError(f"{asked}: addresses need fsspec: pip install 'lvs[cluster]'") from error
    return fsspec


def open_whole(path: str) -> BinaryIO:
    """A file or address for reading; raises what the system or fsspec raises."""
    if is_url(path):
        remote: BinaryIO = import_fsspec(path).open(path, "rb").open()
        return remote
    return Path(path).open("rb")


def find_sources(inputs: Iterable[str], out: str | None = None) -> Iterator[Source]:
    """Every recording that `inputs` name, each once, in their order; folders and globs sorted.

    Lazy: a million files are never held as a list of anything but names. What lies in `out`, the job's own output
    folder, is a `ConfigError`; so is an input that matches nothing. A line of an @list may name a file that is gone:
    that is this file's own failure.
    """
    seen: set[str] = set()
    for text in inputs:
        found = False
        for source in _of_input(text):
            found = True
            _outside(source, out, text)
            if str(source) not in seen:
                seen.add(str(source))
                yield source
        if not found:
            kinds = " ".join(sorted(_SUFFIXES))
            raise ConfigError(f"{text}: no recording matches. Looked for {kinds}; quote globs, or name files")


def _of_input(text: str) -> Iterator[Source]:
    if not text:
        raise ConfigError("INPUT is empty: name files, folders, globs, @list.txt, .tar shards or .mcap recordings")
    if text.startswith("@"):
        yield from _of_list(Path(text[1:]))
    elif is_url(text):
        yield from _of_url(text)
    elif (path := Path(text).absolute()).is_dir():
        yield from _of_folder(path)
    elif path.exists():
        yield from _of_file(str(path))
    elif glob.has_magic(text):
        for name in sorted(glob.iglob(str(path), recursive=True)):  # noqa: PTH207 -- absolute patterns
            if Path(name).is_dir():
                yield from _of_folder(Path(name))
            elif Path(name).suffix.lower() in _SUFFIXES:
                yield from _of_file(name)
    else:
        raise ConfigError(f"{text}: no such file or folder in {Path.cwd()}")


def _of_list(path: Path) -> Iterator[Source]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"@{path}: the list cannot be read ({error}); want UTF-8 text, one input a line") from error
    for line in lines:
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        if is_url(entry):
            yield from _of_url(entry)
            continue
        entry_path = path.absolute().parent / entry  # as the list's reader expects: relative to the list
        if entry_path.exists() or glob.has_magic(entry):
            yield from _of_input(str(entry_path))
        else:
            yield Source(str(entry_path), problem="no such file (named in a list)")


def _of_folder(root: Path) -> Iterator[Source]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if PurePosixPath(name).suffix.lower() in _SUFFIXES and not name.startswith("."):
                yield from _of_file(f"{folder}/{name}")


def _of_url(text: str) -> Iterator[Source]:
    fsspec = import_fsspec(text)
    try:
        files, path = fsspec.core.url_to_fs(text)
        if glob.has_magic(text):
            names = sorted(files.glob(path))
        else:
            names = sorted(files.find(path)) if files.isdir(path) else [path]
    except (ImportError, ValueError, OSError) as error:
        raise ConfigError(
            f"{text}: cannot be listed ({error}); is its fsspec package (s3fs, gcsfs) installed?"
        ) from error
    for name in names:
        whole = len(names) == 1 or PurePosixPath(name).suffix.lower() in _SUFFIXES
        if whole:
            yield from _of_file(files.unstrip_protocol(name))


def _of_file(path: str) -> Iterator[Source]:
    lower = path.lower()
    if lower.endswith(_PACKED):
        yield Source(path, problem="a compressed archive: its members cannot be reached singly; unpack it, or use .tar")
    elif lower.endswith(SHARD_SUFFIX):
        yield from _of_shard(path)
    else:
        yield Source(path)


def _of_shard(path: str) -> Iterator[Source]:
    """The videos among a tar's members, with where their bytes lie; other members (json, txt) are left alone."""
    found = 0
    try:
        with open_whole(path) as stream, tarfile.open(fileobj=stream, mode="r:") as shard:
            for member in shard:
                if member.isfile() and PurePosixPath(member.name).suffix.lower() in VIDEO_SUFFIXES:
                    found += 1
                    yield Source(path, member.name, member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        yield Source(path, problem=f"the tar file is damaged after {found} videos ({error}); make it again")
        return
    if not found:
        yield Source(path, problem="no video is in this tar file")


def _outside(source: Source, out: str | None, text: str) -> None:
    if out is None:
        return
    root = out.rstrip("/")
    if source.path.startswith(root + "/") or fnmatch.fnmatchcase(root, source.path):
        raise ConfigError(f"{text}: matches the output folder itself ({source.path}); choose an --out outside of it")
