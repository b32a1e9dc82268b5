"""Robots' buses: results out, pictures and sound in. Each library is an extra, loaded when its scheme is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .spec import BUS_SCHEMES, SINK_FORMS, parse_bus

if TYPE_CHECKING:
    from ..sinks.base import ResultSink

__all__ = ["BUS_SCHEMES", "SINK_FORMS", "open_bus_sink", "parse_bus"]


def open_bus_sink(text: str) -> ResultSink:
    """The sink that `text` names, not opened yet: nothing is sent and no package is loaded before `open(info)`."""
    spec = parse_bus(text, "--sink")
    if spec.scheme in ("mqtt", "mqtts"):
        from .mqtt_sink import MqttSink

        return MqttSink(spec)
    if spec.scheme == "zenoh":
        from .zenoh_sink import ZenohSink

        return ZenohSink(spec)
    if spec.scheme == "zmq":
        from .zmq_sink import ZmqSink

        return ZmqSink(spec)
    if spec.scheme == "dds":
        from .dds_sink import DdsSink

        return DdsSink(spec)
    if spec.scheme == "ros2":
        from .ros2_sink import Ros2Sink

        return Ros2Sink(spec)
    if spec.scheme == "foxglove":
        from .foxglove_sink import FoxgloveSink

        return FoxgloveSink(spec)
    from .mcap_sink import McapSink

    return McapSink(spec)
