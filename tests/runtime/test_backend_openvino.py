"""OpenVINO: what it was told, what it says of itself, and the compiled graphs that it keeps."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

if importlib.util.find_spec("openvino") is None:  # importing it here would report to its maker: see load_openvino
    pytest.skip("not installed: pip install -e '.[openvino]'", allow_module_level=True)
pytest.importorskip("onnx")
import seeded_bundle

from lvs_runtime.backends import host, open_backend, openvino
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import DeviceError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lvs" / "openvino"


def test_threads_latency_and_precision_are_read_back(toy_bundle):
    backend = open_backend(Bundle.open(toy_bundle), "openvino", threads=1)
    for compiled in backend._compiled.values():
        assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
        assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert backend.provider == "OpenVINO CPU"
    assert backend.describe()["convolutions"] == {"image": {"f32": 1}, "audio": {"f32": 1}}


@pytest.mark.parametrize(("precision", "said"), [("fp16", "fp16 as fp32+fp32"), ("int8", "int8+fp32")])
def test_effective_precision(tmp_path, precision, said):
    bundle = Bundle.open(seeded_bundle.write(tmp_path / "bundle", precision))
    assert open_backend(bundle, "openvino", threads=1).precision == said


def test_a_compiled_graph_is_kept_and_found_again(toy_bundle, cache):
    picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    outputs, found = [], []
    for _ in range(2):
        backend = open_backend(Bundle.open(toy_bundle), "openvino", threads=1)
        outputs.append(backend.run("image", picture))
        found.append(backend.describe()["from_cache"])
    assert found == [{"image": False, "audio": False}, {"image": True, "audio": True}]
    np.testing.assert_array_equal(*outputs)
    assert len(list(cache.iterdir())) == 2
    open_backend(Bundle.open(toy_bundle), "openvino", threads=2)  # other settings, other graphs
    assert len(list(cache.iterdir())) == 4


def test_a_damaged_cache_is_compiled_anew(toy_bundle, cache):
    open_backend(Bundle.open(toy_bundle), "openvino", threads=1)
    for path in cache.iterdir():
        path.write_bytes(b"not a compiled graph")
    assert not any(open_backend(Bundle.open(toy_bundle), "openvino", threads=1).describe()["from_cache"].values())
    assert all(open_backend(Bundle.open(toy_bundle), "openvino", threads=1).describe()["from_cache"].values())


def test_no_cache_on_request(toy_bundle, cache, monkeypatch):
    monkeypatch.setenv("LVS_CACHE", "0")
    open_backend(Bundle.open(toy_bundle), "openvino", threads=1)
    assert not cache.exists()


def test_a_cache_folder_that_cannot_be_written(toy_bundle, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert not any(open_backend(Bundle.open(toy_bundle), "openvino", threads=1).describe()["from_cache"].values())
    assert "cannot be written" in (host.write_cached("a/b", b"") or "")


def test_old_files_leave_the_cache(cache):
    for number in range(host.KEPT_FILES + 5):
        assert host.write_cached(f"openvino/{number}", b"x") is None
    assert len(list(cache.iterdir())) == host.KEPT_FILES
    assert host.read_cached(f"openvino/{number}") == b"x"


def test_a_link_in_the_cache_is_not_followed(cache, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"x")
    cache.mkdir(parents=True)
    (cache / "link").symlink_to(tmp_path / "elsewhere")
    assert host.read_cached("openvino/link") is None


def test_absent_or_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(DeviceError, match=r"cannot be loaded: .*; pip install --force-reinstall 'lvs\[openvino\]'"):
        openvino.load_openvino()
    monkeypatch.setattr(openvino, "version_of", lambda *names: None)
    with pytest.raises(DeviceError, match=r"openvino is not installed: pip install 'lvs\[openvino\]'"):
        openvino.load_openvino()
    assert "openvino_telemetry" not in sys.modules
