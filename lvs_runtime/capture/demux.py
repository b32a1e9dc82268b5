"""One PyAV demuxer for picture and sound: packets in, frames and 16 kHz blocks with media stamps out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import CaptureError
from ..results import DropReason, VideoFrame
from .base import Dropped, Item, SoundBlock
from .mono import MonoMix
from .uri import redact

SAMPLE_RATE = 16_000
_BLOCK = 320  # 20 ms: finer than a frame interval, so that no block holds a frame up


def import_av(asked: str) -> Any:
    """PyAV, or a `CaptureError` that says how to get it."""
    try:
        import av
    except ImportError as error:
        raise CaptureError(
            f"{redact(asked)}: files, streams, and cameras without OpenCV need PyAV, which is not installed. "
            f"Install it: pip install 'lvs[video]'"
        ) from error
    return av


class Demuxer:
    """Decodes the first picture and the first sound stream of an open container on its own time line.

    Stamps count from the container's start. `lost_picture` / `lost_sound` tell which was asked for and is not there.
    """

    def __init__(self, av: Any, container: Any, picture: bool, sound: bool, live: bool = False) -> None:
        self._av = av
        self.container = container
        pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        self.video = pictures[0] if picture and pictures else None
        self.audio = container.streams.audio[0] if sound and container.streams.audio else None
        self.has_any_picture, self.has_any_sound = bool(pictures), bool(container.streams.audio)
        if self.video is not None:
            # Frame threading holds (threads - 1) frames back: fine in a file, pure age in a live stream.
            self.video.thread_type = "SLICE" if live else "AUTO"
        self._start_ns = (container.start_time or 0) * 1000
        # FFmpeg's own way to mono adds the channels up (3 dB louder, may clip): the channels are kept and mixed here.
        self._resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
        self._mix = MonoMix()
        self._next_frame_ns = 0

    def items(self) -> Iterator[Item]:
        """Everything until the end. FFmpeg's errors of the container come through; a bad packet is one `Dropped`."""
        streams = [s for s in (self.video, self.audio) if s is not None]
        for packet in self.container.demux(*streams):
            try:
                decoded = packet.decode()
            except self._av.error.InvalidDataError:
                if packet.stream is self.video:
                    yield Dropped(DropReason.CORRUPT_FRAME)
                continue
            for frame in decoded:
                if packet.stream is self.video:
                    yield self._picture(frame)
                else:
                    yield from self._sound(frame)
        if self.audio is not None:
            yield from self._sound(None)  # what the resampler still holds

    def _picture(self, frame: Any) -> VideoFrame:
        if frame.pts is None or frame.time_base is None:  # raw streams carry none: count at the nominal rate
            stamp_ns = self._next_frame_ns
        else:
            base = frame.time_base
            stamp_ns = frame.pts * base.numerator * 10**9 // base.denominator - self._start_ns
        rate = (self.video.average_rate if self.video is not None else None) or 25
        self._next_frame_ns = stamp_ns + int(10**9 / rate)
        image = frame.to_ndarray(format="bgr24")
        turns = round(getattr(frame, "rotation", 0) / 90) % 4  # phones store a rotation beside the picture
        if turns:
            image = np.ascontiguousarray(np.rot90(image, turns))
        return VideoFrame(image_bgr=image, capture_ns=stamp_ns, arrival_ns=stamp_ns, stamp_source="file")

    def _sound(self, frame: Any) -> Iterator[SoundBlock]:
        for out in self._resampler.resample(frame):
            samples = self._mix.mix(out.to_ndarray().T.astype(np.float32, copy=False))
            start_ns = (out.pts or 0) * out.time_base.numerator * 10**9 // out.time_base.denominator - self._start_ns
            for first in range(0, len(samples), _BLOCK):
                yield SoundBlock(
                    samples=samples[first : first + _BLOCK],
                    sample_rate=SAMPLE_RATE,
                    start_ns=start_ns + first * 10**9 // SAMPLE_RATE,
                )

    def describe(self) -> dict[str, Any]:
        """What the streams are, for `SourceInfo`."""
        facts: dict[str, Any] = {"details": {"container": self.container.format.name}}
        if self.video is not None:
            facts["size_px"] = (self.video.width, self.video.height)
            facts["fps"] = float(self.video.average_rate) if self.video.average_rate else None
            facts["details"]["picture"] = self.video.codec_context.name
        if self.audio is not None:
            facts["sample_rate"], facts["channels"] = self.audio.rate, self.audio.channels
            facts["details"]["sound"] = self.audio.codec_context.name
        if self.container.duration:
            facts["duration_s"] = self.container.duration / 1e6
        return facts
