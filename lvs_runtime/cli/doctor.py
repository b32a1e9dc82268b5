"""`lvs-doctor`: what is installed, what of it works, and the command that repairs each lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from .common import run_cli


@dataclass(kw_only=True)
class Doctor:
    """Look at Python, packages, engines, model and devices. Exit 0 when lvs-live can run here, 1 otherwise."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """One JSON object instead of text."""
    debug: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show a traceback with an error."""


def doctor(args: Doctor) -> int:
    """Run every check and print the report."""
    import json

    from ..doctor import report

    checks = report.examine()
    answer = report.as_dict(checks)
    print(json.dumps(answer, indent=1) if args.json else "\n".join(report.as_lines(checks)))
    return 0 if answer["ok"] else 1


def main() -> None:
    """Entry point of `lvs-doctor`."""
    run_cli(lambda: doctor(tyro.cli(Doctor, prog="lvs-doctor")))


if __name__ == "__main__":
    main()
