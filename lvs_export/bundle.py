"""Write a bundle: everything into `DIR.tmp-<pid>`, flushed to disk, checked by the runtime, then renamed over DIR.

Whatever fails before the last rename leaves the previous bundle as it was and no half-written folder behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lvs_runtime.bundle import MANIFEST_NAME, Bundle
from lvs_runtime.errors import BundleError, ConfigError

MEGABYTE = 1e6


def write_bundle(out: str | Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Path:
    """Write `files` and the manifest (its `files` table is filled in here) as the bundle `out`; returns its path.

    Raises ConfigError when `out` holds anything but a bundle, BundleError when it cannot be written; then the
    previous bundle is untouched.
    """
    out = check_target(out)
    text = manifest_text(files, manifest)
    temporary = out.with_name(f"{out.name}.tmp-{os.getpid()}")
    needed = sum(map(len, files.values())) + len(text)
    try:
        temporary.mkdir(parents=True)
        for name, data in [*files.items(), (MANIFEST_NAME, text)]:
            _write(temporary / name, data)
        _flush_folder(temporary)
        Bundle.open(temporary)  # what the runtime would refuse is never put in place
        _swap(temporary, out)
    except OSError as error:
        raise BundleError(
            f"cannot write {out}: {_reason(error, out, needed)}; the previous bundle is untouched"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def manifest_text(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> bytes:
    """The manifest as UTF-8 JSON, with size and sha256 of every file."""
    table = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    return (json.dumps({**manifest, "files": table}, indent=2, ensure_ascii=False) + "\n").encode()


def check_target(out: str | Path) -> Path:
    """The absolute path, when a bundle may be written there.

    Raises ConfigError for a file or a folder with other things in it (which writing would delete), BundleError when
    the folder above cannot be written.
    """
    out = Path(out).resolve()
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder")
    foreign = sorted(_names(out) - _own_names(out)) if out.is_dir() else []
    if foreign:
        raise ConfigError(
            f"--out {out} holds {', '.join(foreign[:3])}{' ...' if len(foreign) > 3 else ''}, not (only) a bundle, and "
            "would be replaced; name another folder"
        )
    above = next(folder for folder in out.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise BundleError(f"cannot write {out}: {above} is not a writable folder; name another with --out")
    return out


def created_now() -> str:
    """UTC time as ISO 8601; SOURCE_DATE_EPOCH (seconds) replaces the clock for reproducible builds."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds) if seconds.isdecimal() else None))


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _own_names(folder: Path) -> set[str]:
    """Names that belong to the bundle in `folder`: its manifest and what that lists."""
    with suppress(OSError, ValueError):
        listed = json.loads((folder / MANIFEST_NAME).read_bytes())
        if isinstance(listed, dict) and isinstance(listed.get("files"), dict):
            return {MANIFEST_NAME, *listed["files"]}
    return set()


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(temporary: Path, out: Path) -> None:
    """Put the new folder in the place of the old one; back again when the second rename fails."""
    old = out.with_name(f"{out.name}.old-{os.getpid()}")
    if out.exists():
        out.rename(old)
        try:
            temporary.rename(out)
        except OSError:
            old.rename(out)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(out)
    _flush_folder(out.parent)


def _reason(error: OSError, out: Path, needed: int) -> str:
    free = ""
    with suppress(OSError, StopIteration):
        above = next(folder for folder in out.parents if folder.exists())
        free = f", {shutil.disk_usage(above).free / MEGABYTE:.0f} MB free"
    return f"{error.strerror or error} (needs {needed / MEGABYTE:.0f} MB{free})"
