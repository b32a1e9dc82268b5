"""What to export and how to judge it, and the report of what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lvs_runtime.errors import ConfigError

from . import engine
from .precision import Precision
from .quantize import METHODS
from .verify import MapErrors

FORMATS = ("onnx", "engine", "rtx")
IMAGE_FILE, AUDIO_FILE, FUSED_FILE = "image.onnx", "audio.onnx", "model.onnx"
SPLIT_FILES = {"image": IMAGE_FILE, "audio": AUDIO_FILE}
FILES = {**SPLIT_FILES, "fused": FUSED_FILE}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export and how to judge it; the defaults are those of the command line."""

    precision: Precision = Precision.FP32
    dynamic: bool = False  # audio of 8,000 to 160,000 samples instead of one length
    fused: bool = True
    format: str = "onnx"
    calib: Path | None = None
    seed: int = 0  # of the drawn world, when there is no calib
    audio_seconds: float | None = None  # length of the audio graph's window; None: the checkpoint's
    tolerance: float | None = None
    methods: tuple[str, ...] = METHODS
    name: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"--format {self.format}: want one of {', '.join(FORMATS)}")
        if self.format != "onnx":
            engine.check_precision(self.format, {self.precision.value})
        if self.tolerance is not None and not 0 < self.tolerance < 1:
            raise ConfigError(f"--tolerance {self.tolerance}: want a number between 0 and 1")


@dataclass(frozen=True)
class PartReport:
    """One line of the closing table. `ms` is the median on this device's CPU."""

    part: str
    file: str
    precision: str
    num_bytes: int
    errors: MapErrors
    ms: float


@dataclass(frozen=True)
class ExportReport:
    """What was written, how far it is from torch, and what could not be built."""

    path: Path
    parts: tuple[PartReport, ...]
    both: MapErrors
    total_bytes: int
    material: str
    notes: tuple[str, ...] = ()
    not_built: str | None = None
