"""Results to ROS 2 through rclpy, from inside a ROS environment. Topics and messages as in `dds_sink`.

rclpy comes with ROS, not with pip: `source /opt/ros/<distro>/setup.bash`, and a Python of the same version. Where
vision_msgs is not installed, its topic is left out and a line says so. With ?lifecycle=1 the node is a managed one:
it publishes while it is active (`ros2 lifecycle set /lvs configure`, then `activate`).
"""

from __future__ import annotations

import array
import importlib
import logging
import threading
from types import SimpleNamespace
from typing import Any

from ..errors import SinkError
from ..results import AudioWindow, Result, VideoFrame
from ..sinks.base import SessionInfo
from ..sinks.encode import encode_json
from . import ros_messages
from .message import BusSink, result_message
from .spec import BusSpec

_LOG = logging.getLogger(__name__)
_PACKAGES = {
    "builtin_interfaces": ("Time",),
    "std_msgs": ("Header", "String"),
    "geometry_msgs": ("Vector3", "Vector3Stamped"),
    "sensor_msgs": ("CompressedImage", "Image"),
}
_VISION = (
    *("ObjectHypothesis", "ObjectHypothesisWithPose", "Point2D", "Pose2D"),
    *("BoundingBox2D", "Detection2D", "Detection2DArray"),
)
_JOIN_S = 2.0


def import_rclpy(text: str, kind: type[Exception]) -> Any:
    """rclpy, or an error of `kind` that says where it comes from."""
    try:
        return importlib.import_module("rclpy")
    except ImportError as error:
        raise kind(
            f"{text}: rclpy is not here; it comes with ROS 2: source /opt/ros/<distro>/setup.bash and run lvs with "
            f"that Python. Without ROS: {text.replace('ros2:', 'dds:', 1)} speaks to the same nodes (pip install "
            f"'lvs[dds]')"
        ) from error


def ros_types() -> SimpleNamespace:
    """rclpy's message classes by name; those of vision_msgs only where it is installed."""
    made: dict[str, Any] = {"octets": lambda data: array.array("B", data)}
    for package, names in _PACKAGES.items():
        module = importlib.import_module(f"{package}.msg")
        made.update({name: getattr(module, name) for name in names})
    try:
        vision = importlib.import_module("vision_msgs.msg")
    except ImportError:
        return SimpleNamespace(**made)
    return SimpleNamespace(**made, **{name: getattr(vision, name) for name in _VISION})


class Ros2Sink(BusSink):
    """One node in a context of its own, so that an embedding program's rclpy stays untouched."""

    def __init__(self, spec: BusSpec) -> None:
        super().__init__(spec)
        self._rclpy: Any = None
        self._types: Any = None
        self._context: Any = None
        self._node: Any = None
        self._executor: Any = None
        self._thread: threading.Thread | None = None
        self._publishers: dict[str, Any] = {}

    def open(self, info: SessionInfo) -> None:
        """Make node and publishers; `SinkError` where ROS is not there."""
        self._rclpy = import_rclpy(self.spec.text, SinkError)
        self.prepare(info)
        self._types = ros_types()
        self._context = self._rclpy.Context()
        self._rclpy.init(args=[], context=self._context)
        name = self.spec.topic.strip("/").replace("/", "_")
        if self.spec.options.get("lifecycle", "0") != "0":
            lifecycle = importlib.import_module("rclpy.lifecycle")
            self._node = lifecycle.LifecycleNode(name, context=self._context)
            create = self._node.create_lifecycle_publisher
        else:
            self._node = self._rclpy.create_node(name, context=self._context)
            create = self._node.create_publisher
        topics = {"result": "String", "detections": "Detection2DArray", "bearing": "Vector3Stamped"}
        if self.image_hz:
            topics["image/compressed"] = "CompressedImage"
        for leaf, type_name in topics.items():
            if hasattr(self._types, type_name):
                self._publishers[leaf] = create(getattr(self._types, type_name), f"{self.spec.topic}/{leaf}", 10)
            else:
                _LOG.warning("sink %s: vision_msgs is not installed: no %s/detections", self.name, self.spec.topic)
        executors = importlib.import_module("rclpy.executors")
        self._executor = executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, name="lvs-ros2", daemon=True)
        self._thread.start()

    def write(self, frame: VideoFrame, result: Result, audio: AudioWindow | None) -> None:
        """Publish one result."""
        stamp_ns = self.stamps.of(result)
        message = result_message(result, stamp_ns, self.spec.with_map)
        self._publishers["result"].publish(self._types.String(data=encode_json(message).decode()))
        if "detections" in self._publishers:
            self._publishers["detections"].publish(ros_messages.detections(self._types, result, stamp_ns))
        bearing = ros_messages.bearing(self._types, result, stamp_ns)
        if bearing is not None:
            self._publishers["bearing"].publish(bearing)
        jpeg = self.pictures.take(frame, result)
        if jpeg is not None:
            self._publishers["image/compressed"].publish(ros_messages.compressed(self._types, result, stamp_ns, jpeg))
        self.sent += 1

    def close(self) -> None:
        """Stop spinning, destroy the node, shut the context down."""
        if self._executor is not None:
            self._executor.shutdown(timeout_sec=_JOIN_S)
            if self._thread is not None:
                self._thread.join(_JOIN_S)
            self._node.destroy_node()
            self._executor = None
        context, self._context = self._context, None
        if context is not None:
            self._rclpy.shutdown(context=context)
