"""ROS 2's messages for Cyclone DDS, under the names they have on the wire: std_msgs::msg::dds_::String_ and so on.

The layouts are those of common_interfaces and of vision_msgs 4 (ROS 2 Humble and later). Cyclone's Python spends its
time on each element of a `uint8[]`; the messages that carry many bytes are read and written in one piece instead.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from . import cdr

_NO_BYTES = struct.pack("<I", 0)


@lru_cache(maxsize=1)
def dds_types() -> SimpleNamespace:
    """The message classes, with the names that ROS gives them, every field with ROS's default. Needs cyclonedds."""
    idl: Any = importlib.import_module("cyclonedds.idl.types")
    float64, int32, uint32, sequence = idl.float64, idl.int32, idl.uint32, idl.sequence
    make = _Maker()
    numbers = (float64, 0.0)
    time = make("builtin_interfaces", "Time", sec=(int32, 0), nanosec=(uint32, 0))
    header = make("std_msgs", "Header", stamp=time, frame_id=(str, ""))
    make("std_msgs", "String", data=(str, ""))
    octets = (sequence[idl.uint8], b"")
    _in_one_piece(
        make("sensor_msgs", "CompressedImage", header=header, format=(str, ""), data=octets), cdr.read_compressed
    )
    sides = {"height": (uint32, 0), "width": (uint32, 0)}
    layout = {"encoding": (str, ""), "is_bigendian": (idl.uint8, 0), "step": (uint32, 0)}
    _in_one_piece(make("sensor_msgs", "Image", header=header, **sides, **layout, data=octets), cdr.read_image)
    audio = make("audio_common_msgs", "AudioData", data=octets)
    _in_one_piece(make("audio_common_msgs", "AudioDataStamped", header=header, audio=audio), cdr.read_audio)
    vector = make("geometry_msgs", "Vector3", x=numbers, y=numbers, z=numbers)
    make("geometry_msgs", "Vector3Stamped", header=header, vector=vector)
    point = make("geometry_msgs", "Point", x=numbers, y=numbers, z=numbers)
    turn = make("geometry_msgs", "Quaternion", x=numbers, y=numbers, z=numbers, w=(float64, 1.0))
    pose = make("geometry_msgs", "Pose", position=point, orientation=turn)
    uncertain = make("geometry_msgs", "PoseWithCovariance", pose=pose, covariance=(idl.array[float64, 36], (0.0,) * 36))
    hypothesis = make("vision_msgs", "ObjectHypothesis", class_id=(str, ""), score=numbers)
    posed = make("vision_msgs", "ObjectHypothesisWithPose", hypothesis=hypothesis, pose=uncertain)
    point_2d = make("vision_msgs", "Point2D", x=numbers, y=numbers)
    pose_2d = make("vision_msgs", "Pose2D", position=point_2d, theta=numbers)
    box = make("vision_msgs", "BoundingBox2D", center=pose_2d, size_x=numbers, size_y=numbers)
    results = (sequence[posed], ())
    detection = make("vision_msgs", "Detection2D", header=header, results=results, bbox=box, id=(str, ""))
    make("vision_msgs", "Detection2DArray", header=header, detections=(sequence[detection], ()))
    return SimpleNamespace(**make.made, octets=bytes)


class Holder:
    """What a reader gives for the messages of many bytes; Cyclone hangs its `sample_info` on it."""

    def __init__(self, message: cdr.RosImage | cdr.RosAudio) -> None:
        self.message = message
        self.sample_info: Any = None


class _Maker:
    """Makes one message class after the other. A field is (type, default), or a message class made before."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def __call__(self, package: str, name: str, **fields: Any) -> Any:
        from cyclonedds.idl import make_idl_struct

        types = {field: given[0] if isinstance(given, tuple) else given for field, given in fields.items()}

        def init(self: Any, **values: Any) -> None:
            for field, given in fields.items():
                if field in values:
                    value = values[field]
                else:
                    value = given[1] if isinstance(given, tuple) else given()
                setattr(self, field, list(value) if isinstance(value, tuple) else value)

        made: Any = make_idl_struct(name, f"{package}::msg::dds_::{name}_", types)
        made.__init__ = init
        self.made[name] = made
        return made


def _in_one_piece(kind: Any, read: Callable[[bytes], cdr.RosImage | cdr.RosAudio]) -> None:
    """Let `kind`, whose bytes come last on the wire, be written and read without touching each of them."""
    slow = kind.serialize

    def serialize(self: Any, *_args: Any, **_kwargs: Any) -> bytes:
        holder = self.audio if hasattr(self, "audio") else self
        data, holder.data = bytes(holder.data), b""
        try:
            head = slow(self, use_version_2=False)
        finally:
            holder.data = data
        assert head.endswith(_NO_BYTES)
        return bytes(head[:-4] + struct.pack("<I", len(data)) + data)

    def deserialize(_cls: Any, data: bytes, *_args: Any, **_kwargs: Any) -> Holder:
        return Holder(read(data))

    kind.serialize = serialize
    kind.deserialize = classmethod(deserialize)
