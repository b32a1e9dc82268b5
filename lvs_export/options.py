"""What to export and how to judge it, and the report of what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lvs_runtime.errors import ConfigError

from . import engine
from .gate import Precision
from .maps import MapErrors
from .quantize import METHODS

FORMATS = ("onnx", "engine", "rtx")
TARGETS = ("cpu", "tensorrt", "web")
GRAPHS = ("split", "fused", "both")
IMAGE_FILE, AUDIO_FILE, FUSED_FILE = "image.onnx", "audio.onnx", "model.onnx"
SPLIT_FILES = {"image": IMAGE_FILE, "audio": AUDIO_FILE}
FILES = {**SPLIT_FILES, "fused": FUSED_FILE}


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What to export and how to judge it; the defaults are those of the command line."""

    precision: Precision = Precision.FP32
    target: str = "cpu"  # "tensorrt" and "web" change the int8 recipe and where the fused graph's weights lie
    graphs: str = "both"  # image.onnx and audio.onnx, or model.onnx with weights of its own, or all three
    dynamic: bool = False  # batches of 1 to 64 and sounds of 8,000 to 160,000 samples instead of one shape
    resize: bool = False  # pictures of any size: the squash to the network's size stands in the graph
    reduce_range: bool = False  # 7-bit weights in any case
    sensitivity: bool = False  # int8: measure every convolution alone
    format: str = "onnx"
    calib: Path | None = None
    verify: Path | None = None  # clips that judge instead of a third of `calib` or of the drawn world's
    seed: int = 0  # of the drawn world, when there is no calib
    audio_seconds: float | None = None  # length of the audio graph's window; None: the checkpoint's
    tolerance: float | None = None
    methods: tuple[str, ...] = METHODS
    name: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"--format {self.format}: want one of {', '.join(FORMATS)}")
        if self.target not in TARGETS or self.graphs not in GRAPHS:
            raise ConfigError(
                f"target {self.target!r}, graphs {self.graphs!r}: want one of {', '.join(TARGETS)} and one of "
                f"{', '.join(GRAPHS)}"
            )
        if self.format != "onnx":
            engine.check_target(self.format, self.precision.value, self.target)
        if self.resize and (self.target == "tensorrt" or self.format != "onnx"):
            raise ConfigError(
                "--in-graph-resize is not for TensorRT, which refuses antialiased resizing: resize before, as "
                "Localizer does"
            )
        if (self.sensitivity or self.reduce_range) and self.precision is not Precision.INT8:
            raise ConfigError("--sensitivity and --reduce-range are about int8: add --int8")
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
    kept_in_float: int = 0  # int8: convolutions behind the stem


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
