"""The manifest's schema 1 as types: what `manifest.json` of a bundle must hold, and what it may hold besides."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from .errors import BundleError, ConfigError
from .spec import AudioSpec, ImageSpec

SCHEMA = 1
PRECISIONS = ("fp32", "fp16", "int8")
EMBEDDING_SIZE = 512
THRESHOLDS = (
    "audible_on_dbfs",
    "audible_off_dbfs",
    "confidence_similarity",
    "confidence_slope",
    "box_similarity",  # a cell belongs to a box from this similarity on ...
    "box_relative",  # ... and from this share of the map's maximum on
)


class FileEntry(msgspec.Struct, frozen=True):
    """Size and hash of one file."""

    bytes: int
    sha256: str


class TensorSpec(msgspec.Struct, frozen=True):
    """One input or output of a graph; a string in `shape` is a length that may vary."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One graph. The split ones have one `input`, the fused one `inputs`."""

    file: str
    precision: str
    output: TensorSpec
    input: TensorSpec | None = None
    inputs: tuple[TensorSpec, ...] = ()

    @property
    def only_input(self) -> TensorSpec:
        """The input of a split graph (`Manifest.check_parts` has seen that there is one)."""
        assert self.input is not None
        return self.input

    @property
    def all_inputs(self) -> tuple[TensorSpec, ...]:
        """One for a split graph; picture, then sound, for the fused one."""
        return self.inputs if self.input is None else (self.input,)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`. Keys not named here are ignored, so that a newer writer of the same schema can add some."""

    schema: int
    name: str
    files: dict[str, FileEntry]
    parts: dict[str, Part]
    audio: dict[str, Any]
    image: dict[str, Any]
    thresholds: dict[str, float]
    created: str = ""
    lvs_version: str = ""
    parity: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    training: dict[str, Any] = {}
    licence: str = ""
    tools: dict[str, str] = {}
    engines: dict[str, dict[str, dict[str, Any]]] = {}  # "engine" | "rtx" -> part -> what the engine was built for

    def audio_spec(self) -> AudioSpec:
        """The audio input as the package's own spec."""
        values = {key: value for key, value in self.audio.items() if key != "live_seconds"}
        spec: AudioSpec = _spec(AudioSpec, values, "audio")
        return spec

    def image_spec(self) -> ImageSpec:
        """The image input as the package's own spec."""
        values = {key: tuple(value) if isinstance(value, list) else value for key, value in self.image.items()}
        spec: ImageSpec = _spec(ImageSpec, values, "image")
        return spec

    def live_seconds(self) -> float:
        """Length of the live audio window in seconds; the training window's where the manifest does not say."""
        value = self.audio.get("live_seconds", self.audio_spec().seconds)
        if not isinstance(value, (int, float)) or not 0.1 <= value <= 60:
            raise BundleError(f"manifest.json: audio.live_seconds is {value!r}; want 0.1 to 60 seconds")
        return float(value)

    def checked_thresholds(self) -> dict[str, float]:
        """The thresholds, all five there, finite and in order."""
        missing = [name for name in THRESHOLDS if name not in self.thresholds]
        if missing:
            raise BundleError(f"manifest.json: thresholds lack {', '.join(missing)}; export the bundle anew")
        values = {name: float(value) for name, value in self.thresholds.items()}
        if not all(math.isfinite(value) for value in values.values()):
            raise BundleError(f"manifest.json: thresholds are not all finite: {values}")
        if values["audible_off_dbfs"] > values["audible_on_dbfs"]:
            raise BundleError("manifest.json: audible_off_dbfs is above audible_on_dbfs: the gate could never rest")
        return values

    def check_parts(self) -> None:
        """Hashes look like hashes, parts name files that are listed, and the live parts have the right shapes."""
        for name, entry in self.files.items():
            if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256):
                raise BundleError(f"manifest.json: sha256 of {name} is not 64 hexadecimal digits in lower case")
        for name, part in self.parts.items():
            if part.file not in self.files:
                raise BundleError(f"manifest.json: part {name} uses {part.file!r}, which files does not list")
            if part.precision not in PRECISIONS:
                raise BundleError(f"manifest.json: part {name} has precision {part.precision!r}; known: {PRECISIONS}")
        size, grid = self.image_spec().size_px, self.image_spec().grid
        picture: tuple[int | None, ...] = (1, size, size, 3)
        if list(self.parts) == ["fused"]:
            if len(self.parts["fused"].all_inputs) != 2:
                raise BundleError("manifest.json: part fused has not two inputs, picture and sound")
            self._check_part("fused", 0, "uint8", picture, (1, grid, grid))
            self._check_part("fused", 1, "float32", (1, None), (1, grid, grid))
        else:
            self._check_part("image", 0, "uint8", picture, (1, EMBEDDING_SIZE, grid, grid))
            self._check_part("audio", 0, "float32", (1, None), (1, EMBEDDING_SIZE))
        samples = self.sound_input.shape[1]
        if isinstance(samples, int) and samples < self.audio_spec().n_fft:
            raise BundleError(f"manifest.json: the graph takes {samples} samples, less than a spectrogram frame")

    @property
    def live_parts(self) -> tuple[str, ...]:
        """What a back end runs: the split graphs, or the fused one where there is no other."""
        return ("fused",) if list(self.parts) == ["fused"] else ("image", "audio")

    @property
    def sound_input(self) -> TensorSpec:
        """Of the audio graph, or of the fused one where there is no other."""
        return self.parts[self.live_parts[-1]].all_inputs[-1]

    def _check_part(
        self, name: str, index: int, dtype: str, shape: tuple[int | None, ...], output: tuple[int, ...]
    ) -> None:
        """A None in `shape` stands for any length; the batch may vary, and the sides of a picture (resized inside)."""
        part = self.parts.get(name)
        if part is None or len(part.all_inputs) <= index:
            raise BundleError(f"manifest.json: no part {name!r} with an input; have {', '.join(self.parts) or 'none'}")
        spec = part.all_inputs[index]
        given = spec.shape
        varying = {"batch", "height", "width"} if dtype == "uint8" else {"batch"}
        fits = len(given) == len(shape) and all(
            want in (None, have) or have in varying for want, have in zip(shape, given, strict=True)
        )
        batch = given[0] if given else 1
        if not fits or spec.dtype != dtype or part.output.shape != (batch, *output[1:]):
            raise BundleError(
                f"manifest.json: part {name} maps {spec.dtype} {list(given)} to {list(part.output.shape)}; "
                f"want {dtype} {['any' if n is None else n for n in shape]} to {list(output)}"
            )


def _spec(kind: Any, values: dict[str, Any], where: str) -> Any:
    try:
        return kind(**values)
    except (ConfigError, TypeError) as error:
        raise BundleError(f"manifest.json: {where}: {error}; export the bundle anew with this lvs") from error
