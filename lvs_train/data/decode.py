"""Files to arrays, once: photos stay encoded in memory, sounds are kept as int16 at 16 kHz in one cache file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DataError

from .material import Item

Image = npt.NDArray[np.uint8]
Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Slice:
    """A file within a file: a member of a tar. Read like a path."""

    path: Path
    offset: int
    size: int
    name: str

    def read_bytes(self) -> bytes:
        """The member. Raises OSError, or DataError when the file ends before it does."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) != self.size:
            raise DataError(f"{self}: ends early; is the shard whole?")
        return data

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


def read_image(path: Path | Slice) -> Image:
    """(H, W, 3) RGB uint8. Raises DataError when the file is not a picture."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: not a readable picture ({error.strerror})") from error
    return decode_image(data, str(path))


def decode_image(encoded: bytes, name: str) -> Image:
    """The same from a file's bytes; `name` stands in the error."""
    import cv2

    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
    if image is None:
        raise DataError(f"{name}: not a readable picture ({len(encoded)} bytes)")
    return np.asarray(image[..., ::-1], np.uint8)


def read_sound(path: Path | Slice, sample_rate: int) -> Waveform:
    """Mono float32 in [-1, 1] at `sample_rate`. Raises DataError when unreadable, empty or not finite."""
    if isinstance(path, Path):
        return decode_sound(path, str(path), sample_rate)
    try:
        encoded = BytesIO(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: not a readable sound ({error.strerror})") from error
    return decode_sound(encoded, str(path), sample_rate)


def decode_sound(source: Path | BytesIO, name: str, sample_rate: int) -> Waveform:
    """The same from a path or a file's bytes; `name` stands in the error."""
    import soundfile

    try:
        data, rate = soundfile.read(source, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{name}: not a readable sound ({error})") from error
    mono = data.mean(1)
    if rate != sample_rate:
        import soxr

        mono = soxr.resample(mono, rate, sample_rate)
    if not len(mono) or not np.isfinite(mono).all():
        raise DataError(f"{name}: {len(mono)} samples, finite: {bool(np.isfinite(mono).all())}; cannot be used")
    return np.asarray(mono, np.float32)


class SoundBank:
    """All sounds decoded, int16 in one array; `bank[i]` is item i as float32.

    `cache` (a folder) keeps the decoded array; its name is a hash of the paths and sizes, so a change makes a new one.
    Unreadable files are listed in `failures` and held as None; more than 1 % of them raises DataError.
    """

    def __init__(self, items: Sequence[Item], sample_rate: int, cache: Path | None = None) -> None:
        self.items = list(items)
        self.failures: list[str] = []
        key = hashlib.sha256(
            "\n".join(f"{i.path} {i.path.stat().st_size} {sample_rate}" for i in items).encode()
        ).hexdigest()[:16]
        file = None if cache is None else cache / f"sounds-{key}.npz"
        if file is not None and file.is_file():
            with np.load(file) as saved:
                self.samples, self.offsets = saved["samples"], saved["offsets"]
            return
        self._decode(sample_rate)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_name(f".{file.stem}.tmp.npz")
            np.savez(temporary, samples=self.samples, offsets=self.offsets)
            temporary.replace(file)

    def _decode(self, sample_rate: int) -> None:
        parts: list[npt.NDArray[np.int16]] = []
        for item in self.items:
            try:
                parts.append(np.round(read_sound(item.path, sample_rate).clip(-1, 1) * 32767).astype(np.int16))
            except DataError as error:
                self.failures.append(str(error))
                parts.append(np.zeros(0, np.int16))
        if len(self.failures) > max(1, len(self.items) // 100):
            raise DataError(f"{len(self.failures)} of {len(self.items)} sounds are unreadable: {self.failures[:3]}")
        self.samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        self.offsets = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Waveform:
        first, last = self.offsets[index], self.offsets[index + 1]
        return np.asarray(self.samples[first:last] / np.float32(32767), np.float32)
