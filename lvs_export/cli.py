"""`lvs-export`: checkpoint to bundle; parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from lvs_runtime.cli.common import run_cli
from lvs_runtime.errors import ConfigError, LvsError

if TYPE_CHECKING:
    from .options import ExportOptions

NOT_BUILT = 3  # the ONNX graphs are written, the engine is not


@dataclass(kw_only=True)
class Export:
    """Export a checkpoint as a bundle of ONNX graphs (image, audio, fused) that runs without torch.

    Finished bundles: `lvs-export inspect DIR`, `lvs-export verify DIR`, `lvs-export diff DIR DIR` (each with --help).
    """

    ckpt: Path | None = None
    """Checkpoint of lvs-train (.pt, .safetensors) or of the official code (.pth.tar)."""
    out: Path = Path("bundle")
    """Folder of the bundle; an older bundle there is replaced once the new one is complete."""
    fp16: tyro.conf.FlagCreatePairsOff[bool] = False
    """Half precision: half the size (on CPUs a storage format, as fast as fp32)."""
    int8: tyro.conf.FlagCreatePairsOff[bool] = False
    """8-bit integers: a quarter of the size and about three times as fast (see --target)."""
    precision: Literal["fp32", "fp16", "int8"] | None = None
    """The same choice in one flag; default fp32."""
    target: Literal["cpu", "tensorrt", "web"] | None = None
    """What the int8 recipe is for (TensorRT wants symmetric ranges); web: the fused graph holds its own weights.
    Default: tensorrt with --format engine or rtx, else cpu."""
    split: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only image.onnx and audio.onnx, for streams; default: these and model.onnx."""
    fused: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only model.onnx, picture and sound to similarity map in one call, with weights of its own."""
    calib: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Clips frames/<id>.jpg + audio/<id>.wav to calibrate int8 and to measure parity; default: the drawn world."""
    verify: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Clips that judge the export instead; with boxes.json (or boxes/*.xml) also by peak-in-box and cIoU."""
    sensitivity: tyro.conf.FlagCreatePairsOff[bool] = False
    """int8: measure every convolution alone (minutes); the manifest gets the list."""
    reduce_range: tyro.conf.FlagCreatePairsOff[bool] = False
    """int8: 7-bit weights, which can never overflow the 16-bit sums of CPUs without VNNI (less exact)."""
    seed: int = 0
    """Seed of the drawn world."""
    dynamic: tyro.conf.FlagCreatePairsOff[bool] = False
    """Batches of 1 to 64 and sounds of 0.5 to 10 s instead of one shape."""
    in_graph_resize: tyro.conf.FlagCreatePairsOff[bool] = False
    """Pictures of any size: the antialiased squash to 224 x 224 stands in the graph (not for TensorRT)."""
    audio_seconds: float | None = None
    """Length of the audio graph's window; default: what the checkpoint was trained with."""
    format: Literal["onnx", "engine", "rtx"] = "onnx"
    """engine: also build for TensorRT (on the GPU that will run it); rtx: for TensorRT-RTX."""
    bundle: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Instead of --ckpt: build --format engine or rtx for this existing bundle (needs no torch)."""
    tolerance: float | None = None
    """Allowed map error (default 1e-4 fp32, 2e-3 fp16), or for int8 the allowed lack of correlation (0.01)."""
    name: str | None = None
    """Name in the manifest; default: the checkpoint's."""
    debug: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show a traceback with an error."""


def export(args: Export) -> int:
    """Run the export and print the closing table; 3 when an engine was asked for and could not be built."""
    if (args.ckpt is None) == (args.bundle is None):
        found = "neither" if args.ckpt is None else "both"
        raise ConfigError(f"want --ckpt FILE (export) or --bundle DIR (engines for a bundle), found {found}")
    if args.bundle is not None:
        return _engines(args.bundle, args.format)
    options = options_of(args)
    try:
        from .export import export_bundle
    except ImportError as error:
        raise LvsError(f"lvs-export needs torch and onnx: {error}; pip install 'lvs[export]'") from error
    from .report import print_report, stages

    with stages() as stage:
        report = export_bundle(_required(args.ckpt), args.out, options, stage=stage)
    print_report(report)
    if report.not_built:
        sys.stderr.write(f"{report.not_built}\n")
        return NOT_BUILT
    return 0


def options_of(args: Export) -> ExportOptions:
    """Checked options; ConfigError when flags contradict each other."""
    asked = [name for name, given in (("fp16", args.fp16), ("int8", args.int8)) if given]
    if args.precision is not None and args.precision not in asked:
        asked.append(args.precision)
    if len(asked) > 1:
        flags = " and ".join(f"--{name}" if name != args.precision else f"--precision {name}" for name in asked)
        raise ConfigError(f"{flags} exclude each other; name one precision")
    try:
        from .gate import Precision
        from .options import ExportOptions
    except ImportError as error:
        raise LvsError(f"lvs-export needs torch and onnx: {error}; pip install 'lvs[export]'") from error
    return ExportOptions(
        precision=Precision(asked[0] if asked else "fp32"),
        target=args.target or ("cpu" if args.format == "onnx" else "tensorrt"),
        graphs="both" if args.split == args.fused else "split" if args.split else "fused",
        dynamic=args.dynamic,
        resize=args.in_graph_resize,
        sensitivity=args.sensitivity,
        reduce_range=args.reduce_range,
        format=args.format,
        calib=args.calib,
        verify=args.verify,
        seed=args.seed,
        audio_seconds=args.audio_seconds,
        tolerance=args.tolerance,
        name=args.name,
    )


def _engines(bundle: Path, kind: str) -> int:
    from .engine import EngineNotBuilt, add_engines

    if kind == "onnx":
        raise ConfigError("--bundle DIR adds engines to a bundle: say --format engine or --format rtx")
    try:
        path = add_engines(bundle, kind)
    except EngineNotBuilt as error:
        sys.stderr.write(f"{error}\n")
        return NOT_BUILT
    sys.stdout.write(f"{path}: engines for image and audio added\n")
    return 0


def _required(path: Path | None) -> Path:
    assert path is not None
    return path


def run(arguments: Sequence[str]) -> int:
    """The command with `arguments`: `inspect`, `verify` or `diff` and a bundle, else an export."""
    if arguments and arguments[0] in ("inspect", "verify", "diff"):
        from . import cli_bundles as bundles

        command, rest = arguments[0], arguments[1:]
        prog = f"lvs-export {command}"
        if command == "inspect":
            return bundles.inspect(tyro.cli(bundles.Inspect, prog=prog, args=rest))
        if command == "verify":
            return bundles.verify(tyro.cli(bundles.Verify, prog=prog, args=rest))
        return bundles.diff(tyro.cli(bundles.Diff, prog=prog, args=rest))
    return export(tyro.cli(Export, prog="lvs-export", args=arguments))


def main() -> None:
    """Entry point of `lvs-export`."""
    run_cli(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
