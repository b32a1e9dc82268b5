"""One finding of the doctor, and how commands that repair it are spelled for this environment."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any


class Status(str, Enum):
    """`ok`: works, as far as it was tried; `lack`: absent; `broken`: there, and does not work."""

    OK = "ok"
    LACK = "lack"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, what was found, and the command that repairs it (None when nothing is to be done)."""

    group: str  # "python" | "packages" | "engines" | "backends" | "devices"
    name: str
    status: Status
    found: str
    repair: str | None = None
    needed: bool = False  # without it `lvs-live` does not run at all
    figures: dict[str, Any] | None = None  # what was measured, for programs; `found` says it for people

    @property
    def failed(self) -> bool:
        """Whether `lvs-live` cannot run because of this."""
        return self.needed and self.status is not Status.OK

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; `figures` only where something was measured."""
        facts = {**asdict(self), "status": self.status.value}
        return {key: value for key, value in facts.items() if key != "figures" or value is not None}


def python_path() -> str:
    """The running interpreter, relative to the working folder where it lies inside it."""
    executable = Path(sys.executable)
    try:
        return str(executable.relative_to(Path.cwd()))
    except ValueError:
        return str(executable)


def pip(arguments: str) -> str:
    """A pip command line for this very environment: `pip` where it is installed, else `uv pip`."""
    verb, _, rest = arguments.partition(" ")
    if importlib.util.find_spec("pip") is not None:
        confirmed = f"{verb} -y" if verb == "uninstall" else verb
        return f"{python_path()} -m pip {confirmed} {rest}"
    return f"uv pip {verb} --python {python_path()} {rest}"


def apt(*packages: str) -> str:
    """The line that installs Debian packages."""
    return f"sudo apt-get install -y {' '.join(packages)}"
