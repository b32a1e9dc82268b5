"""Keeps C libraries' chatter off stderr for a moment: for command lines only, never inside an embedding program."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr(enabled: bool) -> Iterator[None]:
    """Send file descriptor 2 to nowhere inside the block: ALSA and PortAudio print there from C."""
    if not enabled:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
