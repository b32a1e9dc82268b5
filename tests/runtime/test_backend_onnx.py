"""The ONNX Runtime back end: what runs is what was asked, and what cannot run says how to mend it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import seeded_bundle

from lvs_runtime.backends import Backend, default_threads, onnx, onnx_binding, open_backend
from lvs_runtime.backends.base import physical_cores
from lvs_runtime.backends.onnx_binding import BoundGraph
from lvs_runtime.bundle import Bundle
from lvs_runtime.errors import BundleError, ConfigError, DeviceError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def backend(toy_bundle):
    return open_backend(Bundle.open(toy_bundle), "cpu", threads=2)


def tells_nodes() -> bool:
    """ONNX Runtime 1.23 does not, 1.32 does."""
    import onnxruntime

    return hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")


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
        "nodes": {"image": {"CPUExecutionProvider": 5}, "audio": {"CPUExecutionProvider": 6}}
        if tells_nodes()
        else {"image": None, "audio": None},
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


def test_cuda_that_does_not_load_is_no_silent_cpu(toy_bundle, monkeypatch):
    """A build with CUDA on a machine without: the session comes up on the CPU, which must be seen and said."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built with CUDA")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [onnx.CUDA, onnx.CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"), pytest.raises(DeviceError, match="did not load"):
        open_backend(Bundle.open(toy_bundle), "cuda", threads=1)


def test_a_provider_that_takes_no_node_did_not_run(toy_bundle):
    """The Azure provider is compiled into the plain wheel, is listed by the session, and runs nothing."""
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no AzureExecutionProvider; the PyPI wheel for Linux has")
    said = "AzureExecutionProvider took none of the 5 nodes of part image" if tells_nodes() else "cannot tell what a"
    with pytest.raises(DeviceError, match=f"{said}.*--device cpu"):
        open_backend(Bundle.open(toy_bundle), "ep:AzureExecutionProvider", threads=1)


def test_a_compiled_in_provider_by_name(toy_bundle):
    if not tells_nodes():
        pytest.skip("this onnxruntime cannot tell which provider took which node: pip install --upgrade onnxruntime")
    backend = open_backend(Bundle.open(toy_bundle), "ep:CPUExecutionProvider", threads=1)
    assert backend.describe()["device"] == "ep:CPUExecutionProvider"
    assert backend.provider == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("device", "error", "message"),
    [
        ("ep:", ConfigError, r"want ep:NAME .* or ep:NAME=PATH"),
        ("ep:NoSuch=", ConfigError, r"want ep:NAME"),
        ("ep:NoSuch", DeviceError, r"onnxruntime .* has .*CPUExecutionProvider; .*--device ep:NoSuch=PATH"),
        ("ep:NoSuch=/nowhere.so", DeviceError, "/nowhere.so is no file"),
    ],
)
def test_providers_that_are_not_there(toy_bundle, device, error, message):
    with pytest.raises(error, match=message):
        open_backend(Bundle.open(toy_bundle), device, threads=1)


def test_a_library_that_is_no_provider(toy_bundle, tmp_path):
    """ONNX Runtime itself loads the file and looks for the entry point."""
    library = tmp_path / "provider.so"
    library.write_bytes(b"not a shared library")
    with pytest.raises(DeviceError, match=r"--device ep:Own=.*onnxruntime .* refuses it: .*"):
        open_backend(Bundle.open(toy_bundle), f"ep:Own={library}", threads=1)


def test_bound_input_gives_what_a_plain_run_gives(backend):
    """The path that CUDA takes, on memory of the CPU: same session, same numbers, the output the caller's own."""
    import onnxruntime

    for part, dtype in (("image", np.uint8), ("audio", np.float32)):
        session, spec = backend._sessions[part], backend._parts[part].all_inputs
        bound = BoundGraph(onnxruntime, session, spec, "cpu")
        rng = np.random.default_rng(0)
        arrays = [rng.integers(0, 200, spec[0].shape).astype(dtype) for _ in range(3)]
        found = [bound.run(array) for array in arrays]
        for array, output in zip(arrays, found, strict=True):
            np.testing.assert_array_equal(output, backend.run(part, array))


def test_bound_inputs_of_the_fused_graph(tmp_path):
    import onnxruntime

    backend = open_backend(Bundle.open(seeded_bundle.write_fused(tmp_path / "fused")), "cpu", threads=1)
    bound = BoundGraph(onnxruntime, backend._sessions["fused"], backend._parts["fused"].all_inputs, "cpu")
    for picture, sound in seeded_bundle.clips():
        found = bound.run(picture[None], sound[None])
        np.testing.assert_allclose(found[0], seeded_bundle.reference_map(picture, sound), atol=2e-6)


def test_bound_inputs_of_many_lengths_are_not_all_kept(write_bundle, tmp_path):
    import onnxruntime

    backend = open_backend(Bundle.open(write_bundle(tmp_path / "b", num_samples="num_samples")), "cpu", threads=1)
    bound = BoundGraph(onnxruntime, backend._sessions["audio"], backend._parts["audio"].all_inputs, "cpu")
    for length in (*range(8_000, 8_010), 8_000):
        array = np.full((1, length), 0.5, np.float32)
        np.testing.assert_array_equal(bound.run(array), backend.run("audio", array))
    assert len(bound._bindings) == onnx_binding.MAX_LENGTHS


def test_half_is_widened_on_x86_and_this_is_said(tmp_path):
    """What `precision` claims, held against the graph that ONNX Runtime makes of it."""
    import onnx as onnx_package
    import onnxruntime

    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("a statement about x86")
    bundle = Bundle.open(seeded_bundle.write(tmp_path / "half", "fp16"))
    assert open_backend(bundle, "cpu", threads=1).precision == "fp16 as fp32+fp32"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(bundle.model_bytes("image"), options, providers=["CPUExecutionProvider"])
    graph = onnx_package.load(tmp_path / "optimized.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    casts = {name for node in graph.node if node.op_type == "Cast" and node.attribute[0].i == 1 for name in node.output}
    weights = [node.input[1] for node in graph.node if node.op_type.endswith("Conv")]
    assert len(weights) == 2
    assert all(kinds.get(name) == onnx_package.TensorProto.FLOAT or name in casts for name in weights)


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


@pytest.mark.parametrize(("device", "runtime"), [("cpu", "onnxruntime"), ("openvino", "openvino")])
def test_no_telemetry_file_is_written(toy_bundle, tmp_path, device, runtime):
    """Both runtimes write an identity into the home folder unless kept from it at their import; CI=1 would hide it."""
    if importlib.util.find_spec(runtime) is None:
        pytest.skip(f"not installed: pip install -e '.[{device}]'")
    code = "import sys; from lvs_runtime import Localizer; Localizer.from_bundle(*sys.argv[1:], threads=1)"
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LVS_CACHE": "0"}
    assert "CI" not in env
    command = [sys.executable, "-c", code, str(toy_bundle), device]
    subprocess.run(command, env=env, check=True, timeout=60, cwd=tmp_path)
    assert list(tmp_path.rglob("*")) == []
