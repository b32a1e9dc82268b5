"""Results to ROS 2 without ROS: Cyclone DDS under ROS 2's names on the wire (topic /lvs/result is rt/lvs/result).

/lvs/result   std_msgs/String, JSON                    /lvs/bearing   geometry_msgs/Vector3Stamped, optical frame
/lvs/detections   vision_msgs/Detection2DArray         /lvs/image/compressed   sensor_msgs/CompressedImage, ?image=HZ

Domain: ?domain=N, else ROS_DOMAIN_ID, else 0. Network interfaces and discovery: CYCLONEDDS_URI, as for any Cyclone.
Never in one process with rclpy: a ROS distribution brings its own Cyclone.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import ConfigError, SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from ..sinks.encode import encode_json
from . import ros_messages
from .message import BusSink, missing, result_message
from .spec import BusSpec


class DdsSink(BusSink):
    """One participant with a writer for each topic: reliable, volatile, keep last 10, as ROS 2 writes."""

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self.domain = domain_id(spec)
        self._types: Any = None
        self._participant: Any = None
        self._writers: dict[str, Any] = {}

    def open(self, info: SessionInfo) -> None:
        """Join the domain; `SinkError` when that cannot be."""
        try:
            from cyclonedds.core import DDSException
        except ImportError as error:
            raise missing(self.spec, "cyclonedds", "dds") from error
        from .dds_types import dds_types

        self.prepare(info)
        self._types = dds_types()
        topics = {"result": "String", "detections": "Detection2DArray", "bearing": "Vector3Stamped"}
        if self.image_hz:
            topics["image/compressed"] = "CompressedImage"
        try:
            self._participant = new_participant(self.domain)
            for leaf, type_name in topics.items():
                self._writers[leaf] = self._writer(leaf, getattr(self._types, type_name))
        except DDSException as error:
            raise SinkError(
                f"sink {self.name}: domain {self.domain} cannot be joined ({error}); see CYCLONEDDS_URI"
            ) from error

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Send one result."""
        stamp_ns = self.stamps.of(result)
        message = result_message(result, stamp_ns, self.spec.with_map)
        self._writers["result"].write(self._types.String(data=encode_json(message).decode()))
        self._writers["detections"].write(ros_messages.detections(self._types, result, stamp_ns))
        bearing = ros_messages.bearing(self._types, result, stamp_ns)
        if bearing is not None:
            self._writers["bearing"].write(bearing)
        jpeg = self.pictures.take(frame, result)
        if jpeg is not None:
            self._writers["image/compressed"].write(ros_messages.compressed(self._types, result, stamp_ns, jpeg))
        self.sent += 1

    def close(self) -> None:
        """Leave: Cyclone frees its entities when nobody holds them."""
        self._writers.clear()
        self._participant = None

    def _writer(self, leaf: str, kind: Any) -> Any:
        from cyclonedds.core import Policy, Qos
        from cyclonedds.pub import DataWriter
        from cyclonedds.topic import Topic
        from cyclonedds.util import duration

        # Bounded: a reliable reader that takes nothing must not hold the sink for longer.
        reliable = Policy.Reliability.Reliable(duration(milliseconds=100))
        plain = Policy.DataRepresentation(use_cdrv0_representation=True)
        qos = Qos(reliable, Policy.History.KeepLast(10), Policy.Durability.Volatile, plain)
        return DataWriter(
            self._participant, Topic(self._participant, wire_topic(f"{self.spec.topic}/{leaf}"), kind, qos=qos), qos=qos
        )


def new_participant(domain: int) -> Any:
    """A participant in `domain`."""
    from cyclonedds.domain import DomainParticipant

    return DomainParticipant(domain)


def wire_topic(topic: str) -> str:
    """ROS 2's name of a topic on the wire."""
    return f"rt{topic}"


def domain_id(spec: BusSpec) -> int:
    """The domain that the address or ROS_DOMAIN_ID asks for."""
    text = spec.options.get("domain") or os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdecimal() or int(text) > 232:
        raise ConfigError(f"{spec.text}: domain {text}: want a number from 0 to 232")
    return int(text)
