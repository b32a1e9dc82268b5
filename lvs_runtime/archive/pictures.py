"""Only the wanted pictures of a stream: what no wanted one needs is never decoded, and the outcome is the same.

    wanted at t: the picture on screen then, i.e. the last one whose stamp is <= t

Packets come in decoding order, and stamp >= decoding stamp; so once a packet with a decoding stamp > t has come, all
that can be on screen at t are known. Of the packets before the wanted one, those before the last key frame that it
needs are dropped unread, and between key frame and wanted picture the decoder leaves out what nothing refers to
(`skip_frame=NONREF`, ignored by codecs that cannot). Both change nothing in what the wanted picture looks like.
tests/archive/test_pictures.py compares with decoding everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError

_MAX_WAITING_BYTES = 256 << 20
_KEPT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The picture on screen at grid place `index`, time `index * every_s`."""

    index: int
    frame: Any  # av.VideoFrame
    frame_s: float  # its own stamp


@dataclass(slots=True)
class Picker:
    """Feeds packets to one decoder and hands out the wanted pictures, in order, each place of the grid once."""

    stream: Any
    start_s: float  # of the container: stamp 0 of the recording
    every_s: float
    first: int  # grid places first <= k < stop
    stop: int | None
    bad: Any  # the decoder's error class for damaged data
    missed: int = 0  # wanted, not decodable
    end_s: float = 0.0  # end of the last picture that was seen, decoded or not
    _waiting: list[Any] = field(default_factory=list)
    _waiting_bytes: int = 0
    _chosen: deque[tuple[int, int]] = field(default_factory=deque)  # (place, stamp), not yet handed out
    _sent: set[int] = field(default_factory=set)  # stamps handed to the decoder that are or may become wanted
    _decoded: dict[int, Any] = field(default_factory=dict)
    _newest_dts: int | None = None
    _tick_s: float = field(init=False)  # of the stream's stamps; fractions would cost as much as all else in here
    _picture_ticks: float = field(init=False)  # nominal length of one picture
    _before: int | None = None  # largest stamp <= t among packets that were handed on already

    def __post_init__(self) -> None:
        self._tick_s = float(self.stream.time_base)
        self._picture_ticks = 1 / float(self.stream.average_rate or 25) / self._tick_s

    def sights(self, packets: Iterable[Any]) -> Iterator[Sight]:
        """Wanted pictures from the stream's packets."""
        k = self.first
        for packet in packets:
            if packet.pts is None:
                continue
            self._add(packet)
            while (self.stop is None or k < self.stop) and self._passed(k):
                self._choose(k)
                k += 1
            yield from self._ready()
            if self.stop is not None and k >= self.stop:
                break
        else:
            while (self.stop is None or k < self.stop) and k * self.every_s < self.end_s - 1e-6:
                self._choose(k)
                k += 1
        self._decode(None)
        yield from self._ready()
        self.missed += len(self._chosen)

    def _seconds(self, pts: float) -> float:
        return pts * self._tick_s - self.start_s

    def _limit(self, k: int) -> int:
        """The largest stamp <= t_k, in the stream's own units."""
        return int((k * self.every_s + self.start_s) / self._tick_s + 1e-6)

    def _add(self, packet: Any) -> None:
        self._waiting.append(packet)
        self._waiting_bytes += packet.size
        if self._waiting_bytes > _MAX_WAITING_BYTES:
            raise DataError(
                "its time stamps run backwards, or its streams are not interleaved; remux it (ffmpeg -c copy)"
            )
        if packet.dts is not None:
            self._newest_dts = packet.dts if self._newest_dts is None else max(self._newest_dts, packet.dts)
        self.end_s = max(self.end_s, self._seconds(packet.pts + (packet.duration or self._picture_ticks)))

    def _passed(self, k: int) -> bool:
        return self._newest_dts is not None and self._newest_dts > self._limit(k)

    def _choose(self, k: int) -> None:
        """Settle which picture place k shows, and hand the decoder what that one needs."""
        limit = self._limit(k)
        place, stamp = None, self._before
        for known in (*self._sent, *self._decoded):  # handed on already, in advance of their turn
            if known <= limit and (stamp is None or known > stamp):
                stamp = known
        for position, packet in enumerate(self._waiting):
            if packet.pts <= limit and (stamp is None or packet.pts > stamp):
                place, stamp = position, packet.pts
        if stamp is None:  # the recording's first picture comes later: it stands for the time before
            place, stamp = min(((i, p.pts) for i, p in enumerate(self._waiting)), key=lambda pair: pair[1])
        self._chosen.append((k, stamp))
        if place is not None:
            self._send(place, stamp, limit)
        self._before = stamp

    def _send(self, place: int, stamp: int, limit: int) -> None:
        keys = [i for i in range(place + 1) if self._waiting[i].is_keyframe and self._waiting[i].pts <= stamp]
        start = keys[-1] if keys else 0
        if start > 0:
            self._decode(None)  # what is still inside comes out before the jump
            self.stream.codec_context.flush_buffers()
        for packet in self._waiting[start : place + 1]:
            whole = packet.pts == stamp or packet.pts > limit  # a later one may be wanted next
            if whole:
                self._sent.add(packet.pts)
            self.stream.codec_context.skip_frame = "DEFAULT" if whole else "NONREF"
            self._decode(packet)
        del self._waiting[: place + 1]
        self._waiting_bytes = sum(packet.size for packet in self._waiting)

    def _decode(self, packet: Any) -> None:
        try:
            frames = self.stream.codec_context.decode(packet)
        except self.bad:
            return  # what was wanted of it is counted as missed
        for frame in frames:
            if frame.pts in self._sent:
                self._sent.discard(frame.pts)
                self._decoded[frame.pts] = frame
        while len(self._decoded) > _KEPT:
            del self._decoded[min(self._decoded)]

    def _ready(self) -> Iterator[Sight]:
        """What is decoded, in order. Decoders give pictures by rising stamp: what was overtaken will not come."""
        while self._chosen:
            k, stamp = self._chosen[0]
            if stamp in self._decoded:
                yield Sight(k, self._decoded[stamp], self._seconds(stamp))
            elif any(other > stamp for other in self._decoded):
                self.missed += 1
            else:
                break
            self._chosen.popleft()
        oldest = self._chosen[0][1] if self._chosen else self._before
        for stamp in [stamp for stamp in self._decoded if oldest is not None and stamp < oldest]:
            del self._decoded[stamp]


def seek_for(container: Any, video: Any, start_s: float, t_s: float, lead_s: float) -> None:
    """Go to where reading must begin so that the picture at `t_s` can be decoded and `lead_s` before it be heard.

    Transport streams and files with a poor index land behind the key frame: then from further back, at last from the
    very beginning.
    """
    for back_s in (lead_s, lead_s + 10.0, lead_s + 60.0):
        target_s = t_s - back_s
        if target_s <= 0:
            break
        container.seek(int((target_s + start_s) * 1e6))
        key = next((p for p in container.demux(video) if p.is_keyframe and p.pts is not None), None)
        if key is not None and float(key.pts * video.time_base) - start_s <= t_s:
            container.seek(int((target_s + start_s) * 1e6))
            return
    container.seek(int(start_s * 1e6))


def plain_sights(
    frames: Iterable[Any], start_s: float, every_s: float, nominal_fps: float, first: int = 0, stop: int | None = None
) -> Iterator[Sight]:
    """The same from all decoded frames: for streams whose packets carry no stamps, and the oracle in tests.

    Frames without a stamp are counted at the nominal rate.
    """
    k, shown, shown_s = first, None, 0.0
    for number, frame in enumerate(frames):
        now_s = number / nominal_fps if frame.pts is None else float(frame.pts * frame.time_base) - start_s
        while k * every_s < now_s - 1e-6 and (stop is None or k < stop):
            before = shown is not None
            yield Sight(k, shown if before else frame, shown_s if before else now_s)
            k += 1
        shown, shown_s = frame, now_s
    while shown is not None and k * every_s < shown_s + 1 / nominal_fps - 1e-6 and (stop is None or k < stop):
        yield Sight(k, shown, shown_s)
        k += 1
