"""`lvs-bench single`: what each stage of a localization costs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .common import run_cli


@dataclass(kw_only=True)
class Single:
    """Closed loop: each stage by itself, then the whole, on frames and sound of a drawn scene."""

    bundle: Path | None = None
    """Folder of the bundle; default the one that ships with the package."""
    device: str = "cpu"
    """cpu, cuda or auto."""
    threads: int | None = None
    """CPU threads of one inference."""
    seconds: float = 10.0
    """How long to measure; p99 needs 500 runs."""
    json: Path | None = None
    """Also write the result, with machine and versions, to this file."""
    debug: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show a traceback with an error."""


def single(args: Single) -> int:
    """Measure, print the table, write the JSON."""
    from ..bench import cold, report
    from ..errors import ConfigError
    from ..localizer import Localizer

    if not 0 < args.seconds <= 86_400:
        raise ConfigError(f"--seconds {args.seconds}: want more than 0 and at most 86400")
    if args.json is not None and not args.json.parent.is_dir():
        raise ConfigError(
            f"--json {args.json}: the folder {args.json.parent} does not exist; mkdir -p {args.json.parent}"
        )
    localizer = Localizer.from_bundle(args.bundle, args.device, args.threads)  # faults end here, before any measuring
    started = cold.measure(str(args.bundle) if args.bundle else None, args.device, args.threads)
    result = report.run_single(localizer, args.seconds, started)
    print("\n".join(report.as_lines(result)))
    if args.json is not None:
        report.write(args.json, result)
        print(f"written: {args.json}")
    return 0


def main() -> None:
    """Entry point of `lvs-bench`."""
    description = "Measure what localization costs on this machine."

    def run() -> int:
        commands: dict[str, Callable[..., Single]] = {"single": Single}
        return single(tyro.extras.subcommand_cli_from_dict(commands, prog="lvs-bench", description=description))

    run_cli(run)


if __name__ == "__main__":
    main()
