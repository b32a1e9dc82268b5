"""Pictures and sound from ROS 2 topics through rclpy. Topics and types as in `dds_source`.

Messages are taken as they came over the wire (`raw=True`): rclpy's own conversion of a picture costs more than decoding
it.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

from ..errors import CaptureError
from . import cdr
from .live_source import Heard, LiveBusSource, sound_format
from .ros2_sink import import_rclpy

_JOIN_S = 2.0


class Ros2Source(LiveBusSource):
    """A node in a context of its own, spun by one thread."""

    _context: Any = None

    def subscribe(self) -> None:
        """Make the node and its subscriptions."""
        spec = self.picture_spec or self.sound_spec
        assert spec is not None
        self._rclpy = import_rclpy(spec.text, CaptureError)
        self._context = self._rclpy.Context()
        self._rclpy.init(args=[], context=self._context)
        self._node = self._rclpy.create_node("lvs_source", context=self._context)
        qos = importlib.import_module("rclpy.qos").qos_profile_sensor_data
        if self.picture_spec is not None:
            topic = self.picture_spec.topic
            is_compressed = topic.endswith("/compressed")
            kind = _type("sensor_msgs", "CompressedImage" if is_compressed else "Image", spec.text)
            read = cdr.read_compressed if is_compressed else cdr.read_image
            self._node.create_subscription(kind, topic, lambda m: self.guarded(read, m), qos, raw=True)
        if self.sound_spec is not None:
            form = sound_format(self.sound_spec)
            kind = _type("audio_common_msgs", "AudioDataStamped", spec.text)
            self._node.create_subscription(
                kind, self.sound_spec.topic, lambda m: self.guarded(_heard, m, form), qos, raw=True
            )
        self._executor = importlib.import_module("rclpy.executors").SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, name="lvs-ros2-source", daemon=True)
        self._thread.start()

    def unsubscribe(self) -> bool:
        """Stop spinning, destroy the node, shut the context down."""
        context, self._context = self._context, None
        if context is None:
            return True
        self._executor.shutdown(timeout_sec=_JOIN_S)
        self._thread.join(_JOIN_S)
        self._node.destroy_node()
        self._rclpy.shutdown(context=context)
        return not self._thread.is_alive()


def _heard(message: bytes, form: tuple[int, int]) -> Heard:
    audio = cdr.read_audio(message)
    return Heard(audio.stamp_ns, audio.data, *form)


def _type(package: str, name: str, text: str) -> Any:
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except ImportError as error:
        distro = package.replace("_", "-")
        raise CaptureError(f"{text}: {package} is not installed: apt install ros-<distro>-{distro}") from error
