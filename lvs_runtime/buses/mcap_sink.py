"""A recording as MCAP: picture, sound, heat, boxes, bearings; opens in Foxglove as it is, and in `--camera mcap:`.

Chunks are small, so that a killed session loses little: what is whole before the cut can be read (docs/robots.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from ..sinks.files import check_writable
from .message import BusSink, missing
from .spec import BusSpec

_CHUNK_BYTES = 256 * 1024


class McapSink(BusSink):
    """One file; what stood in it before is replaced."""

    queue_size = 64  # a recording wants every frame

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self.path = Path(spec.topic)
        self._writer: Any = None
        self._channels: Any = None

    def open(self, info: SessionInfo) -> None:
        """Create the file."""
        try:
            import foxglove
            from foxglove.mcap import MCAPWriteOptions
        except ImportError as error:
            raise missing(self.spec, "foxglove-sdk", "foxglove") from error
        from .foxglove_channels import FoxgloveChannels

        check_writable(self.path, self.name)
        self.prepare(info)
        context = foxglove.Context()
        try:
            options = MCAPWriteOptions(chunk_size=_CHUNK_BYTES, compression_threads=0)
            self._writer = foxglove.open_mcap(self.path, allow_overwrite=True, context=context, writer_options=options)
        except (OSError, RuntimeError) as error:
            raise SinkError(f"sink {self.name}: cannot be created ({error})") from error
        self._channels = FoxgloveChannels(context, self.stamps, self.spec, lambda topic: True)

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Record one result."""
        self._channels.write(frame, result)
        self.sent += 1

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Record sound."""
        self._channels.write_audio(samples, sample_rate, start_ns)

    def close(self) -> None:
        """Finish the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except (OSError, RuntimeError) as error:
                raise SinkError(f"sink {self.name}: could not be finished ({error}); is the disk full?") from error
