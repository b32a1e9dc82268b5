"""Trying something in a process of its own: a crash, a hang or a stray print there is a finding, not our end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Like a console script, not like `python -c`: the working folder is no place to import from.
PREAMBLE = "import sys\nif sys.path[:1] == ['']: sys.path.pop(0)\n"


class ProbeError(Exception):
    """The process ended badly; the message is its last line of complaint."""


def run(code: str, *arguments: str, timeout_s: float = 60.0) -> Any:
    """Run `code` in a new interpreter of this environment; returns the JSON value on its last line of output.

    Raises `ProbeError` with the reason in one line when it fails, dies by a signal, hangs or prints no JSON.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", PREAMBLE + code, *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"no answer within {timeout_s:.0f} s") from None
    if done.returncode < 0:
        raise ProbeError(f"the process died: {signal.Signals(-done.returncode).name}")
    if done.returncode:
        raise ProbeError(last_line(done.stderr) or f"exit status {done.returncode}")
    try:
        return json.loads(last_line(done.stdout, longest=1_000_000))
    except ValueError:
        raise ProbeError(f"unexpected output: {last_line(done.stdout)!r}") from None


def last_line(text: str, longest: int = 300) -> str:
    """The last line with something on it, at most `longest` characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:longest] if lines else ""
