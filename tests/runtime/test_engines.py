"""Engines of TensorRT: which may be opened, where they come from, how they are run.

On this page `fake` means fake_gpu: CUDA and TensorRT replaced, our code real. The tests of TensorRT-RTX use the real
library where it is installed (its parser and builder need no GPU); what a GPU computes is in test_conformance.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import fake_gpu
import seeded_bundle as seeded

from lvs_runtime.backends import engines, open_backend
from lvs_runtime.backends.cuda import Cuda, Gpu
from lvs_runtime.bundle import Bundle, default_path
from lvs_runtime.errors import BundleError, ConfigError, DeviceError
from lvs_runtime.localizer import Localizer

L4 = Gpu("NVIDIA L4", "8.9", "13.0")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lvs" / "engines"


@pytest.fixture
def fake(monkeypatch):
    """Puts a fake GPU and TensorRT in place; call it again for another machine."""

    def place(gpu="NVIDIA Test", **library):
        cuda = fake_gpu.FakeRuntime(gpu)
        trt = fake_gpu.FakeLibrary(cuda, **library)
        bindings = ModuleType("cuda.bindings")
        bindings.runtime = cuda
        for name, module in (("cuda", ModuleType("cuda")), ("cuda.bindings", bindings), ("tensorrt", trt)):
            monkeypatch.setitem(sys.modules, name, module)
        return cuda, trt

    return place


@pytest.fixture
def folder(tmp_path):
    return seeded.write(tmp_path / "bundle")


def add_engines(folder, **changes):
    """Engines in the bundle, as lvs-export --format engine writes them on an "NVIDIA Test" with TensorRT 10.3.0."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    facts = {}
    for part in ("image", "audio"):
        plan = b"PLAN" + (folder / f"{part}.onnx").read_bytes()
        (folder / f"{part}.engine").write_bytes(plan)
        digest = hashlib.sha256(plan).hexdigest()
        manifest["files"][f"{part}.engine"] = {"bytes": len(plan), "sha256": digest}
        facts[part] = {
            "file": f"{part}.engine",
            "library": "tensorrt",
            "version": "10.3.0",
            "onnx_sha256": manifest["files"][f"{part}.onnx"]["sha256"],
            "gpu": "NVIDIA Test",
            "compute_capability": "8.9",
            **changes,
        }
    manifest["engines"] = {"engine": facts}
    path.write_text(json.dumps(manifest))


def test_facts_that_must_agree():
    trt = ModuleType("tensorrt")
    trt.__version__ = "10.3.0"
    full = {"library": "tensorrt", "version": "10.3.0", "onnx_sha256": "ab", "gpu": "NVIDIA L4"}
    full["compute_capability"] = "8.9"
    assert engines.facts_for(trt, "tensorrt", L4, "ab") == full
    rtx = engines.facts_for(trt, "rtx", L4, "ab")
    assert rtx == {"library": "tensorrt_rtx", "version": "10.3.0", "onnx_sha256": "ab"}  # finished on any GPU
    assert engines.differences({**full, "more": 1}, full) == ""
    assert engines.differences({**full, "version": "11.0"}, full) == "version '11.0', here '10.3.0'"
    assert "gpu 'not stated', here 'NVIDIA L4'" in engines.differences({}, full)


def test_what_may_vary_is_filled_in():
    assert engines.varied(("batch", 224, 224, 3), 32, 7) == (32, 224, 224, 3)
    assert engines.varied((1, "num_samples"), 32, 7) == (1, 7)
    assert engines.varied((-1, -1), 32, 7) == (32, 7)


def test_golden_maps_on_the_fake_gpu(fake, folder):
    """The whole way but for NVIDIA's part of it, twice: the second inference replays the recorded CUDA graph."""
    cuda, trt = fake()
    localizer = Localizer.from_bundle(folder, "tensorrt")
    for _ in range(2):
        for picture, sound in seeded.clips():
            found = localizer.similarity(localizer.embed_prepared(picture[None]), localizer.embed_audio(sound))
            np.testing.assert_allclose(found, seeded.reference_map(picture, sound), atol=2e-6)
    assert cuda.launches == 2 * 5  # all but the first of each part
    told = localizer.backend.describe()
    assert (told["provider"], told["version"], told["precision"]) == ("TensorRT NVIDIA Test", "10.3.0", "fp32")
    assert told["gpu"] == {"name": "NVIDIA Test", "compute_capability": "8.9", "cuda": "13.0"}
    assert told["engines"] == {"image": "built now", "audio": "built now"}
    assert trt.typed == [1 << 1] * 2  # strongly typed
    localizer.close()
    assert (cuda.memory, cuda.streams, cuda.graphs) == ({}, set(), {})
    with pytest.raises(DeviceError, match="closed"):
        localizer.embed_audio(np.zeros(16_000, np.float32))


def test_the_fused_graph_on_the_fake_gpu(fake, tmp_path):
    cuda, trt = fake()
    localizer = Localizer.from_bundle(seeded.write_fused(tmp_path / "fused"), "tensorrt")
    for _ in range(2):
        for picture, sound in seeded.clips():
            result = localizer.localize(np.ascontiguousarray(picture[..., ::-1]), sound, 16_000)
            np.testing.assert_allclose(result.similarity_map, seeded.reference_map(picture, sound), atol=2e-6)
    assert cuda.launches == 5
    assert result.nodes == {"TensorRT NVIDIA Test": 3}
    assert len(trt.built) == 1
    localizer.close()
    assert (cuda.memory, cuda.streams, cuda.graphs) == ({}, set(), {})


def test_sound_of_any_length_on_the_fake_gpu(fake, tmp_path):
    cuda, _ = fake()
    backend = open_backend(Bundle.open(seeded.write(tmp_path / "v", num_samples="num_samples")), "tensorrt")
    sound = np.concatenate([clip[1] for clip in seeded.clips(10)])
    for length in (160_000, 8_000, 16_000, 160_000):
        assert backend.run("audio", sound[None, :length]).shape == (1, 512)
    assert cuda.launches == 0  # a recorded graph has one shape
    with pytest.raises(DeviceError, match=r"not built for an input of shape \[1, 7999\]"):
        backend.run("audio", sound[None, :7_999])


def test_a_batch_on_the_fake_gpu(fake, tmp_path):
    fake()
    backend = open_backend(Bundle.open(seeded.write(tmp_path / "b", batch="batch")), "tensorrt")
    pictures = np.stack([picture for picture, _ in seeded.clips(32)])
    together = backend.run("image", pictures)
    assert together.shape == (32, 512, 14, 14)
    np.testing.assert_allclose(together[7:8], backend.run("image", pictures[7:8]), atol=1e-6)


def test_callers_of_several_threads_wait_for_each_other(fake, folder):
    fake()
    backend = open_backend(Bundle.open(folder), "tensorrt")
    clips = seeded.clips(6)
    alone = [backend.run("image", picture[None]) for picture, _ in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda clip: backend.run("image", clip[0][None]), clips))
    np.testing.assert_array_equal(together, alone)


def test_built_once_and_kept(fake, folder, cache, caplog):
    _, trt = fake()
    open_backend(Bundle.open(folder), "tensorrt")
    assert len(trt.built) == 2
    assert "building the engine of part image, once" in caplog.text
    assert engines.ready(Bundle.open(folder), "tensorrt")
    backend = open_backend(Bundle.open(folder), "tensorrt")
    assert len(trt.built) == 2
    assert backend.describe()["engines"] == {"image": "cache", "audio": "cache"}
    sidecars = [json.loads(path.read_text()) for path in cache.glob("*.json")]
    assert {sidecar["gpu"] for sidecar in sidecars} == {"NVIDIA Test"}
    _, other = fake(gpu="NVIDIA Other")  # another GPU, another engine
    assert not engines.ready(Bundle.open(folder), "tensorrt")
    open_backend(Bundle.open(folder), "tensorrt")
    assert len(other.built) == 2


@pytest.mark.parametrize("suffix", ["plan", "json"])
def test_a_damaged_cache_is_built_anew(fake, folder, cache, suffix):
    _, trt = fake()
    open_backend(Bundle.open(folder), "tensorrt")
    for path in cache.glob(f"*.{suffix}"):
        path.write_bytes(b"PLAN damaged")
    backend = open_backend(Bundle.open(folder), "tensorrt")
    assert backend.describe()["engines"] == {"image": "built now", "audio": "built now"}
    assert len(trt.built) == 4


def test_engines_of_the_bundle_are_taken(fake, folder):
    _, trt = fake()
    add_engines(folder)
    assert engines.ready(Bundle.open(folder), "tensorrt")
    backend = open_backend(Bundle.open(folder), "tensorrt")
    assert backend.describe()["engines"] == {"image": "bundle", "audio": "bundle"}
    assert not trt.built


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "10.1.0"}, "version '10.1.0', here '10.3.0'"),
        ({"gpu": "NVIDIA Orin", "compute_capability": "8.7"}, "gpu 'NVIDIA Orin', here 'NVIDIA Test'; compute_capab"),
        ({"onnx_sha256": "0" * 64}, "onnx_sha256 '0000"),
        ({"library": "tensorrt_rtx"}, "library 'tensorrt_rtx', here 'tensorrt'"),
        ({"gpu": None}, "gpu None, here"),
    ],
)
def test_engines_of_another_place_are_refused(fake, folder, changes, message):
    """And never rebuilt in silence: who shipped them meant them to be used."""
    _, trt = fake()
    add_engines(folder, **changes)
    with pytest.raises(DeviceError, match=r"image.engine was built for another place: .*rebuild it here") as caught:
        open_backend(Bundle.open(folder), "tensorrt")
    assert message in str(caught.value)
    assert f"lvs-export --bundle {folder} --format engine" in str(caught.value)
    assert not trt.built


def test_an_engine_that_the_manifest_does_not_list(fake, folder):
    fake()
    add_engines(folder, file="../elsewhere.engine")
    with pytest.raises(BundleError, match=r"lists no file '../elsewhere.engine'"):
        open_backend(Bundle.open(folder), "tensorrt")


def test_an_engine_that_the_library_does_not_open(fake, folder):
    fake()
    add_engines(folder)
    path = folder / "image.engine"
    data = b"JUNK" + path.read_bytes()[4:]
    path.write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["image.engine"]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DeviceError, match=r"cannot open the engine of part image \(from: bundle\): magic tag.*rebuild"):
        open_backend(Bundle.open(folder), "tensorrt")


@pytest.mark.parametrize("formats", [("Float",), ("FP32",), ()])
def test_half_that_is_none(fake, tmp_path, formats):
    fake(formats=formats)
    with pytest.raises(DeviceError, match="part image is fp16, the engine's inspector shows no Half tensor"):
        open_backend(Bundle.open(seeded.write(tmp_path / "half", "fp16")), "tensorrt")
    fake(formats=("Half", "FP32"))
    backend = open_backend(Bundle.open(seeded.write(tmp_path / "half", "fp16")), "tensorrt")
    assert backend.describe()["formats"]["image"] == {"Half": 1, "Float": 1}


def test_cuda_errors_name_the_call(fake):
    cuda, _ = fake()
    with pytest.raises(DeviceError, match="--device tensorrt: cudaFree: cudaErrorInvalidValue; see nvidia-smi"):
        Cuda("tensorrt").call("cudaFree", 12345)
    cuda.cudaGetDeviceCount = lambda: (fake_gpu.Status.cudaSuccess, 0)
    with pytest.raises(DeviceError, match="no NVIDIA GPU with a driver is usable here; see nvidia-smi"):
        Cuda("tensorrt")


def test_arrays_that_do_not_fit(fake, folder):
    fake()
    backend = open_backend(Bundle.open(folder), "tensorrt")
    with pytest.raises(ConfigError, match="got float32"):
        backend.run("image", np.zeros((1, 224, 224, 3), np.float32))


@pytest.mark.parametrize("device", ["tensorrt", "rtx"])
def test_absent_library(folder, device, monkeypatch):
    name = engines.LIBRARIES[device][0]
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        DeviceError, match=rf"--device {device}: {name} cannot be imported .*pip install 'lvs\[{device}\]'"
    ):
        open_backend(Bundle.open(folder), device)


def test_absent_bindings(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(DeviceError, match=r"cuda-bindings is not installed: pip install 'lvs\[rtx\]'"):
        Cuda("rtx")


def test_real_bindings_without_a_driver():
    """NVIDIA's own bindings, where they are installed and no driver is."""
    if importlib.util.find_spec("cuda") is None or importlib.util.find_spec("cuda.bindings") is None:
        pytest.skip("not installed: pip install cuda-bindings")
    from cuda.bindings import runtime

    if runtime.cudaGetDeviceCount()[0] == runtime.cudaError_t.cudaSuccess:
        pytest.skip("there is a GPU here")
    with pytest.raises(DeviceError, match=r"--device rtx: no NVIDIA GPU with a driver is usable here \(.+\)"):
        Cuda("rtx")


# --- the real TensorRT-RTX: parser and builder run without a GPU -------------------------------------------------


@pytest.fixture(scope="module")
def rtx():
    return pytest.importorskip("tensorrt_rtx", reason="not installed: pip install 'lvs[rtx]' (240 MB)")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_rtx_builds_our_graphs(rtx, tmp_path, precision):
    bundle = Bundle.open(seeded.write(tmp_path / "bundle", precision, num_samples="num_samples"))
    log = engines.logger(rtx)
    for part in ("image", "audio"):
        plan, _ = engines.build(rtx, bundle, part, log)
        assert len(plan) > 10_000


def test_rtx_builds_a_fused_graph_of_variable_length(rtx, tmp_path):
    bundle = Bundle.open(seeded.write_fused(tmp_path / "bundle", num_samples="num_samples"))
    plan, _ = engines.build(rtx, bundle, "fused", engines.logger(rtx))
    assert len(plan) > 10_000


def test_rtx_refuses_a_broken_graph(rtx, tmp_path):
    import onnx

    folder = seeded.write(tmp_path / "bundle")
    bundle = Bundle.open(folder)
    model = onnx.load_from_string((folder / "audio.onnx").read_bytes())
    next(node for node in model.graph.node if node.op_type == "Relu").input[0] = "nothing"
    bundle._held["audio.onnx"] = model.SerializeToString()
    with pytest.raises(BundleError, match=r"tensorrt_rtx .* refuses audio.onnx: .{10,}; export it anew"):
        engines.build(rtx, bundle, "audio", engines.logger(rtx))


def test_rtx_refuses_the_shipped_eight_bits_and_says_what_to_export(rtx):
    if not (default_path() / "manifest.json").is_file():
        pytest.skip("this checkout has no default bundle: git checkout -- lvs_runtime/bundle_default")
    with pytest.raises(BundleError, match=r"refuses image.onnx: .*its 8 bits are for CPUs, --fp16 for engines"):
        engines.build(rtx, Bundle.open(None), "image", engines.logger(rtx))
