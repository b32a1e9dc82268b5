"""An MCAP recording of a robot (ROS 2 or Foxglove messages) as rows to be. Every picture in it is decoded: JPEGs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..buses.mcap_source import McapSource
from ..buses.recording import Recording
from ..buses.spec import BusSpec
from ..capture.base import Dropped, EndOfSource, SoundBlock
from ..capture.demux import SAMPLE_RATE
from ..capture.resample import StreamResampler, stream_resampler
from ..errors import CaptureError, DataError
from ..results import VideoFrame
from .media import LEVEL_S, Facts, Look, Reading
from .settings import Settings
from .sound import Track
from .sources import Source

Bytes = npt.NDArray[np.uint8]


def probe_recording(source: Source) -> Facts:
    """What the recording says of itself; `DataError` when it lacks a picture or sound topic that is understood."""
    opened = _open(source)
    try:
        topics = opened.info.details
        return Facts(seconds=opened.info.duration_s, codec=topics["picture"], sound_codec=topics["sound"])
    finally:
        opened.close()


def _open(source: Source) -> McapSource:
    if source.is_remote or source.member:
        raise DataError("MCAP recordings are read from folders of this machine only; copy it first")
    if not Path(source.path).is_file():
        raise DataError("no such file")
    spec = BusSpec("mcap", str(source), topic=source.path)
    opened = McapSource(spec, spec)
    try:
        opened.open()
    except CaptureError as error:
        raise DataError(str(error)) from error
    return opened


def _is_whole(source: Source) -> bool:
    recording = Recording(Path(source.path), str(source))
    recording.close()
    return recording.whole


class RecordingReader:
    """The whole recording, in one go. As `SegmentReader`: `looks()` once, then `reading`."""

    def __init__(
        self,
        source: Source,
        settings: Settings,
        prepare: Callable[[Bytes], Bytes],
        beat: Callable[[], None] = lambda: None,
        keep_frames: bool = False,
    ) -> None:
        self._source, self._settings, self._prepare = source, settings, prepare
        self._beat, self._keep_frames = beat, keep_frames
        self.reading = Reading(Facts())
        self._track = Track(lambda: False, settings.lead_s + 10.0)
        self._resampler: StreamResampler | None = None
        self._run_start_s, self._run_made = 0.0, 0
        self._bad = 0

    def looks(self) -> Iterator[Look]:
        """Rows to be, by rising time; each as soon as the sound around it is there."""
        opened = _open(self._source)
        waiting: deque[tuple[float, VideoFrame, Bytes]] = deque()
        shown: tuple[VideoFrame, Bytes | None] | None = None
        place, last_s = 0, 0.0
        every_s = self._settings.every_s
        try:
            for item in self._items(opened):
                if isinstance(item, SoundBlock):
                    self._hear(item)
                else:
                    now_s = item.capture_ns / 1e9
                    while place * every_s < now_s - 1e-6:  # what was on screen until now
                        frame, prepared = shown or (item, None)
                        prepared = self._prepare(frame.image_bgr) if prepared is None else prepared
                        shown = (frame, prepared) if shown else None
                        waiting.append((place * every_s, frame, prepared))
                        place += 1
                    shown, last_s = (item, None), now_s
                while waiting and self._heard(waiting[0][0]):
                    yield self._look(*waiting.popleft())
        finally:
            opened.close()
        if shown is None:
            raise DataError("not one picture in it could be decoded")
        if place * every_s <= last_s + 1e-6:
            waiting.append((place * every_s, shown[0], self._prepare(shown[0].image_bgr)))
        while waiting:
            yield self._look(*waiting.popleft())
        self.reading.end_s = last_s
        if not _is_whole(self._source):
            self.reading.problem = "the recording was not finished; it was read up to where it breaks off"
        if self._bad:
            self.reading.problem = f"{self._bad} pictures could not be decoded; the recording is damaged"

    def _items(self, opened: McapSource) -> Iterator[VideoFrame | SoundBlock]:
        while True:
            self._beat()
            try:
                item = opened.read(0.0)
            except EndOfSource:
                return
            except CaptureError as error:
                self.reading.problem = str(error)
                return
            if isinstance(item, Dropped):
                self._bad += 1
            elif isinstance(item, (VideoFrame, SoundBlock)):
                yield item

    def _hear(self, block: SoundBlock) -> None:
        start_s = (block.start_ns or 0) / 1e9
        resampler = self._resampler
        run_end_s = self._run_start_s + self._run_made / SAMPLE_RATE
        if resampler is None or abs(start_s - run_end_s) > 0.1:  # a hole: filters begin anew behind it
            resampler = self._resampler = stream_resampler(block.sample_rate)
            self._run_start_s, self._run_made = start_s, 0
        samples = resampler.process(block.samples)
        late = round(resampler.shift_in / resampler.ratio)
        self._track.add(round(self._run_start_s * SAMPLE_RATE) + self._run_made - late, samples)
        self._run_made += len(samples)

    def _needed(self, t_s: float) -> tuple[tuple[int, int], tuple[int, int]]:
        around = (round((t_s - LEVEL_S / 2) * SAMPLE_RATE), round((t_s + LEVEL_S / 2) * SAMPLE_RATE))
        return self._settings.window(t_s), around

    def _heard(self, t_s: float) -> bool:
        window, around = self._needed(t_s)
        return self._track.end_s * SAMPLE_RATE >= max(window[1], around[1])

    def _look(self, t_s: float, frame: VideoFrame, prepared: Bytes) -> Look:
        window, around = self._needed(t_s)
        start, sound = self._track.window(*window)
        level_start, level_sound = self._track.window(*around)
        height, width = frame.image_bgr.shape[:2]
        kept = frame.image_bgr if self._keep_frames else None
        stamp_s = frame.capture_ns / 1e9
        return Look(t_s, stamp_s, prepared, (width, height), sound, start, level_sound, level_start, kept)
