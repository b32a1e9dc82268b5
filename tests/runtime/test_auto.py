"""`--device auto`: measured once, remembered under what it depends on, overridden on request, never silent."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import seeded_bundle

from lvs_runtime import backends
from lvs_runtime.backends import auto, open_backend
from lvs_runtime.backends.base import GraphBackend
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import ConfigError, DeviceError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("LVS_DEVICE", raising=False)
    return tmp_path / "cache" / "lvs" / "probe"


@pytest.fixture
def bundle(toy_bundle):
    return Bundle.open(toy_bundle)


class Scripted(GraphBackend):
    """A back end that sleeps on a scripted clock instead of computing."""

    runtime, version, provider = "scripted", "1", "scripted"

    def __init__(self, bundle, device, cost_ms, clock):
        super().__init__(bundle, device, 1, "asked for")
        self.cost_ms, self.clock = cost_ms, clock

    def _infer(self, part_name, *arrays):
        self.clock.now_ns += int(self.cost_ms * 1e6)
        return np.zeros(1, np.float32)

    def _nodes_of_parts(self):
        return dict.fromkeys(self._parts)

    def _release(self):
        pass


class Clock:
    """Stands for the module `time`."""

    def __init__(self):
        self.now_ns = 0

    def perf_counter_ns(self):
        return self.now_ns

    def monotonic(self):
        return self.now_ns / 1e9


@pytest.fixture
def scripted(monkeypatch, bundle):
    """Costs in ms by device (an error to raise instead); opening takes as long as `opening_s` says."""

    def script(costs, opening_s=0.1):
        clock, opened = Clock(), {}

        def open_named(bundle, device, threads, why="asked for"):
            clock.now_ns += int(opening_s * 1e9)
            if isinstance(costs[device], Exception):
                raise costs[device]
            opened[device] = Scripted(bundle, device, costs[device], clock)
            return opened[device]

        monkeypatch.setattr(auto, "time", clock)
        monkeypatch.setattr(backends, "open_named", open_named)
        monkeypatch.setattr(auto, "GPU_DEVICES", {})
        monkeypatch.setattr(auto, "CPU_DEVICES", {device: ((device,), device) for device in costs})
        monkeypatch.setattr(auto, "version_of", lambda *names: "1")
        return opened

    return script


def test_really_measures_what_is_installed(bundle, cache, caplog, monkeypatch):
    monkeypatch.setattr(auto, "OPEN_UNTIL_S", 60.0)  # however busy the machine is
    backend = open_backend(bundle, "auto", threads=1)
    told = backend.describe()
    rows = {row["device"]: row for row in told["probe"]["rows"]}
    assert rows["cpu"]["image_ms"] > 0
    usable = {name: row["image_ms"] + 8 / 30 * row["audio_ms"] for name, row in rows.items() if row["image_ms"]}
    assert told["device"] == min(usable, key=usable.__getitem__)
    assert told["why"].startswith("auto: ")
    assert "measured now" in told["why"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]  # before and after: never silent
    assert "measuring once" in caplog.text
    caplog.clear()
    again = open_backend(bundle, "auto", threads=1).describe()
    assert again["device"] == told["device"]
    assert again["probe"] == told["probe"]
    assert told["probe"]["measured"] in again["why"]
    assert not caplog.records
    assert len(list(cache.iterdir())) == 1


def test_takes_the_cheapest_and_closes_the_others(bundle, scripted):
    opened = scripted({"cpu": 10.0, "openvino": 3.0})
    backend = open_backend(bundle, "auto")
    assert backend is opened["openvino"]
    backend.run("image", np.zeros((1, 224, 224, 3), np.uint8))
    with pytest.raises(DeviceError, match="closed"):
        opened["cpu"].run("image", np.zeros((1, 224, 224, 3), np.uint8))
    assert "openvino 3.0 + 3.0 ms, cpu 10.0 + 10.0 ms (picture + sound, medians of 15" in backend.describe()["why"]


def test_a_bundle_that_holds_only_the_fused_graph(scripted, tmp_path):
    opened = scripted({"cpu": 10.0, "openvino": 3.0})
    fused = Bundle.open(seeded_bundle.write_fused(tmp_path / "fused"))
    assert open_backend(fused, "auto") is opened["openvino"]
    assert "openvino 3.0 ms, cpu 10.0 ms (picture + sound" in opened["openvino"].describe()["why"]
    assert auto.recall(fused, 1) is None  # of other threads
    assert open_backend(fused, "auto").describe()["why"].split("measured ")[1] != "now"


def test_what_does_not_open_is_listed_with_its_reason(bundle, scripted):
    scripted({"openvino": DeviceError("openvino is broken: repair it"), "cpu": 10.0})
    rows = open_backend(bundle, "auto").describe()["probe"]["rows"]
    assert [(row["device"], row["why_not"]) for row in rows] == [
        ("openvino", "openvino is broken: repair it"),
        ("cpu", ""),
    ]


def test_nothing_usable(bundle, scripted):
    scripted({"openvino": DeviceError("openvino is broken"), "cpu": DeviceError("onnxruntime is hollow")})
    with pytest.raises(DeviceError, match=r"no back end is usable\. openvino is broken; onnxruntime is hollow"):
        open_backend(bundle, "auto")


def test_the_measurement_is_bounded(bundle, scripted):
    """Slow engines: three rounds, no more; what would be opened after two seconds is listed as not measured."""
    scripted({"openvino": 300.0, "cpu": 200.0}, opening_s=0.5)
    probe = open_backend(bundle, "auto").describe()["probe"]
    assert probe["rounds"] == 3
    scripted({"openvino": 3.0, "cpu": 2.0}, opening_s=2.5)
    rows = auto.measure(bundle, 1)[0].rows
    assert "not measured, the others took long to open; try --device cpu" in rows[0].why_not
    assert rows[1].image_ms == 3.0


def test_a_measurement_that_left_something_out_is_not_kept(bundle, scripted, caplog, cache):
    """A machine that is busy for a moment must not decide for good."""
    scripted({"openvino": 3.0, "cpu": 2.0}, opening_s=2.5)
    assert open_backend(bundle, "auto").describe()["device"] == "openvino"
    assert "the next start repeats it: cpu: not measured, the others took long" in caplog.text
    assert not cache.exists()
    scripted({"openvino": 3.0, "cpu": 2.0}, opening_s=0.2)  # now from its own cache
    assert open_backend(bundle, "auto").describe()["device"] == "cpu"
    assert len(list(cache.iterdir())) == 1


def test_other_facts_are_measured_anew(bundle, scripted, monkeypatch, cache):
    scripted({"cpu": 10.0, "openvino": 3.0})
    for change in (
        lambda: None,
        lambda: monkeypatch.setattr(auto, "cpu_model", lambda: "another CPU"),
        lambda: monkeypatch.setattr(auto, "nvidia_gpus", lambda: ["a GPU"]),
        lambda: monkeypatch.setattr(auto, "version_of", lambda *names: "2"),
    ):
        change()
        assert "measured now" in open_backend(bundle, "auto", threads=1).describe()["why"]
        assert "measured now" not in open_backend(bundle, "auto", threads=1).describe()["why"]
    assert "measured now" in open_backend(bundle, "auto", threads=2).describe()["why"]
    assert len(list(cache.iterdir())) == 5


def test_a_choice_that_no_longer_opens_is_said_and_measured_anew(bundle, scripted, caplog):
    scripted({"cpu": 10.0, "openvino": 3.0})
    open_backend(bundle, "auto")
    scripted({"cpu": 10.0, "openvino": DeviceError("openvino was removed")})
    caplog.clear()
    assert open_backend(bundle, "auto").describe()["device"] == "cpu"
    assert "no longer opens, measuring again: openvino was removed" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"{", b'{"facts": {}}', b"[1, 2]", b"\xff\xfe"])
def test_a_damaged_cache_is_measured_anew(bundle, scripted, cache, damage):
    scripted({"cpu": 10.0, "openvino": 3.0})
    open_backend(bundle, "auto")
    (path,) = cache.iterdir()
    path.write_bytes(damage)
    assert "measured now" in open_backend(bundle, "auto").describe()["why"]


def test_a_cache_of_another_machine_under_this_name(bundle, scripted, cache):
    scripted({"cpu": 10.0, "openvino": 3.0})
    open_backend(bundle, "auto")
    (path,) = cache.iterdir()
    known = json.loads(path.read_text())
    known["facts"]["cpu"] = "another"
    path.write_text(json.dumps(known))
    assert "measured now" in open_backend(bundle, "auto").describe()["why"]


def test_a_cache_that_cannot_be_kept_is_said(bundle, scripted, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    scripted({"cpu": 10.0, "openvino": 3.0})
    with caplog.at_level(logging.WARNING):
        open_backend(bundle, "auto")
    assert "the measurement is not kept, the next start repeats it" in caplog.text


def test_the_variable_overrides_auto_and_the_flag_overrides_the_variable(bundle, monkeypatch, cache):
    monkeypatch.setenv("LVS_DEVICE", "cpu")
    assert open_backend(bundle, "auto", threads=1).describe()["why"] == "auto: LVS_DEVICE=cpu"
    assert not cache.exists()
    monkeypatch.setenv("LVS_DEVICE", "quantum")
    with pytest.raises(ConfigError, match="quantum: unknown"):
        open_backend(bundle, "auto")
    assert open_backend(bundle, "cpu", threads=1).describe()["why"] == "asked for"


def test_gpu_engines_are_tried_only_where_there_is_a_gpu(bundle, monkeypatch):
    monkeypatch.setattr(auto, "nvidia_gpus", list)
    with pytest.raises(DeviceError, match="cuda: no NVIDIA GPU is seen here"):
        auto._open(bundle, "cuda", 1, float("inf"))
    monkeypatch.setattr(auto, "nvidia_gpus", lambda: ["NVIDIA L4, 580"])
    monkeypatch.setattr(auto, "version_of", lambda *names: None)
    with pytest.raises(DeviceError, match=r"cuda: not installed: pip install 'lvs\[gpu\]'"):
        auto._open(bundle, "cuda", 1, float("inf"))


def test_not_installed_names_the_extra(bundle, monkeypatch):
    monkeypatch.setattr(auto, "version_of", lambda *names: None)
    with pytest.raises(DeviceError, match=r"openvino: not installed: pip install 'lvs\[openvino\]'"):
        auto._open(bundle, "openvino", 1, float("inf"))
