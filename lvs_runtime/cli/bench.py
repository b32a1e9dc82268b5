"""`lvs-bench`: what localization costs on this machine, how old its results are, and what load it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from .common import run_cli

_Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(kw_only=True)
class Common:
    """What every measuring command takes."""

    bundle: Path | None = None
    """Folder of the bundle; default the one that ships with the package."""
    device: str = "cpu"
    """cpu, cuda, openvino, auto ...: what lvs-live takes."""
    threads: int | None = None
    """CPU threads of one inference."""
    json: Path | None = None
    """Also write the result to this file, and the raw samples beside it (NAME.samples.jsonl)."""
    plot: Path | None = None
    """Also write plots (PNG, SVG) and a page (report.html) into this folder."""
    debug: _Flag = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Single(Common):
    """Closed loop: each stage by itself, then the whole, on frames and sound of a drawn scene."""

    seconds: float = 10.0
    """How long to measure; p99 needs 500 runs."""
    batch: tuple[int, ...] = ()
    """Also the image encoder with so many pictures at once, e.g. 1 8 32: cost of a picture."""
    audio_seconds: tuple[float, ...] = ()
    """Also the audio encoder with windows of so many seconds, e.g. 0.5 1 3 10."""


@dataclass(kw_only=True)
class Camera(Common):
    """Open loop: frames and sound arrive on schedule, and an age counts from there."""

    fps: float = 30.0
    """Frames a second of each camera."""
    seconds: float = 60.0
    """How long to measure; p99 needs 500 results."""
    resolution: str = "640x360"
    """Of the frames, WIDTHxHEIGHT."""
    cameras: int = 1
    """How many, on one model."""
    audio_rate: float | None = None
    """Audio embeddings a second; unset: as lvs-live, with each frame while time allows."""
    audio_seconds: float | None = None
    """Length of the audio window (default: what the bundle states)."""
    deadline_ms: float = 50.0
    """A result older than this is late."""


@dataclass(kw_only=True)
class Live(Common):
    """A real (or virtual) camera and microphone through the whole session."""

    camera: str = "0"
    """What lvs-live --camera takes."""
    mic: str | None = None
    """What lvs-live --mic takes; unset: own sound of a file or stream, else the default microphone."""
    fps: float | None = None
    """Ask the camera for this rate."""
    resolution: str | None = None
    """Ask the camera for WIDTHxHEIGHT."""
    seconds: float = 60.0
    """How long to measure."""
    audio_rate: float | None = None
    """Audio embeddings a second; unset: as lvs-live, with each frame while time allows."""
    deadline_ms: float = 50.0
    """A result older than this is late."""


@dataclass(kw_only=True)
class Loopback(Common):
    """Flash and beep through the whole path: glass to result, and how far sound and picture are apart.

    screen: point the camera at this screen, the microphone at its loudspeaker. virtual: camera and microphone too are
    simulated, for the path from arrival on. FILE: somebody else flashes and writes time.monotonic_ns, one a line.
    """

    emitter: str = "virtual"
    """virtual, screen, or FILE."""
    camera: str = "0"
    """What lvs-live --camera takes (not with virtual)."""
    mic: str = "default"
    """What lvs-live --mic takes (not with virtual)."""
    fps: float = 30.0
    """Of the camera."""
    resolution: str = "640x480"
    """Of the camera."""
    seconds: float = 30.0
    """How long; a flash about every 0.8 s."""
    deadline_ms: float = 50.0
    """A result older than this is late."""


@dataclass(kw_only=True)
class Sweep:
    """Every combination of what is given, each for some seconds: the highest load that holds."""

    fps: tuple[float, ...] = (15.0, 30.0, 60.0)
    """Frames a second of each camera."""
    resolution: tuple[str, ...] = ("640x360",)
    """Of the frames."""
    threads: tuple[int, ...] = ()
    """CPU threads of one inference; unset: the default."""
    audio_rate: tuple[float, ...] = ()
    """Audio embeddings a second; unset: as lvs-live, with each frame while time allows."""
    audio_seconds: tuple[float, ...] = ()
    """Length of the audio window (default: what the bundle states)."""
    cameras: tuple[int, ...] = (1,)
    """How many, on one model."""
    bundle: tuple[Path, ...] = ()
    """Bundles, e.g. one of each precision; unset: the shipped one. The word "default" stands for it too."""
    precision: tuple[Literal["fp32", "fp16", "int8"], ...] = ()
    """Of the bundles given, those of these precisions, in this order; unset: all."""
    device: tuple[str, ...] = ("cpu",)
    """Where the model runs."""
    budget_ms: float = 50.0
    """p95 of the age must not exceed this."""
    seconds: float = 6.0
    """Of each combination; longer where fewer than 115 frames would come, since p95 needs 100 results."""
    json: Path | None = None
    """Also write the result to this file."""
    plot: Path | None = None
    """Also write the heat map (PNG, SVG) and a page into this folder."""
    debug: _Flag = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Compare:
    """Two results; or (--paired) two bundles in one run, A B | B A | A B ..., with A against itself beside it."""

    a: Annotated[Path, tyro.conf.Positional]
    """Result of lvs-bench --json; with --paired a bundle's folder ("default": the shipped one)."""
    b: Annotated[Path, tyro.conf.Positional]
    """The other one."""
    paired: _Flag = False
    """Run both now, interleaved: the only way to tell small differences."""
    device: tuple[str, ...] = ("cpu",)
    """With --paired: of A and B; one value for both, or two."""
    threads: tuple[int, ...] = ()
    """With --paired: of A and B; one value for both, or two."""
    seconds: float = 20.0
    """With --paired: about how long."""
    across_precision: _Flag = False
    """Compare results of different precisions all the same."""
    json: Path | None = None
    """Also write the result to this file."""
    debug: _Flag = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Accuracy:
    """Speed and localization quality in one table, on pictures of the drawn world with exact boxes."""

    bundle: tuple[Path, ...] = ()
    """Bundles; unset: the shipped one."""
    device: tuple[str, ...] = ("cpu",)
    """Where each runs."""
    threads: int | None = None
    """CPU threads of one inference."""
    number: int = 300
    """Pictures."""
    json: Path | None = None
    """Also write the result to this file."""
    debug: _Flag = False
    """Show a traceback with an error."""


COMMANDS: dict[str, Callable[..., Any]] = {
    "single": Single,
    "camera": Camera,
    "live": Live,
    "loopback": Loopback,
    "sweep": Sweep,
    "compare": Compare,
    "accuracy": Accuracy,
}


def main() -> None:
    """Entry point of `lvs-bench`."""
    description = "Measure what localization costs on this machine, how old its results are, and what load it holds."

    def run() -> int:
        args = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="lvs-bench", description=description)
        from . import bench_run

        return bench_run.run(args)

    run_cli(run)


if __name__ == "__main__":
    main()
