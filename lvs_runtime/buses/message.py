"""What a result looks like on a bus, and the pictures that go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SinkError
from ..results import Result, VideoFrame
from ..sinks.base import SessionInfo
from .spec import BusSpec
from .stamps import DEFAULT_FRAME_ID, MessageStamps


def missing(spec: BusSpec, package: str, extra: str) -> SinkError:
    """The error for a package that is not installed."""
    return SinkError(f"sink {spec.text}: {package} is not installed. Run: pip install 'lvs[{extra}]'")


def result_message(result: Result, stamp_ns: int, with_map: bool = False) -> dict[str, Any]:
    """Plain JSON values, about 600 bytes; `stamp_ns` is the message's stamp, `capture_ns` the session's own.

    `with_map` adds the similarity map (1.5 kB).
    """
    message: dict[str, Any] = {
        "stamp_ns": stamp_ns,
        "frame_id": result.frame_id or DEFAULT_FRAME_ID,
        "frame_index": result.frame_index,
        "capture_ns": result.capture_ns,
        "age_ms": round(result.age_ms, 3),
        "av_skew_ms": round(result.av_skew_ms, 3),
        "stamp_source": result.stamp_source,
        "image_size_px": list(result.image_size_px),
        "audible": result.audible,
        "level_dbfs": round(result.level_dbfs, 2),
        "confidence": round(result.confidence, 4),
        "peak_px": list(result.peak_px),
        "boxes_px": [list(box) for box in result.boxes_px],
        "bearings": [bearing.as_dict() for bearing in result.bearings],
        "tracks": [track.as_dict() for track in result.tracks],
        "flags": list(result.flags),
    }
    if with_map:
        message["similarity_map"] = np.round(result.similarity_map.astype(np.float64), 4).tolist()
    return message


def direction(result: Result) -> tuple[float, float, float] | None:
    """The unit vector (optical frame) to point at: the oldest track that is seen, else the strongest bearing."""
    from ..geometry.bearing import ray_from_angles

    for track in result.tracks:
        if track.state == "seen":
            return ray_from_angles(track.azimuth_rad, track.elevation_rad)
    return result.bearings[0].ray_optical if result.bearings else None


class Pictures:
    """Annotated pictures as JPEG, at most `hz` a second of capture time; 0: none and nothing is loaded."""

    def __init__(self, hz: float, quality: int = 80) -> None:
        self._period_ns = round(1e9 / hz) if hz else 0
        self._due_ns: int | None = None
        self._encoder: Any = None
        self._overlay: Any = None
        if hz:
            from ..view.jpeg import JpegEncoder
            from ..view.overlay import Overlay

            self._encoder, self._overlay = JpegEncoder(quality), Overlay()

    def take(self, frame: VideoFrame, result: Result) -> bytes | None:
        """The JPEG of this result when its time has come."""
        if not self._period_ns:
            return None
        # Half a frame early is not early: 15 of 30 a second must not become 10.
        slack_ns = min(10_000_000, self._period_ns // 4)
        if self._due_ns is not None and 0 <= self._due_ns - slack_ns - result.capture_ns < 10 * self._period_ns:
            return None
        late = self._due_ns is None or abs(result.capture_ns - self._due_ns) > self._period_ns
        self._due_ns = (result.capture_ns if late else self._due_ns or 0) + self._period_ns
        return self.annotated(frame, result)

    def annotated(self, frame: VideoFrame, result: Result) -> bytes:
        """The JPEG of the overlay."""
        encoded: bytes = self._encoder.encode(self._overlay.draw(frame.image_bgr, result))
        return encoded


class BusSink:
    """What every sink on a bus has: name, small queue, stamps, pictures. Nothing happens before `open`."""

    queue_size = 4  # a bus wants what is new
    wants_stop = False

    def __init__(self, spec: BusSpec) -> None:
        self.spec = spec
        self.name = spec.text
        self.sent = 0
        self.lost = 0  # results that could not be handed to the bus (peer gone or too slow)
        self.image_hz = spec.image_hz
        self.stamps = MessageStamps(0)
        self.pictures = Pictures(0.0)

    def prepare(self, info: SessionInfo) -> None:
        """First step of `open`."""
        self.stamps = MessageStamps(info.wall_offset_ns)
        self.pictures = Pictures(self.image_hz)

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """Sound is not sent."""
