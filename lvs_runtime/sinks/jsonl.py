"""One JSON line a result, to a file or standard output. A line is written whole, so a killed session leaves no half."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from .base import SessionInfo
from .encode import encode_json
from .files import cannot_create, check_writable, write_failed


class JsonlSink:
    """Writes `Result.as_dict()` as one line each; what stood in the file before is replaced. "-" is standard output."""

    queue_size = 1024
    wants_stop = False

    def __init__(self, path: str) -> None:
        """`path`: a file, a named pipe, or "-"."""
        self.path = path
        self.name = f"jsonl:{path}"
        self.lines = 0
        self._file: io.FileIO | None = None
        self._whole_bytes = 0

    def open(self, info: SessionInfo) -> None:
        """Create the file (standard output needs nothing)."""
        if self.path == "-":
            return
        check_writable(Path(self.path), self.name)
        try:
            self._file = io.FileIO(self.path, "w")
        except OSError as error:
            raise cannot_create(error, self.name) from error

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """One line."""
        line = encode_json(result.as_dict()) + b"\n"
        try:
            self._write_line(line)
        except OSError as error:
            self._cut_to_whole_lines()
            raise write_failed(error, self.name, f"{self.lines} whole lines are written.") from error
        self.lines += 1
        self._whole_bytes += len(line)

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Sound is not recorded here."""

    def close(self) -> None:
        """Close the file; standard output stays open."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                raise SinkError(f"{self.name}: closing failed: {error.strerror}") from error

    def _write_line(self, line: bytes) -> None:
        if self._file is None:
            sys.stdout.write(line.decode())
            sys.stdout.flush()
            return
        rest = memoryview(line)
        while rest:  # one system call, but for a pipe that takes less or a full disk
            rest = rest[self._file.write(rest) :]

    def _cut_to_whole_lines(self) -> None:
        """A full disk takes part of a line: remove it again."""
        if self._file is not None and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            os.ftruncate(self._file.fileno(), self._whole_bytes)
