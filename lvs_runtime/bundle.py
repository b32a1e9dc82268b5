"""A bundle: the folder that holds the graphs and says what they are. Read and checked here before anything runs.

Order: the manifest (at most 1 MB, schema, plain names), then every file (regular, no link, size, sha256, and what the
graphs hold), each read once; the runtime gets the very bytes that were checked. The hash proves that a file is the one
the manifest means, not who made either.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType

import msgspec

from .errors import BundleError
from .graph_check import check_graph
from .manifest import SCHEMA, Manifest, Part
from .spec import AudioSpec, ImageSpec

MANIFEST_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 1_000_000
MAX_FILE_BYTES = 1 << 30
DEFAULT_FOLDER = "bundle_default"
LIVE_PARTS = ("image", "audio")  # what streams run, each at its own rate


class Bundle:
    """A checked bundle. `manifest` is what it says of itself; `model_bytes` gives a part's graph."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `Bundle.open`, which checks."""
        self.path = path
        self.manifest = manifest
        self.audio: AudioSpec = manifest.audio_spec()
        self.image: ImageSpec = manifest.image_spec()
        self.thresholds: Mapping[str, float] = MappingProxyType(manifest.checked_thresholds())
        self.live_seconds: float = manifest.live_seconds()  # audio window that live use should hand over
        self._held: dict[str, bytes] = {}

    @classmethod
    def open(cls, path: str | Path | None = None) -> Bundle:
        """Read and check the bundle in folder `path`; None is the one shipped inside this package.

        Raises `BundleError` that says what is wrong with which file and what repairs it.
        """
        folder = default_path() if path is None else Path(path)
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "does not exist"
            raise BundleError(f"bundle {folder} {found}; want a folder written by lvs-export ({MANIFEST_NAME})")
        try:
            bundle = cls(folder, _read_manifest(folder))
        except BundleError as error:
            raise BundleError(f"bundle {folder}: {error}") from error.__cause__
        bundle._check_files()
        return bundle

    def model_bytes(self, part: str) -> bytes:
        """The graph of `part` ("image", "audio", "fused" where there is one), its size and hash proved.

        What `open` has read is handed out once and then let go, so that a running session does not hold it twice.
        """
        name = self.part(part).file
        held = self._held.pop(name, None)
        return self._read(name) if held is None else held

    def file_bytes(self, name: str) -> bytes:
        """A file that the manifest lists, its size and hash proved; `BundleError` when it lists none of that name."""
        if name not in self.manifest.files:
            raise BundleError(f"bundle {self.path}: the manifest lists no file {name!r}; export the bundle anew")
        return self._read(name)

    @property
    def live_parts(self) -> tuple[str, ...]:
        """("image", "audio"), or ("fused",) where the bundle holds nothing else."""
        return self.manifest.live_parts

    def part(self, part: str) -> Part:
        """What the manifest says of `part`; `BundleError` when the bundle has none of that name."""
        try:
            return self.manifest.parts[part]
        except KeyError:
            have = ", ".join(self.manifest.parts)
            hint = (
                "; it was exported with --fused: export it without for separate embeddings"
                if part in LIVE_PARTS
                else ""
            )
            raise BundleError(f"bundle {self.path} has no part {part!r}, only {have}{hint}") from None

    @property
    def name(self) -> str:
        """The bundle's own name."""
        return self.manifest.name

    def _check_files(self) -> None:
        """Every file is the one the manifest means; every graph holds only what lvs exports."""
        live = {self.manifest.parts[name].file for name in self.live_parts}
        graphs = {part.file for part in self.manifest.parts.values()}
        for name in self.manifest.files:
            data = self._read(name)
            if name in graphs:
                with self._named():
                    check_graph(name, data, () if name in live else self.manifest.files)
            if name in live:
                self._held[name] = data

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Put the bundle's path in front of a message about one of its files."""
        try:
            yield
        except BundleError as error:
            raise BundleError(f"bundle {self.path}: {error}") from error.__cause__

    def _read(self, name: str) -> bytes:
        entry = self.manifest.files[name]
        with self._named():
            data = _read_regular(self.path / name, entry.bytes)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise BundleError(
                f"bundle {self.path}: {name}: sha256 differs from the manifest (file changed or download incomplete); "
                f"copy the bundle again or export it anew with lvs-export"
            )
        return data


def default_path() -> Path:
    """Folder of the bundle that ships inside this package (it may be missing from a source tree)."""
    return Path(str(importlib.resources.files("lvs_runtime"))) / DEFAULT_FOLDER


def plain_name(name: str) -> bool:
    """Whether `name` names a file directly inside a folder, on every system."""
    own = PurePosixPath(name).name == name and PureWindowsPath(name).name == name
    return own and name not in ("", ".", "..") and all(c.isprintable() for c in name) and len(name) <= 128


def _read_manifest(folder: Path) -> Manifest:
    data = _read_regular(folder / MANIFEST_NAME, None)
    try:
        raw = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{MANIFEST_NAME} is not JSON ({error}); starts with {data[:16]!r}") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise BundleError(f"{MANIFEST_NAME} states schema {schema!r}, want 1 to {SCHEMA}: is it a bundle's manifest?")
    if schema > SCHEMA:
        raise BundleError(f"schema {schema} is newer than this lvs knows ({SCHEMA}): upgrade lvs")
    try:
        manifest = msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{MANIFEST_NAME}: {error}; export the bundle anew with lvs-export") from error
    for name, entry in manifest.files.items():
        if not plain_name(name) or name == MANIFEST_NAME:
            raise BundleError(f"{MANIFEST_NAME}: {name!r} is not a plain file name and could leave the bundle; refused")
        if not 0 < entry.bytes <= MAX_FILE_BYTES:
            raise BundleError(f"{name}: the manifest claims {entry.bytes} bytes; possible: 1 to {MAX_FILE_BYTES}")
    manifest.check_parts()
    return manifest


def _read_regular(path: Path, expected: int | None) -> bytes:
    """The whole file, when it is a regular one of the expected size (None: a manifest, of bounded size)."""
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            raise BundleError(f"{path.name} is a symbolic link; refused: a bundle holds its files itself")
        # O_NONBLOCK: opening a named pipe must not hang; O_NOFOLLOW: the link may come after the look above
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(f"{path.name} is not a regular file; refused")
            limit = MAX_MANIFEST_BYTES if expected is None else expected
            data = file.read(limit + 1)
    except FileNotFoundError:
        what = "is this a bundle?" if expected is None else "named in the manifest; copy the bundle again, whole"
        raise BundleError(f"{path.name} is missing: {what}") from None
    except OSError as error:
        raise BundleError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if expected is None and len(data) > limit:
        raise BundleError(f"{path.name} is larger than {MAX_MANIFEST_BYTES} bytes; refused")
    if expected is not None and len(data) != expected:
        size = status.st_size
        raise BundleError(f"{path.name} has {size} bytes, the manifest says {expected}: truncated or another file")
    return data
