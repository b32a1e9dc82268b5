"""The output folder: whole files or none, on a disk or behind an address. Two jobs may write it at once."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from ..errors import ConfigError, SinkError
from .settings import Settings
from .sources import import_fsspec, is_url

SETTINGS_NAME = "lvs-archive.json"
_SCRATCH = ".scratch"
_STALE_S = 24 * 3600.0  # unfinished files of killed jobs go after this


class Store(Protocol):
    """Names are relative, with slashes. `OSError` comes through from `write`: the caller says what it means."""

    def exists(self, name: str) -> bool:
        """Whether a whole file of this name is there."""

    def read(self, name: str) -> bytes:
        """Its content."""

    def write(self, name: str, data: bytes) -> None:
        """Put the whole file in place at once, over another if there is one."""

    def create(self, name: str, data: bytes) -> bool:
        """As `write`, unless there is one: then False."""


def open_store(url: str) -> Store:
    """The folder or address `url`."""
    return RemoteStore(url) if is_url(url) else LocalStore(Path(url))


class LocalStore:
    """A folder of this machine (or a shared one): written beside, then renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def exists(self, name: str) -> bool:
        """As said in `Store`."""
        return (self.root / name).is_file()

    def read(self, name: str) -> bytes:
        """As said in `Store`."""
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """As said in `Store`."""
        self._put(name, data, os.replace)

    def create(self, name: str, data: bytes) -> bool:
        """As said in `Store`; of two writers one wins."""
        try:
            self._put(name, data, os.link)
        except FileExistsError:
            return False
        return True

    def tidy(self) -> None:
        """Remove what jobs that were killed a day ago left unfinished."""
        scratch = self.root / _SCRATCH
        for left in scratch.iterdir() if scratch.is_dir() else ():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_S:
                    left.unlink()

    def _put(self, name: str, data: bytes, place: Any) -> None:
        target = self.root / name
        part = self.root / _SCRATCH / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(6)}"
        part.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # No fsync: it costs more than the analysis of a short clip. What a power cut leaves empty is seen as
            # damaged by the next run and made again.
            part.write_bytes(data)
            place(part, target)
        finally:
            part.unlink(missing_ok=True)


class RemoteStore:
    """Behind fsspec: an object store puts whole objects in place, so no renaming is needed."""

    def __init__(self, url: str) -> None:
        fsspec = import_fsspec(url)
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"--out {url}: {error}; install what fsspec needs for it (s3fs, gcsfs)") from error

    def exists(self, name: str) -> bool:
        """As said in `Store`."""
        return bool(self._files.exists(self._at(name)))

    def read(self, name: str) -> bytes:
        """As said in `Store`."""
        data: bytes = self._files.cat_file(self._at(name))
        return data

    def write(self, name: str, data: bytes) -> None:
        """As said in `Store`."""
        path = self._at(name)
        self._files.makedirs(self._files._parent(path), exist_ok=True)
        self._files.pipe_file(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """As said in `Store`, as far as the object store can tell: two jobs that begin in the same instant both win."""
        if self.exists(name):
            return False
        self.write(name, data)
        return True

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def claim(settings: Settings, remake: bool) -> Store:
    """Open the output folder for these settings; `ConfigError` when it holds results of others and not `remake`."""
    store = open_store(settings.out)
    if isinstance(store, LocalStore) and store.root.exists() and not store.root.is_dir():
        raise ConfigError(f"--out {settings.out}: is a file; name a folder")
    wanted = {**settings.of_rows(), "bundle_name": settings.bundle_name}
    text = (json.dumps(wanted, indent=1) + "\n").encode()
    try:
        if store.create(SETTINGS_NAME, text):
            return store
        found = _found(store, settings.out)
        if found == wanted:
            return store
        if not remake:
            differs = ", ".join(
                f"{name} {found.get(name)} (now {value})" for name, value in wanted.items() if found.get(name) != value
            )
            raise ConfigError(
                f"--out {settings.out}: holds results made with {differs}. Choose another folder, or let --remake "
                f"make everything anew"
            )
        store.write(SETTINGS_NAME, text)
    except OSError as error:
        raise SinkError(
            f"--out {settings.out}: cannot be written ({error.strerror or error}). Free some space, or choose another"
        ) from error
    if isinstance(store, LocalStore):
        store.tidy()
    return store


def _found(store: Store, out: str) -> dict[str, Any]:
    try:
        found = json.loads(store.read(SETTINGS_NAME))
    except ValueError as error:
        raise ConfigError(
            f"--out {out}: {SETTINGS_NAME} is damaged ({error}); remove it or use another folder"
        ) from error
    return found if isinstance(found, dict) else {}
