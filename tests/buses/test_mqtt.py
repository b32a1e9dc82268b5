"""The MQTT sink against a real mosquitto that is started, stopped, locked and given certificates."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pytest

from lvs_runtime.errors import SinkError
from lvs_runtime.sinks import SinkQueue, open_sink

pytest.importorskip("paho.mqtt.client")
pytestmark = pytest.mark.usefixtures("no_threads_left")


def send(bus, sink, index, result):
    """One result at a time, as a session would: a burst is dropped on purpose."""
    bus.wait_until("taken", lambda: sink._waiting < 8)
    sink.write(bus.frame(index), result, None)


@pytest.fixture
def broker(bus, tmp_path):
    started = bus.Mosquitto(tmp_path).start()
    yield started
    started.stop()


def test_results_state_status_and_picture(bus, broker):
    pytest.importorskip("cv2")
    listener = bus.MqttListener(broker.port, "küche/#")
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/küche/lvs ä?image=10")
    sink.open(bus.INFO)
    results = bus.tracked(30, source_stamp_ns=1_234_567_890_123_456_789, frame_id="head_optical")
    for index, result in enumerate(results):
        send(bus, sink, index, result)
    bus.wait_until("all results", lambda: len(listener.on("küche/lvs ä/result")) == 30)
    sink.close()
    bus.wait_until("offline", lambda: b"offline" in listener.on("küche/lvs ä/status"))
    listener.close()
    first = json.loads(listener.on("küche/lvs ä/result")[0])
    assert first["stamp_ns"] == 1_234_567_890_123_456_789
    assert first["frame_id"] == "head_optical"
    assert [json.loads(p)["frame_index"] for p in listener.on("küche/lvs ä/result")] == list(range(30))
    assert listener.on("küche/lvs ä/status") == [b"online", b"offline"]
    assert 11 <= len(listener.on("küche/lvs ä/image")) <= 13
    assert listener.on("küche/lvs ä/image")[0][:2] == b"\xff\xd8"
    state = json.loads(listener.on("küche/lvs ä/state")[-1])
    assert state["sound"] == "ON"
    assert state["bearing_deg"] < 0  # to the right
    assert (sink.sent, sink.lost) == (30, 0)


def test_home_assistant_is_told_and_told_again(bus, broker):
    listener = bus.MqttListener(broker.port)
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/robot/ear?discovery&name=Robot&image=1")
    sink.open(bus.INFO)
    config = "homeassistant/device/lvs_robot_ear/config"
    bus.wait_until("discovery", lambda: len(listener.on(config)) == 1)
    listener.client.publish("homeassistant/status", b"online")
    bus.wait_until("discovery again", lambda: len(listener.on(config)) == 2)
    sink.close()
    listener.close()
    late = bus.MqttListener(broker.port, config)
    bus.wait_until("retained", lambda: late.got)
    late.close()
    assert late.got[0][2]
    payload = json.loads(late.got[0][1])
    assert payload["dev"]["name"] == "Robot"
    assert payload["o"]["name"] == "lvs"
    parts = payload["cmps"]
    assert parts["sound"]["device_class"] == "sound"
    assert parts["picture"]["topic"] == "robot/ear/image"
    assert len({part["unique_id"] for part in parts.values()}) == len(parts) == 5
    assert payload["availability_topic"] == "robot/ear/status"


def test_state_is_retained_and_slow(bus, broker):
    listener = bus.MqttListener(broker.port, "lvs/state")
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/lvs")
    sink.open(bus.INFO)
    for index in range(50):  # 2 s, sound on and off at every result
        send(bus, sink, index, bus.result(index, seen=index % 2 == 0))
    bus.wait_until("states", lambda: len(listener.got) >= 4)
    sink.close()
    listener.close()
    assert 3 <= len(listener.got) <= 5


def test_broker_gone_and_back(bus, broker, caplog):
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/lvs")
    queue = SinkQueue(sink)
    queue.start(bus.INFO)
    queue.put(bus.frame(0), bus.result(0))
    bus.wait_until("first", lambda: sink.sent == 1)
    broker.stop()
    bus.wait_until("noticed", lambda: not sink._connected)
    slowest_s = 0.0
    for index in range(1, 200):
        begin = time.monotonic()
        queue.put(bus.frame(index), bus.result(index))
        slowest_s = max(slowest_s, time.monotonic() - begin)
    bus.wait_until("counted", lambda: sink.lost + queue.dropped == 199)
    assert queue.error is None
    broker.start()
    listener = bus.MqttListener(broker.port)
    bus.wait_until("reconnected", lambda: sink.reconnects == 1)
    queue.put(bus.frame(200), bus.result(200))
    bus.wait_until("result after", lambda: listener.on("lvs/result"))
    assert json.loads(listener.on("lvs/result")[-1])["frame_index"] == 200
    assert b"online" in listener.on("lvs/status")
    assert queue.close()
    listener.close()
    assert "connection lost" in caplog.text
    assert slowest_s < 1.0  # nothing waits for a network, however busy this machine is


def test_a_subscriber_that_does_not_read_costs_nothing(bus, broker):
    import socket

    stuck = socket.create_connection(("127.0.0.1", broker.port))
    name, topic = b"stuck", b"lvs/#"
    connect = b"\x00\x04MQTT\x04\x02\x00\x00" + bytes([0, len(name)]) + name
    subscribe = b"\x00\x01" + bytes([0, len(topic)]) + topic + b"\x00"
    stuck.sendall(bytes([0x10, len(connect)]) + connect + bytes([0x82, len(subscribe)]) + subscribe)
    listener = bus.MqttListener(broker.port, "lvs/result")
    sink = open_sink(f"mqtt://127.0.0.1:{broker.port}/lvs?map=1")
    sink.open(bus.INFO)
    for index in range(300):
        send(bus, sink, index, bus.result(index))
    bus.wait_until("the other one has all", lambda: len(listener.got) == sink.sent)
    assert (sink.sent, sink.lost) == (300, 0)
    sink.close()
    listener.close()
    stuck.close()


def test_no_broker(bus):
    with pytest.raises(SinkError, match=r"no broker at 127\.0\.0\.1.*Connection refused"):
        open_sink(f"mqtt://127.0.0.1:{bus.free_port()}/lvs").open(bus.INFO)


def test_something_else_is_listening(bus, monkeypatch):
    import socket

    monkeypatch.setattr("lvs_runtime.buses.mqtt_sink._CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = open_sink(f"mqtt://127.0.0.1:{server.getsockname()[1]}/lvs")
        with pytest.raises(SinkError, match=r"does not answer|no broker"):
            sink.open(bus.INFO)
        sink.close()


def test_credentials(bus, tmp_path, monkeypatch, caplog):
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip(f"mosquitto_passwd is missing: run {bus.INSTALL}")
    subprocess.run(["mosquitto_passwd", "-c", "-b", tmp_path / "users", "anna", "geheim"], check=True)
    (tmp_path / "users").chmod(0o600)
    broker = bus.Mosquitto(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'users'}").start()
    try:
        for user, password in (("", None), ("anna@", "falsch"), ("otto@", "geheim")):
            monkeypatch.delenv("LVS_MQTT_PASSWORD", raising=False)
            if password:
                monkeypatch.setenv("LVS_MQTT_PASSWORD", password)
            sink = open_sink(f"mqtt://{user}127.0.0.1:{broker.port}/lvs")
            with pytest.raises(SinkError, match=r"refuses us.*LVS_MQTT_PASSWORD_FILE") as caught:
                sink.open(bus.INFO)
            sink.close()
            assert "falsch" not in str(caught.value)
        monkeypatch.setenv("LVS_MQTT_PASSWORD", "geheim")
        listener = bus.MqttListener(broker.port, username="anna", password="geheim")
        sink = open_sink(f"mqtt://anna@127.0.0.1:{broker.port}/lvs")
        sink.open(bus.INFO)
        sink.write(bus.frame(0), bus.result(0), None)
        bus.wait_until("let in", lambda: listener.on("lvs/result"))
        sink.close()
        listener.close()
    finally:
        broker.stop()
    assert "geheim" not in caplog.text


def _certificate(folder, name, address, issuer=None):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing: run scripts/install-system-packages.sh")
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName={address}"]
    if issuer:
        command += ["-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key"]
        command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves that socket to the collector
def test_certificates(bus, tmp_path):
    _certificate(tmp_path, "authority", "DNS:authority")
    for name, address, accepted in (("right", "IP:127.0.0.1", True), ("wrong", "DNS:elsewhere", False)):
        key, cert = _certificate(tmp_path, name, address, "authority")
        broker = bus.Mosquitto(tmp_path, f"certfile {cert}", f"keyfile {key}").start()
        try:
            address = f"mqtts://127.0.0.1:{broker.port}/lvs"
            with pytest.raises(SinkError, match=r"certificate is not accepted.*ca=FILE"):
                open_sink(address).open(bus.INFO)  # nobody vouches for that authority
            sink = open_sink(f"{address}?ca={tmp_path / 'authority.pem'}")
            if accepted:
                sink.open(bus.INFO)
                sink.write(bus.frame(0), bus.result(0), None)
                assert sink.sent == 1
                sink.close()
            else:
                with pytest.raises(SinkError, match="certificate is not accepted"):
                    sink.open(bus.INFO)
            with pytest.raises(SinkError, match=r"ca=.*nowhere"):
                open_sink(f"{address}?ca={tmp_path / 'nowhere.pem'}").open(bus.INFO)
        finally:
            broker.stop()
