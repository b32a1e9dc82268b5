"""One segment of one media file: wanted pictures, prepared for the network, each with the sound around it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..capture.demux import SAMPLE_RATE, import_av
from ..errors import DataError
from .opening import open_container, reason
from .pictures import Picker, Sight, plain_sights, seek_for
from .settings import Settings
from .sound import Decoded, Track
from .sources import Source

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
_EXACT_LENGTH = ("mov", "matroska")  # containers whose stated length can be believed
_CUT_S = 1.0
LEVEL_S = 0.5  # around the picture: what the level is taken of
_LEAD_S = 2.0  # sound before a segment, so that its resampler and first window are as in one go
_LONGEST_S = 4000 * 3600.0
_MAX_STASH_BYTES = 256 << 20
_PEEK = 16


@dataclass(frozen=True, slots=True)
class Facts:
    """What a recording says of itself."""

    seconds: float | None = None  # None: it does not say, or it cannot be believed
    width_px: int = 0
    height_px: int = 0
    fps: float | None = None
    codec: str = ""
    sound_codec: str = ""
    exact_length: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One row to be: a picture as the network wants it, and the sound that belongs to it."""

    t_s: float
    picture_s: float
    prepared: Bytes  # (1, 224, 224, 3) RGB
    size_px: tuple[int, int]  # of the whole picture, upright
    sound: Floats  # the audio window, 16 kHz
    sound_start: int  # its first sample
    level_sound: Floats  # half a second around the picture
    level_start: int
    frame_bgr: Bytes | None = None  # the whole picture, when it was asked for


@dataclass(slots=True)
class Reading:
    """What one segment's reading found; filled while `looks` runs."""

    facts: Facts
    end_s: float = 0.0
    problem: str = ""
    stages_s: dict[str, float] = field(default_factory=lambda: {"decode": 0.0, "resize": 0.0})


def probe(source: Source) -> Facts:
    """Open the recording and say what it holds; `DataError` when it has no picture or no sound, or is none at all."""
    with open_container(source) as container:
        return _facts(container)


def _facts(container: Any) -> Facts:
    video, audio = _streams(container)
    seconds = container.duration / 1e6 if container.duration else None
    if seconds is not None and not 0 < seconds < _LONGEST_S:
        seconds = None
    return Facts(
        seconds=seconds,
        width_px=video.width,
        height_px=video.height,
        fps=float(video.average_rate) if video.average_rate else None,
        codec=video.codec_context.name,
        sound_codec=audio.codec_context.name,
        exact_length=any(name in container.format.name for name in _EXACT_LENGTH),
    )


def _streams(container: Any) -> tuple[Any, Any]:
    av = import_av("")
    covers = av.stream.Disposition.attached_pic
    videos = [s for s in container.streams.video if not s.disposition & covers and s.codec_context is not None]
    audios = [s for s in container.streams.audio if s.codec_context is not None]
    if not videos:
        raise DataError("no picture: only sound is in it" if audios else "no picture and no sound that can be decoded")
    if not audios:
        raise DataError("no sound: where a sound comes from cannot be told without one")
    return videos[0], audios[0]


class SegmentReader:
    """Grid places first <= k < stop (None: to the end) of one recording. Used once, by one thread."""

    def __init__(
        self, source: Source, settings: Settings, prepare: Callable[[Bytes], Bytes], first: int, stop: int | None,
        beat: Callable[[], None] = lambda: None, keep_frames: bool = False,
    ) -> None:  # fmt: skip
        """`prepare` scales a frame (H, W, 3) BGR for the network; `beat` is called as long as something goes on."""
        self._source, self._settings, self._prepare = source, settings, prepare
        self._first, self._stop, self._beat, self._keep_frames = first, stop, beat, keep_frames
        self.reading = Reading(Facts())
        self._stash: deque[Any] = deque()  # sound packets that came while pictures were looked for
        self._picture_stash: deque[Any] = deque()  # and the other way round
        self._stash_bytes = 0
        self._input_ended = False

    def looks(self) -> Iterator[Look]:
        """Every row's picture and sound. A damaged file gives what can be had, then `reading.problem` says why."""
        with open_container(self._source) as container:
            self._open(container)
            av = self._av
            try:
                for sight in self._sights(container):
                    yield self._look(sight)
            except (av.error.FFmpegError, OSError) as error:
                self.reading.problem = f"unreadable after {self.reading.end_s:.2f} s ({reason(error)})"
        self.reading.problem = self.reading.problem or self._judge()

    def _open(self, container: Any) -> None:
        self._av = import_av(str(self._source))
        self.reading.facts = _facts(container)
        self._video, self._audio = _streams(container)
        self._video.thread_type, self._video.codec_context.thread_count = "SLICE", self._settings.decode_threads
        if self._settings.decode_threads > 1:
            self._video.thread_type = "AUTO"
        self._start_s = (container.start_time or 0) / 1e6
        if self._first:
            begin_s = self._first * self._settings.every_s
            seek_for(container, self._video, self._start_s, begin_s, self._settings.lead_s + _LEAD_S)
        self._packets = container.demux(self._video, self._audio)
        self._sound = Decoded(self._av, self._audio, self._start_s)
        self._track = Track(self._more_sound, self._settings.lead_s + 1.0)
        self._picker: Picker | None = None

    def _sights(self, container: Any) -> Iterator[Sight]:
        grid = (self._settings.every_s, self._first, self._stop)
        fps = self.reading.facts.fps or 25.0
        head = [packet for _, packet in zip(range(_PEEK), self._pictures(), strict=False)]
        if any(packet.pts is None for packet in head if packet.size):
            if self._first:
                raise DataError("its packets carry no time stamps, so it cannot be cut into segments")
            frames = (frame for packet in self._chain(head) for frame in self._decode_all(packet))
            for sight in plain_sights(frames, self._start_s, grid[0], fps, grid[1], grid[2]):
                self.reading.end_s = sight.frame_s + 1 / fps
                yield sight
            return
        self._picker = Picker(self._video, self._start_s, *grid, self._av.error.FFmpegError)
        begin = time.thread_time()
        for sight in self._picker.sights(self._chain(head)):
            self.reading.stages_s["decode"] += time.thread_time() - begin
            self.reading.end_s = self._picker.end_s
            yield sight
            begin = time.thread_time()
        self.reading.stages_s["decode"] += time.thread_time() - begin
        self.reading.end_s = self._picker.end_s

    def _chain(self, head: list[Any]) -> Iterator[Any]:
        yield from head
        yield from self._pictures()

    def _decode_all(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = packet.decode()
        except self._av.error.InvalidDataError:
            return []
        return frames

    def _look(self, sight: Sight) -> Look:
        begin = time.thread_time()
        frame_bgr = sight.frame.to_ndarray(format="bgr24")
        prepared = self._prepare(frame_bgr)
        height, width = frame_bgr.shape[:2]
        turns = round(getattr(sight.frame, "rotation", 0) / 90) % 4  # phones store a rotation beside the picture
        if turns:
            prepared = np.ascontiguousarray(np.rot90(prepared, turns, axes=(1, 2)))
            width, height = (height, width) if turns % 2 else (width, height)
            frame_bgr = np.ascontiguousarray(np.rot90(frame_bgr, turns)) if self._keep_frames else frame_bgr
        scaled = time.thread_time()
        t_s = sight.index * self._settings.every_s
        begin_at, end_at = self._settings.window(t_s)
        around = (round((t_s - LEVEL_S / 2) * SAMPLE_RATE), round((t_s + LEVEL_S / 2) * SAMPLE_RATE))
        start, sound = self._track.window(begin_at, end_at)
        level_start, level_sound = self._track.window(*around)
        self.reading.stages_s["resize"] += scaled - begin
        self.reading.stages_s["decode"] += time.thread_time() - scaled
        kept = frame_bgr if self._keep_frames else None
        return Look(t_s, sight.frame_s, prepared, (width, height), sound, start, level_sound, level_start, kept)

    def _pictures(self) -> Iterator[Any]:
        """Picture packets; sound packets that come between are set aside."""
        while True:
            if self._picture_stash:
                packet = self._picture_stash.popleft()
                self._stash_bytes -= packet.size
                yield packet
            elif (packet := self._next()) is None:
                return
            elif packet.stream is self._video:
                yield packet
            else:
                self._set_aside(self._stash, packet)

    def _more_sound(self) -> bool:
        if self._stash:
            packet = self._stash.popleft()
            self._stash_bytes -= packet.size
        else:
            while (packet := self._next()) is not None and packet.stream is not self._audio:
                self._set_aside(self._picture_stash, packet)
        for position, samples in self._sound.blocks(packet):
            self._track.add(position, samples)
        return packet is not None

    def _set_aside(self, stash: deque[Any], packet: Any) -> None:
        stash.append(packet)
        self._stash_bytes += packet.size
        if self._stash_bytes > _MAX_STASH_BYTES:
            raise DataError(
                "picture and sound lie far apart in it (not interleaved); remux it: ffmpeg -i IN -c copy OUT"
            )

    def _next(self) -> Any | None:
        """The next packet of either stream, None at the end. The demuxer's empty closing packets are left out."""
        self._beat()
        while not self._input_ended:
            packet = next(self._packets, None)
            if packet is None:
                self._input_ended = True
            elif packet.size:
                return packet
        return None

    def _judge(self) -> str:
        """Why the segment is not whole, "" when it is."""
        reading, facts = self.reading, self.reading.facts
        missed = self._picker.missed if self._picker else 0
        if not reading.end_s and self._first == 0:
            return "has a picture stream but not one picture; is it damaged?"
        if missed:
            return f"{missed} wanted pictures could not be decoded; the file is damaged"
        if self._sound.damaged:
            return f"{self._sound.damaged} packets of its sound could not be decoded; the file is damaged"
        reached_s = max(reading.end_s, self._sound_end_s())
        if self._stop is None and facts.seconds and facts.exact_length and reached_s < facts.seconds - _CUT_S:
            return f"ends after {reached_s:.2f} s of the {facts.seconds:.2f} s that it states; it seems truncated"
        return ""

    def _sound_end_s(self) -> float:
        """Where the sound ends: in what waits, else in what was decoded."""
        last = next((packet for packet in reversed(self._stash) if packet.pts is not None), None)
        return self._track.end_s if last is None else float(last.pts * last.time_base) - self._start_s
