"""Results as ROS 2 messages. `types` holds the message classes: rclpy's own, or those of `dds_types`."""

from __future__ import annotations

from typing import Any

from ..results import Result
from .message import direction
from .stamps import DEFAULT_FRAME_ID, split_ns

CLASS_ID = "sound_source"


def header(types: Any, result: Result, stamp_ns: int) -> Any:
    """`std_msgs/Header` with the frame's stamp and frame id."""
    seconds, nanoseconds = split_ns(stamp_ns)
    stamp = types.Time(sec=seconds, nanosec=nanoseconds)
    return types.Header(stamp=stamp, frame_id=result.frame_id or DEFAULT_FRAME_ID)


def detections(types: Any, result: Result, stamp_ns: int) -> Any:
    """`vision_msgs/Detection2DArray`: one detection a box; `id` is the id of the track nearest to its bearing."""
    head = header(types, result, stamp_ns)
    found = []
    for index, (x0, y0, x1, y1) in enumerate(result.boxes_px):
        hypothesis = types.ObjectHypothesis(class_id=CLASS_ID, score=float(result.confidence))
        centre = types.Point2D(x=(x0 + x1 - 1) / 2, y=(y0 + y1 - 1) / 2)
        box = types.BoundingBox2D(
            center=types.Pose2D(position=centre, theta=0.0), size_x=float(x1 - x0), size_y=float(y1 - y0)
        )
        hypotheses = [types.ObjectHypothesisWithPose(hypothesis=hypothesis)]
        found.append(types.Detection2D(header=head, results=hypotheses, bbox=box, id=_track_id(result, index)))
    return types.Detection2DArray(header=head, detections=found)


def bearing(types: Any, result: Result, stamp_ns: int) -> Any | None:
    """`geometry_msgs/Vector3Stamped`: the unit vector to the source in the optical frame; None when there is none."""
    ray = direction(result)
    if ray is None:
        return None
    x, y, z = ray
    return types.Vector3Stamped(header=header(types, result, stamp_ns), vector=types.Vector3(x=x, y=y, z=z))


def compressed(types: Any, result: Result, stamp_ns: int, jpeg: bytes) -> Any:
    """`sensor_msgs/CompressedImage`."""
    return types.CompressedImage(header=header(types, result, stamp_ns), format="jpeg", data=types.octets(jpeg))


def _track_id(result: Result, box: int) -> str:
    if box >= len(result.bearings):
        return ""
    at = result.bearings[box]
    seen = [track for track in result.tracks if track.state == "seen"]
    nearest = min(
        seen,
        key=lambda t: (t.azimuth_rad - at.azimuth_rad) ** 2 + (t.elevation_rad - at.elevation_rad) ** 2,
        default=None,
    )
    return str(nearest.track_id) if nearest is not None else ""
