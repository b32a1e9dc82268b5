"""A stand-in for rclpy and ROS's message packages, strict where rclpy is: types of fields, contexts, destroyed nodes.

Written after rclpy's documented behaviour (Humble): message classes take keyword arguments alone and check every
assignment; `uint8[]` wants array.array('B'); a publisher wants the type it was made for; `raw=True` subscriptions get
serialized bytes; `spin` returns when its executor is shut down; a second `shutdown` of a context is an error.
"""

from __future__ import annotations

import array
import sys
import threading
from types import ModuleType
from typing import Any, ClassVar


class Message:
    """Base: fields with types, as generated code has them."""

    FIELDS: ClassVar[dict[str, Any]] = {}

    def __init__(self, **values: Any) -> None:
        assert set(values) <= set(self.FIELDS), f"Invalid arguments passed to constructor: {sorted(values)}"
        for name, kind in self.FIELDS.items():
            default = [] if isinstance(kind, list) else array.array("B") if kind is array.array else kind()
            setattr(self, name, values.get(name, default))

    def __setattr__(self, name: str, value: Any) -> None:
        kind = self.FIELDS[name]
        if isinstance(kind, list):
            assert isinstance(value, list), name
            assert all(isinstance(item, kind[0]) for item in value), name
        elif kind is array.array:
            assert isinstance(value, array.array), f"{name} must be array.array('B')"
            assert value.typecode == "B", name
        else:
            assert isinstance(value, kind), f"The '{name}' field must be of type '{kind.__name__}'"
        object.__setattr__(self, name, value)


def message(name: str, **fields: Any) -> type[Message]:
    return type(name, (Message,), {"FIELDS": fields})


class Context:
    def __init__(self) -> None:
        self.valid = False


class Publisher:
    def __init__(self, kind: type, topic: str, active: Any) -> None:
        self.kind, self.topic, self.sent, self._active = kind, topic, [], active

    def publish(self, msg: Any) -> None:
        assert isinstance(msg, self.kind), f"expected {self.kind.__name__}"
        if self._active():
            self.sent.append(msg)


class Node:
    def __init__(self, name: str, *, context: Context) -> None:
        assert context.valid, "the given context is not valid: rclpy.init was not called for it"
        assert name.isidentifier(), f"Invalid node name: {name}"
        self.name, self.context, self.publishers_made, self.subscriptions = name, context, [], []
        self.destroyed, self.active = False, True

    def create_publisher(self, kind: type, topic: str, qos: Any) -> Publisher:
        assert topic.startswith("/")
        made = Publisher(kind, topic, lambda: self.active)
        self.publishers_made.append(made)
        return made

    def create_subscription(self, kind: type, topic: str, callback: Any, qos: Any, *, raw: bool = False) -> None:
        self.subscriptions.append((kind, topic, callback, raw))

    def destroy_node(self) -> None:
        assert not self.destroyed
        self.destroyed = True


class LifecycleNode(Node):
    def __init__(self, name: str, *, context: Context) -> None:
        super().__init__(name, context=context)
        self.active = False

    create_lifecycle_publisher = Node.create_publisher


class SingleThreadedExecutor:
    def __init__(self, *, context: Context) -> None:
        self.nodes: list[Node] = []
        self._stop = threading.Event()

    def add_node(self, node: Node) -> bool:
        self.nodes.append(node)
        return True

    def spin(self) -> None:
        self._stop.wait()

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        self._stop.set()
        return True


def install(monkeypatch: Any, vision: bool = True) -> list[Node]:
    """Put the modules in place; returns the nodes that will be made."""
    nodes: list[Node] = []

    def module(name: str, **content: Any) -> None:
        made = ModuleType(name)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, made)

    def keep(node: Node) -> Node:
        nodes.append(node)
        return node

    def init(*, args: Any = None, context: Context) -> None:
        assert not context.valid, "Context.init() must only be called once"
        context.valid = True

    def shutdown(*, context: Context) -> None:
        assert context.valid, "Context must be initialized before it can be shutdown"
        context.valid = False

    module("rclpy", Context=Context, init=init, shutdown=shutdown,
           create_node=lambda name, *, context: keep(Node(name, context=context)))  # fmt: skip
    module("rclpy.executors", SingleThreadedExecutor=SingleThreadedExecutor)
    module("rclpy.qos", qos_profile_sensor_data="sensor data")
    module("rclpy.lifecycle", LifecycleNode=lambda name, *, context: keep(LifecycleNode(name, context=context)))
    time = message("Time", sec=int, nanosec=int)
    header = message("Header", stamp=time, frame_id=str)
    octets = array.array
    module("builtin_interfaces.msg", Time=time)
    module("std_msgs.msg", Header=header, String=message("String", data=str))
    vector = message("Vector3", x=float, y=float, z=float)
    module("geometry_msgs.msg", Vector3=vector, Vector3Stamped=message("Vector3Stamped", header=header, vector=vector))
    jpeg = message("CompressedImage", header=header, format=str, data=octets)
    module("sensor_msgs.msg", CompressedImage=jpeg, Image=message("Image", header=header, data=octets))
    audio = message("AudioData", data=octets)
    module("audio_common_msgs.msg", AudioDataStamped=message("AudioDataStamped", header=header, audio=audio))
    if vision:
        hypothesis = message("ObjectHypothesis", class_id=str, score=float)
        posed = message("ObjectHypothesisWithPose", hypothesis=hypothesis)
        point = message("Point2D", x=float, y=float)
        pose = message("Pose2D", position=point, theta=float)
        box = message("BoundingBox2D", center=pose, size_x=float, size_y=float)
        detection = message("Detection2D", header=header, results=[posed], bbox=box, id=str)
        array_kind = message("Detection2DArray", header=header, detections=[detection])
        kinds = (hypothesis, posed, point, pose, box, detection, array_kind)
        module("vision_msgs.msg", **{kind.__name__: kind for kind in kinds})
    else:
        monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    return nodes
