"""Snapshots: an annotated picture and its result as JSON, every so many seconds of capture time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from .base import SessionInfo
from .encode import encode_json
from .files import check_writable, write_failed


class ImagesSink:
    """Writes `frame_000123.jpg` and `frame_000123.json` into a folder, each under a temporary name first."""

    queue_size = 8
    wants_stop = False

    def __init__(self, folder: str, every_s: float = 1.0) -> None:
        """`folder` is made when it is missing; `every_s` 0 writes every result."""
        self.folder = Path(folder)
        self.every_ns = round(every_s * 1e9)
        self.name = f"images:{folder}"
        self.pictures = 0
        self._next_ns: int | None = None

    def open(self, info: SessionInfo) -> None:
        """Make the folder and find the encoders."""
        from ..view.jpeg import JpegEncoder
        from ..view.overlay import Overlay

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"sink {self.name}: cannot make the folder: {error.strerror}. Choose another.") from error
        check_writable(self.folder / "frame.jpg", self.name)
        self._overlay = Overlay()
        self._jpeg = JpegEncoder(quality=90)

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """A picture when one is due."""
        if self._next_ns is not None and result.capture_ns < self._next_ns:
            return
        due = result.capture_ns if self._next_ns is None else self._next_ns
        self._next_ns = max(due + self.every_ns, result.capture_ns + self.every_ns // 2)
        stem = f"frame_{result.frame_index:06d}"
        try:
            self._write_file(f"{stem}.jpg", self._jpeg.encode(self._overlay.draw(frame.image_bgr, result)))
            self._write_file(f"{stem}.json", encode_json(result.as_dict()) + b"\n")
        except OSError as error:
            raise write_failed(error, self.name, f"{self.pictures} pictures are written.") from error
        self.pictures += 1

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Sound is not recorded here."""

    def close(self) -> None:
        """Nothing is left open between pictures."""

    def _write_file(self, name: str, data: bytes) -> None:
        temporary = self.folder / f".{name}.part"
        try:
            temporary.write_bytes(data)
            temporary.replace(self.folder / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
