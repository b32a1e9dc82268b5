"""The writing side of a recording: four kinds of file, each complete up to the last call. Not thread-safe."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...capture.base import SoundBlock
from ...errors import SinkError
from ...results import VideoFrame
from .format import ABOUT, EVENTS, SCHEMA, SOUND, picture_name

_CODEC, _PIXELS = "magicyuv", "gbrp"  # lossless; 3 ms and half of the bytes for 640x480
_CONTAINER = {"flush_packets": "1"}  # so that SIGKILL costs no picture


class RecordingFiles:
    """Writes into an empty folder, which it makes. Raises `SinkError` where it cannot, `OSError` when a disk fills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            import av
        except ImportError as error:
            raise SinkError(f"--record {folder}: PyAV is not installed. Run: pip install 'lvs[video]'") from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise SinkError(f"--record {folder}: the folder is not empty. Choose another name.")
            self._events = (folder / EVENTS).open("wb", buffering=0)
            self._sound = (folder / SOUND).open("wb", buffering=0)
        except OSError as error:
            raise SinkError(f"--record {folder}: cannot write there: {error.strerror or error}") from error
        self._av = av
        self._container: Any = None
        self._stream: Any = None
        self._number = 0
        self._size = (0, 0)
        self._first_ns, self._last_ms = 0, -1

    def about(self, facts: dict[str, Any]) -> None:
        """Write recording.json, whole or not at all."""
        part = self.folder / f".{ABOUT}.part"
        part.write_text(json.dumps({"schema": SCHEMA, **facts}, indent=1) + "\n", encoding="utf-8")
        part.replace(self.folder / ABOUT)

    def event(self, kind: str, **facts: Any) -> None:
        """One line."""
        line = json.dumps({"kind": kind, **facts}, separators=(",", ":")).encode() + b"\n"
        if self._events.write(line) != len(line):
            raise OSError(28, "No space left on device")

    def block(self, block: SoundBlock) -> None:
        """Samples first, then their line: a line's data is always there."""
        data = block.samples.astype("<f4", copy=False).tobytes()
        if self._sound.write(data) != len(data):
            raise OSError(28, "No space left on device")
        self.event(
            "block",
            samples=len(block.samples),
            sample_rate=block.sample_rate,
            arrival_ns=block.arrival_ns,
            start_ns=block.start_ns,
            overflow=block.overflow,
        )

    def frame(self, frame: VideoFrame) -> None:
        """The picture, then its line."""
        height, width = frame.image_bgr.shape[:2]
        if (width, height) != self._size:
            self._next_file(width, height, frame.capture_ns)
        picture = self._av.VideoFrame.from_ndarray(frame.image_bgr, format="bgr24").reformat(format=_PIXELS)
        self._last_ms = max(self._last_ms + 1, (frame.capture_ns - self._first_ns) // 1_000_000)
        picture.pts, picture.time_base = self._last_ms, Fraction(1, 1000)
        (packet,) = self._stream.encode(picture)  # this codec holds nothing back
        num_bytes = packet.size
        self._container.mux(packet)
        self.event(
            "frame",
            index=frame.index,
            capture_ns=frame.capture_ns,
            arrival_ns=frame.arrival_ns,
            stamp_source=frame.stamp_source,
            frame_id=frame.frame_id,
            source_stamp_ns=frame.source_stamp_ns,
            file=self._number,
            bytes=num_bytes,
        )

    def close(self) -> None:
        """Finish every file."""
        try:
            self._finish_pictures()
        finally:
            self._events.close()
            self._sound.close()

    def _next_file(self, width: int, height: int, first_ns: int) -> None:
        self._finish_pictures()
        self._number, self._size, self._first_ns, self._last_ms = self._number + 1, (width, height), first_ns, -1
        path = self.folder / picture_name(self._number)
        self._container = self._av.open(str(path), "w", format="nut", options=dict(_CONTAINER))
        self._stream = self._container.add_stream(_CODEC, rate=30)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, _PIXELS
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, 1000)
        self._stream.codec_context.thread_count = 1

    def _finish_pictures(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            try:
                container.mux(self._stream.encode(None))
            finally:
                container.close()
