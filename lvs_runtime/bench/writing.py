"""Result files: written to a temporary name and renamed, so that a file is whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ConfigError, SinkError


def check_writable(option: str, path: Path) -> None:
    """Raise `ConfigError` now when `path` (a file) could not be written after an hour of measuring."""
    folder = path.parent
    if not folder.is_dir():
        raise ConfigError(f"{option} {path}: the folder {folder} does not exist; mkdir -p {folder}")
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; want the name of a file")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise ConfigError(f"{option} {path}: not writable; choose another file or: chmod u+w {folder}")
    try:  # what access rights do not tell: a full or read-only disk, a folder that takes no files
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ConfigError(
            f"{option} {path}: nothing can be written there ({error.strerror}); choose another"
        ) from error


def write_json(option: str, path: Path, report: dict[str, Any]) -> None:
    """One JSON object; raises `SinkError` when it cannot be written."""
    write_text(option, path, json.dumps(report, indent=1, allow_nan=False) + "\n")


def write_text(option: str, path: Path, text: str) -> None:
    """Text, whole or not at all; raises `SinkError`."""
    write_bytes(option, path, text.encode())


def write_bytes(option: str, path: Path, data: bytes) -> None:
    """Bytes, whole or not at all; raises `SinkError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SinkError(f"{option} {path}: cannot be written ({error.strerror}); choose another file") from error


def write_samples(option: str, path: Path, lines: Iterable[str]) -> dict[str, Any]:
    """The raw samples as JSONL; returns the `samples` block (file name, sha256, rows)."""
    data = "".join(line + "\n" for line in lines).encode()
    write_bytes(option, path, data)
    return {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "rows": data.count(b"\n")}


def read_report(path: Path) -> dict[str, Any]:
    """A result of lvs-bench; `ConfigError` when it is none, or of another schema major."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); want a file written with --json") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON ({error}); want a file written by lvs-bench --json") from error
    schema = report.get("schema") if isinstance(report, dict) else None
    if not isinstance(schema, str) or not schema.startswith("lvs-bench/"):
        raise ConfigError(f"{path}: schema {schema!r}; want a result of lvs-bench (schema lvs-bench/1)")
    if schema.split("/")[1].split(".")[0] != "1":
        raise ConfigError(f"{path}: schema {schema} is newer than this lvs reads (lvs-bench/1): pip install -U lvs")
    return dict(report)
