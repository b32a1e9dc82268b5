"""The ONNX Runtime back end: what runs is what was asked, and what cannot run says how to mend it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lvs_runtime.backends import Backend, default_threads, onnx, open_backend
from lvs_runtime.backends.base import physical_cores
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import BundleError, ConfigError, DeviceError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def backend(toy_bundle):
    return open_backend(Bundle.open(toy_bundle), "cpu", threads=2)


def test_describes_what_runs(backend):
    import onnxruntime

    assert isinstance(backend, Backend)
    assert backend.describe() == {
        "runtime": "onnxruntime",
        "version": onnxruntime.__version__,
        "provider": "CPUExecutionProvider",
        "precision": "fp32",
        "threads": 2,
        "device": "cpu",
        "why": "asked for",
    }


def test_threads_are_stated_and_do_not_spin(backend):
    for session in backend._sessions.values():
        options = session.get_session_options()
        assert options.intra_op_num_threads == 2
        assert options.inter_op_num_threads == 1
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_default_threads():
    assert 1 <= default_threads() <= 4
    assert default_threads() == min(physical_cores(), 4)
    assert physical_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("part", "array", "message"),
    [
        ("image", np.zeros((1, 224, 224, 3), np.float32), r"got float32 .* want uint8 \[1, 224, 224, 3\]"),
        ("image", np.zeros((1, 100, 224, 3), np.uint8), r"got uint8 \[1, 100, 224, 3\]"),
        ("audio", np.zeros(48_000, np.float32), r"got float32 \[48000\], want float32 \[1, 48000\]"),
    ],
)
def test_arrays_that_do_not_fit(backend, part, array, message):
    with pytest.raises(ConfigError, match=message):
        backend.run(part, array)


def test_auto_says_why(toy_bundle, monkeypatch):
    backend = open_backend(Bundle.open(toy_bundle), "auto", threads=1)
    assert backend.describe()["why"].startswith("auto: ")
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return
    # A build with CUDA on a machine without: the session comes up on the CPU, which must be seen and said.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [onnx.CUDA, onnx.CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"), pytest.raises(DeviceError, match="did not load"):
        open_backend(Bundle.open(toy_bundle), "cuda", threads=1)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        backend = open_backend(Bundle.open(toy_bundle), "auto", threads=1)
    assert backend.provider == "CPUExecutionProvider"
    assert "CUDA is not usable" in backend.describe()["why"]


def test_graph_that_differs_from_the_manifest(own_bundle, edit_manifest):
    def change(manifest):
        manifest["parts"]["image"]["input"]["name"] = "picture"

    edit_manifest(own_bundle, change)
    with pytest.raises(BundleError, match=r"image.onnx has .*'image'.* the manifest says picture uint8"):
        open_backend(Bundle.open(own_bundle), "cpu")


def test_graph_that_the_runtime_refuses(own_bundle, edit_manifest):
    import onnx as onnx_package

    model = onnx_package.load_from_string((own_bundle / "audio.onnx").read_bytes())
    model.ir_version = 99
    data = model.SerializeToString()
    (own_bundle / "audio.onnx").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(own_bundle, lambda manifest: manifest["files"].update({"audio.onnx": entry}))
    with pytest.raises(BundleError, match=r"onnxruntime .* refuses audio.onnx: .*IR version.*lvs-export"):
        open_backend(Bundle.open(own_bundle), "cpu")


def test_precisions_that_differ_are_both_named(own_bundle, edit_manifest):
    edit_manifest(own_bundle, lambda manifest: manifest["parts"]["image"].update(precision="int8"))
    assert open_backend(Bundle.open(own_bundle), "cpu", threads=1).precision == "int8+fp32"


def test_absent_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(onnx, "_installed", dict)
    with pytest.raises(DeviceError, match=r"onnxruntime is not installed: pip install 'lvs\[cpu\]'"):
        onnx.load_onnxruntime()


def test_hollow_runtime_after_a_clash(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    with pytest.raises(DeviceError, match=r"hollow.*pip uninstall -y onnxruntime onnxruntime-gpu"):
        onnx.load_onnxruntime()


def test_two_installs_that_clash(monkeypatch):
    fake = ModuleType("onnxruntime")
    fake.get_available_providers = lambda: ["CPUExecutionProvider"]  # type: ignore[attr-defined]
    monkeypatch.setattr(onnx, "_installed", lambda: {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"})
    with pytest.raises(DeviceError, match=r"both onnxruntime and onnxruntime-gpu.*only one"):
        onnx._require_cuda(fake)


def test_no_telemetry_file_is_written(toy_bundle, tmp_path):
    """ONNX Runtime writes an identity into the home folder unless told not to before its import; CI=1 would hide it."""
    code = "import sys; from lvs_runtime import Localizer; Localizer.from_bundle(sys.argv[1], threads=1)"
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code, str(toy_bundle)], env=env, check=True, timeout=60, cwd=tmp_path)
    assert list(tmp_path.rglob("*")) == []
