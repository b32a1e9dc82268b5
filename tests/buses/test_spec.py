"""Addresses of buses: what is understood, what is refused, and that no secret is ever shown."""

from __future__ import annotations

import sys

import pytest

from lvs_runtime.buses.spec import parse_bus, secret
from lvs_runtime.errors import ConfigError
from lvs_runtime.sinks import ResultSink, open_sink


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mqtt://host/lvs", "MqttSink"),
        ("mqtts://anna@host:8884/robot/lvs?ca=ca.pem&image=5", "MqttSink"),
        ("zenoh:robot/lvs?connect=tcp/127.0.0.1:7447", "ZenohSink"),
        ("zmq:5556", "ZmqSink"),
        ("zmq:ipc:///tmp/lvs.sock", "ZmqSink"),
        ("dds:/lvs?domain=7", "DdsSink"),
        ("ros2:/robot/lvs", "Ros2Sink"),
        ("foxglove:8765", "FoxgloveSink"),
        ("foxglove:", "FoxgloveSink"),
        ("mcap:run.mcap", "McapSink"),
    ],
)
def test_each_form_makes_its_sink_and_loads_nothing(text, kind, monkeypatch):
    for name in ("paho", "paho.mqtt.client", "zenoh", "zmq", "cyclonedds", "foxglove", "rclpy"):
        monkeypatch.setitem(sys.modules, name, None)
    sink = open_sink(text)
    assert type(sink).__name__ == kind
    assert isinstance(sink, ResultSink)
    assert sink.name == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mqtt://host", "no topic"),
        ("mqtt:///lvs", "no host"),
        ("mqtt://host:port/lvs", "not a port"),
        ("mqtt://host/lvs/+/x", "may not hold"),
        ("mqtt://host/lvs%23", "may not hold"),
        ("mqtt://host/lvs#x", "may not hold"),
        ("mqtt://host/$SYS/x", "begin with"),
        ("mqtt://host/lvs?retain=1", "unknown option retain"),
        ("mqtt://host/lvs?image=often", "want a number"),
        ("mqtt://host/lvs?image=-1", "want a number"),
        ("zenoh:a//b", "no Zenoh key"),
        ("zenoh:a/**", "no Zenoh key"),
        ("zenoh:/a", "no Zenoh key"),
        ("zenoh:", "no Zenoh key"),
        ("dds:lvs", "no ROS topic"),
        ("ros2:/1lvs", "no ROS topic"),
        ("ros2:/lvs-x", "no ROS topic"),
        ("dds:/lvs?domain=x", "domain x"),
        ("zmq:http", "want zmq:PORT"),
        ("foxglove:http", "port must be"),
        ("mcap:", "needs a file"),
        ("mqt://host/lvs", "Did you mean mqtt"),
    ],
)
def test_what_is_wrong_is_said(text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        open_sink(text)
    assert text in str(caught.value)


def test_odd_characters_in_a_topic_are_carried():
    assert parse_bus("mqtt://host/küche/geräusch%20links", "--sink").topic == "küche/geräusch links"


def test_a_password_on_the_command_line_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="LVS_MQTT_PASSWORD") as caught:
        open_sink("mqtt://anna:geheim@host/lvs")
    assert "geheim" not in str(caught.value)


def test_secrets_come_from_environment_or_file(tmp_path, monkeypatch):
    for name in ("LVS_MQTT_PASSWORD", "LVS_MQTT_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert secret("LVS_MQTT_PASSWORD") is None
    (tmp_path / "p").write_text("from file\n")
    monkeypatch.setenv("LVS_MQTT_PASSWORD_FILE", str(tmp_path / "p"))
    assert secret("LVS_MQTT_PASSWORD") == "from file"
    monkeypatch.setenv("LVS_MQTT_PASSWORD", "from environment")
    assert secret("LVS_MQTT_PASSWORD") == "from environment"
    monkeypatch.delenv("LVS_MQTT_PASSWORD")
    monkeypatch.setenv("LVS_MQTT_PASSWORD_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="cannot be read"):
        secret("LVS_MQTT_PASSWORD")


@pytest.mark.parametrize(
    ("text", "extra", "modules"),
    [
        ("mqtt://127.0.0.1:1/x", "mqtt", ["paho", "paho.mqtt", "paho.mqtt.client"]),
        ("zenoh:x", "zenoh", ["zenoh"]),
        ("zmq:0", "zmq", ["zmq"]),
        ("dds:/x", "dds", ["cyclonedds", "cyclonedds.core"]),
        ("foxglove:0", "foxglove", ["foxglove"]),
        ("mcap:x.mcap", "foxglove", ["foxglove"]),
        ("ros2:/x", "dds", ["rclpy"]),
    ],
)
def test_a_missing_package_names_its_extra(text, extra, modules, monkeypatch, bus):
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Exception, match=rf"lvs\[{extra}\]") as caught:
        open_sink(text).open(bus.INFO)
    assert type(caught.value).__name__ == "SinkError"
