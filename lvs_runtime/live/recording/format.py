"""What lies in a recording's folder, and how it is read.

    recording.json     what ran: bundle and its fingerprint, options, policy, source
    events.jsonl       one line for each block, restart, frame and result, written when it happened
    sound.f32          all blocks one after the other, mono float32 as the microphone gave them (not resampled)
    picture-001.nut    frames, lossless (MagicYUV in NUT, as FFmpeg reads it); another file when the size changes

A killed session leaves whole lines and whole pictures: reading ends at the first thing that is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ...bundle import Bundle
from ...capture.base import SoundBlock
from ...capture.demux import import_av
from ...errors import CaptureError
from ...results import VideoFrame

SCHEMA = 1
ABOUT, EVENTS, SOUND = "recording.json", "events.jsonl", "sound.f32"
Event = dict[str, Any]


def picture_name(number: int) -> str:
    """File of the `number`th picture size, from 1."""
    return f"picture-{number:03d}.nut"


def fingerprint(bundle: Bundle) -> str:
    """sha256 over the manifest, which states the sha256 of every other file."""
    return hashlib.sha256((bundle.path / "manifest.json").read_bytes()).hexdigest()


class Recording:
    """A folder that `lvs-live --record` wrote. Raises `CaptureError` where it is none, or from a newer version."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        about = self.folder / ABOUT
        if not about.is_file():
            raise CaptureError(f"--replay {folder}: no recording is there ({ABOUT} is missing; lvs-live --record DIR)")
        try:
            self.about: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
        except ValueError as error:
            raise CaptureError(f"--replay {folder}: {ABOUT} is damaged ({error})") from error
        if self.about.get("schema") != SCHEMA:
            found = self.about.get("schema")
            raise CaptureError(f"--replay {folder}: schema {found}, this version reads {SCHEMA}; upgrade lvs")

    def events(self, *kinds: str) -> Iterator[Event]:
        """Whole lines of these kinds, in the order of writing."""
        with (self.folder / EVENTS).open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                event: Event = json.loads(line)
                if event["kind"] in kinds:
                    yield event

    def sound(self) -> Iterator[SoundBlock | None]:
        """Every block in order; None where the source was opened anew."""
        with (self.folder / SOUND).open("rb") as file:
            for event in self.events("block", "restart"):
                if event["kind"] == "restart":
                    yield None
                    continue
                samples = _samples(file, event["samples"])
                if samples is None:
                    return
                yield SoundBlock(
                    samples=samples,
                    sample_rate=event["sample_rate"],
                    arrival_ns=event["arrival_ns"],
                    start_ns=event["start_ns"],
                    overflow=event["overflow"],
                )

    def heard_frames(self) -> Iterator[tuple[VideoFrame | None, Event]]:
        """Every frame that became a result, with its event `result`; None for a frame that was not recorded."""
        frames, waiting = self._frames(), dict[int, VideoFrame]()
        newest = -1
        for event in self.events("result"):
            index = event["frame"]
            while newest < index and (frame := next(frames, None)) is not None:
                newest = frame.index
                waiting = {newest: frame}
            yield waiting.get(index), event

    def _frames(self) -> Iterator[VideoFrame]:
        number = 0
        packets: Iterator[Any] = iter(())
        for event in self.events("frame"):
            if event["file"] != number:
                number = event["file"]
                packets = self._packets(number)
            packet = next(packets, None)
            if packet is None or packet.size != event["bytes"]:
                return  # cut in the middle: a decoder would fill up the rest
            image: npt.NDArray[np.uint8] = packet.decode()[0].to_ndarray(format="bgr24")
            yield VideoFrame(
                image_bgr=image,
                capture_ns=event["capture_ns"],
                arrival_ns=event["arrival_ns"],
                index=event["index"],
                stamp_source=event["stamp_source"],
                frame_id=event["frame_id"],
                source_stamp_ns=event["source_stamp_ns"],
            )

    def _packets(self, number: int) -> Iterator[Any]:
        av = import_av(str(self.folder))
        path = self.folder / picture_name(number)
        try:
            with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
                yield from container.demux(video=0)
        except (av.error.FFmpegError, OSError):
            return  # the end of a killed recording


def _samples(file: BinaryIO, count: int) -> npt.NDArray[np.float32] | None:
    data = file.read(4 * count)
    return np.frombuffer(data, "<f4") if len(data) == 4 * count else None
