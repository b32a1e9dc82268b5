"""Checks that every file sink makes before a session starts, so that a bad path is told at once."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

from ..errors import SinkError

_LOG = logging.getLogger(__name__)
_LOW_SPACE_BYTES = 500_000_000


def check_writable(path: Path, sink: str) -> None:
    """Raise `SinkError` with the repair when `path` cannot be written; warn when its disk is nearly full."""
    if path.is_dir():
        raise SinkError(f"sink {sink}: {path} is a folder. Name a file in it, for example {path / 'out'}{path.suffix}")
    folder = path.parent
    if not folder.is_dir():
        raise SinkError(f"sink {sink}: there is no folder {folder}. Make it: mkdir -p {folder}")
    blocked = path if path.exists() else folder
    if not os.access(blocked, os.W_OK):
        raise SinkError(f"sink {sink}: no permission to write {blocked}. Choose another path, or: chmod u+w {blocked}")
    free = shutil.disk_usage(folder).free
    if free < _LOW_SPACE_BYTES and not _is_device(path):
        _LOG.warning("sink %s: only %d MB are free in %s", sink, free // 1_000_000, folder)


def cannot_create(error: OSError, sink: str) -> SinkError:
    """`SinkError` for a file that cannot be made, although nothing spoke against it."""
    return SinkError(f"sink {sink}: cannot create it: {error.strerror or error}. Choose another path.")


def write_failed(error: OSError, sink: str, kept: str) -> SinkError:
    """`SinkError` for a write that failed: what happened, and what is kept (`kept`: a sentence)."""
    if error.errno == errno.ENOSPC:
        found, repair = "the disk is full", "Free some space, or choose a path on another disk"
    elif error.errno == errno.EPIPE:
        found, repair = "its reader has gone away", "Keep the reading program running"
    else:
        found, repair = error.strerror or str(error), "Check the path and its disk"
    return SinkError(f"sink {sink}: {found}. {kept} {repair}. The session goes on without this sink.")


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file()
