"""What Foxglove shows of a session, in its own schemas: it opens live and recorded without any setting.

/camera/image CompressedImage, as captured      /lvs/annotations ImageAnnotations: boxes, peak, caption
/lvs/overlay CompressedImage with the heat,     /lvs/bearing SceneUpdate: an arrow for each track
    5 a second, or ?image=HZ                    /lvs/result JSON, what every bus gets
/audio RawAudio, 16 bit
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..geometry.bearing import ray_from_angles
from ..results import Result, VideoFrame
from ..sinks.encode import encode_json
from ..view.jpeg import JpegEncoder
from .message import Pictures, result_message
from .spec import BusSpec
from .stamps import DEFAULT_FRAME_ID, MessageStamps, split_ns

IMAGE, OVERLAY, ANNOTATIONS = "/camera/image", "/lvs/overlay", "/lvs/annotations"
AUDIO, BEARING, RESULT = "/audio", "/lvs/bearing", "/lvs/result"
_OVERLAY_HZ, _QUALITY = 5.0, 80
_ARROW_M = 1.0
_ARROW_S = 1  # how long an arrow stays when nothing comes after it


class FoxgloveChannels:
    """Channels of one context. `wanted(topic)` says whether anybody looks (live).

    Drawing the heat costs many times what encoding a picture costs, so it has a rate of its own.
    """

    def __init__(self, context: Any, stamps: MessageStamps, spec: BusSpec, wanted: Callable[[str], bool]) -> None:
        from foxglove import Channel, channels

        self._context = context  # its channels close when nobody holds it
        self._stamps, self._with_map, self._wanted = stamps, spec.with_map, wanted
        self._image = channels.CompressedImageChannel(IMAGE, context=context)
        self._overlay = channels.CompressedImageChannel(OVERLAY, context=context)
        self._annotations = channels.ImageAnnotationsChannel(ANNOTATIONS, context=context)
        self._audio = channels.RawAudioChannel(AUDIO, context=context)
        self._bearing = channels.SceneUpdateChannel(BEARING, context=context)
        self._result = Channel(RESULT, message_encoding="json", context=context)
        self._encoder = JpegEncoder(_QUALITY)
        self._pictures = Pictures(spec.number("image", _OVERLAY_HZ, 0.0, 120.0), _QUALITY)

    def write(self, frame: VideoFrame, result: Result) -> None:
        """Everything of one result, at the frame's stamp."""
        import foxglove.messages as m

        stamp_ns = self._stamps.of(result)
        stamp, frame_id = _timestamp(stamp_ns), result.frame_id or DEFAULT_FRAME_ID
        # What is small goes first: pictures take milliseconds to encode.
        self._annotations.log(_annotations(result, stamp), log_time=stamp_ns)
        self._bearing.log(_arrows(result, stamp, frame_id), log_time=stamp_ns)
        self._result.log(encode_json(result_message(result, stamp_ns, self._with_map)), log_time=stamp_ns)
        if self._wanted(IMAGE):
            jpeg = self._encoder.encode(np.ascontiguousarray(frame.image_bgr))
            self._image.log(
                m.CompressedImage(timestamp=stamp, frame_id=frame_id, data=jpeg, format="jpeg"), log_time=stamp_ns
            )
        overlay = self._pictures.take(frame, result) if self._wanted(OVERLAY) else None
        if overlay is not None:
            self._overlay.log(
                m.CompressedImage(timestamp=stamp, frame_id=frame_id, data=overlay, format="jpeg"), log_time=stamp_ns
            )

    def write_audio(self, samples: npt.NDArray[np.float32], sample_rate: int, start_ns: int) -> None:
        """A block of sound."""
        import foxglove.messages as m

        if not self._wanted(AUDIO):
            return
        stamp_ns = self._stamps.of_sound(start_ns)
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()
        self._audio.log(
            m.RawAudio(
                timestamp=_timestamp(stamp_ns),
                data=pcm,
                format="pcm-s16",
                sample_rate=sample_rate,
                number_of_channels=1,
            ),
            log_time=stamp_ns,
        )


def _timestamp(stamp_ns: int) -> Any:
    from foxglove.messages import Timestamp

    seconds, nanoseconds = split_ns(max(0, stamp_ns))
    return Timestamp(seconds, nanoseconds)


def _annotations(result: Result, stamp: Any) -> Any:
    import foxglove.messages as m

    green, amber = m.Color(r=0.35, g=0.86, b=0.47, a=1.0), m.Color(r=0.98, g=0.67, b=0.24, a=1.0)
    points = [
        m.PointsAnnotation(
            timestamp=stamp,
            type=m.PointsAnnotationType.LineLoop,
            points=[m.Point2(x=x, y=y) for x, y in ((x0, y0), (x1 - 1, y0), (x1 - 1, y1 - 1), (x0, y1 - 1))],
            outline_color=green,
            thickness=2.0,
        )
        for x0, y0, x1, y1 in result.boxes_px
    ]
    peak = m.Point2(x=result.peak_px[0], y=result.peak_px[1])
    seen = bool(result.boxes_px)
    circles = [
        m.CircleAnnotation(
            timestamp=stamp, position=peak, diameter=10.0, thickness=2.0, outline_color=green if seen else amber
        )
    ]
    words = "silent" if not result.audible else f"heard, {'in' if seen else 'not in'} view"
    text = m.TextAnnotation(
        timestamp=stamp,
        position=m.Point2(x=6, y=18),
        text=f"{words}, {result.confidence:.0%}",
        font_size=14.0,
        text_color=green if seen else amber,
    )
    return m.ImageAnnotations(circles=circles if result.audible else [], points=points, texts=[text])


def _arrows(result: Result, stamp: Any, frame_id: str) -> Any:
    """One entity for each track, or for each bearing where nothing is tracked yet."""
    import foxglove.messages as m

    rays = {
        f"track {t.track_id}": (ray_from_angles(t.azimuth_rad, t.elevation_rad), 1.0 if t.state == "seen" else 0.35)
        for t in result.tracks
    } or {f"bearing {k}": (b.ray_optical, 0.6) for k, b in enumerate(result.bearings)}
    entities = [
        m.SceneEntity(
            timestamp=stamp,
            frame_id=frame_id,
            id=name,
            lifetime=m.Duration(_ARROW_S, 0),
            arrows=[
                m.ArrowPrimitive(
                    pose=m.Pose(position=m.Vector3(x=0, y=0, z=0), orientation=_along(ray)),
                    shaft_length=_ARROW_M * 0.85,
                    shaft_diameter=0.03,
                    head_length=_ARROW_M * 0.15,
                    head_diameter=0.07,
                    color=m.Color(r=0.98, g=0.45, b=0.2, a=alpha),
                )
            ],
        )
        for name, (ray, alpha) in rays.items()
    ]
    return m.SceneUpdate(entities=entities)


def _along(ray: tuple[float, float, float]) -> Any:
    """The rotation that turns the x axis, along which arrows are drawn, onto `ray`."""
    from foxglove.messages import Quaternion

    x, y, z = ray
    w = 1.0 + x
    if w < 1e-9:
        return Quaternion(x=0.0, y=0.0, z=1.0, w=0.0)
    length = math.sqrt(w * w + y * y + z * z)
    return Quaternion(x=0.0, y=-z / length, z=y / length, w=w / length)
