"""One suite over every back end: the same numbers, the same refusals, whatever runs them.

Each back end that this machine can load takes part; the others are skipped with what they lack. What decides is what
is installed, never whether it works: a back end that is there and fails, fails here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

pytest.importorskip("onnx")
import seeded_bundle as seeded

from lvs_runtime.backends import Backend, open_backend
from lvs_runtime.bundle import Bundle, default_path
from lvs_runtime.errors import BundleError, ConfigError, DeviceError
from lvs_runtime.localizer import Localizer

# device -> (module, extra, GPU needed)
DEVICES = {
    "cpu": ("onnxruntime", "cpu", False),
    "openvino": ("openvino", "openvino", False),
    "cuda": ("onnxruntime", "gpu", True),
    "tensorrt": ("tensorrt", "tensorrt", True),
    "rtx": ("tensorrt_rtx", "rtx", True),
}
# Largest error of a similarity, least correlation with the golden map (whose standard deviation is 0.02).
TOLERANCES = {"fp32": (2e-6, 0.999999), "fp16": (4e-4, 0.9999), "int8": (4e-3, 0.999)}
CPU_DEVICES = [device for device, (_, _, gpu) in DEVICES.items() if not gpu]


def has_gpu() -> bool:
    return (
        shutil.which("nvidia-smi") is not None
        and not subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30, check=False).returncode
    )


def lack(device: str) -> str | None:
    module, extra, gpu = DEVICES[device]
    if gpu and not has_gpu():
        return f"{device}: no NVIDIA GPU; on a machine with one: pip install -e '.[{extra}]' && pytest -m gpu"
    if importlib.util.find_spec(module) is None:
        return f"{device}: not installed: pip install -e '.[{extra}]'"
    return None


def marked(device: str):
    return pytest.param(device, marks=pytest.mark.gpu) if DEVICES[device][2] else device


@pytest.fixture(scope="module", params=[marked(device) for device in DEVICES])
def device(request):
    reason = lack(request.param)
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeded")
    made = {precision: seeded.write(folder / precision, precision) for precision in TOLERANCES}
    fused = {f"fused {name}": seeded.write_fused(folder / f"fused-{name}", name) for name in TOLERANCES}
    return {**made, **fused, "variable": seeded.write(folder / "variable", num_samples="num_samples")}


@pytest.fixture(scope="module")
def backend(device, bundles):
    opened = open_backend(Bundle.open(bundles["fp32"]), device, threads=2)
    yield opened
    opened.close()


def maps(localizer):
    return [
        localizer.similarity(localizer.embed_prepared(picture[None]), localizer.embed_audio(sound))
        for picture, sound in seeded.clips()
    ]


def test_golden_maps_are_those_of_the_plain_arithmetic():
    golden = json.loads(seeded.GOLDEN.read_text(encoding="utf-8"))["maps"]
    for stored, clip in zip(golden, seeded.clips(), strict=True):
        np.testing.assert_allclose(stored, seeded.reference_map(*clip), atol=1e-6)
        assert np.std(stored) > 0.015


@pytest.mark.parametrize("precision", TOLERANCES)
def test_golden_maps(device, bundles, precision):
    if precision == "int8" and device in ("tensorrt", "rtx"):
        pytest.skip(f"{device} takes no 8-bit graphs made for CPUs: export --fp16 for engines")
    localizer = Localizer.from_bundle(bundles[precision], device, threads=1)
    golden = np.array(json.loads(seeded.GOLDEN.read_text(encoding="utf-8"))["maps"])
    worst, correlation = TOLERANCES[precision]
    for found, wanted in zip(maps(localizer), golden, strict=True):
        assert np.abs(found - wanted).max() <= worst
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] >= correlation
    localizer.close()


@pytest.mark.parametrize("precision", TOLERANCES)
def test_golden_maps_of_a_bundle_that_holds_only_the_fused_graph(device, bundles, precision):
    if precision == "int8" and device in ("tensorrt", "rtx"):
        pytest.skip(f"{device} takes no 8-bit graphs made for CPUs: export --fp16 for engines")
    localizer = Localizer.from_bundle(bundles[f"fused {precision}"], device, threads=1)
    golden = np.array(json.loads(seeded.GOLDEN.read_text(encoding="utf-8"))["maps"])
    worst, correlation = TOLERANCES[precision]
    for (picture, sound), wanted in zip(seeded.clips(), golden, strict=True):
        result = localizer.localize(np.ascontiguousarray(picture[..., ::-1]), sound, 16_000)
        assert np.abs(result.similarity_map - wanted).max() <= worst
        assert np.corrcoef(result.similarity_map.ravel(), wanted.ravel())[0, 1] >= correlation
        assert set(result.stages_ms) == {"pre", "fused", "post"}
    with pytest.raises(BundleError, match=r"no part 'image', only fused; it was exported with --fused"):
        localizer.embed_prepared(seeded.clips()[0][0][None])
    with pytest.raises(BundleError, match=r"no part 'audio', only fused"):
        localizer.embed_audio(seeded.clips()[0][1])
    with pytest.raises(ConfigError, match="got 1 arrays, want image, waveform"):
        localizer.backend.run("fused", seeded.clips()[0][0][None])
    localizer.close()


def test_nodes_of_what_runs_are_in_the_result(device, bundles):
    localizer = Localizer.from_bundle(bundles["fp32"], device, threads=1)
    picture, sound = seeded.clips()[0]
    result = localizer.localize(picture, sound, 16_000)
    told = localizer.backend.describe()["nodes"]
    assert set(told) == {"image", "audio"}
    if told["image"] is None:
        assert result.nodes is None  # ONNX Runtime before 1.24 cannot tell
        return
    assert list(result.nodes) == list(told["image"])
    assert sum(result.nodes.values()) == sum(sum(counts.values()) for counts in told.values())
    assert min(sum(counts.values()) for counts in told.values()) >= 3  # a convolution, a norm, and what joins them
    assert result.as_dict()["nodes"] == result.nodes
    localizer.close()


def test_what_runs_is_told(backend, device):
    assert isinstance(backend, Backend)
    told = backend.describe()
    json.dumps(told)
    assert (told["device"], told["threads"], told["why"], told["precision"]) == (device, 2, "asked for", "fp32")
    assert told["provider"] == backend.provider
    assert told["runtime"]
    assert told["version"][0].isdigit()


def test_output_is_float32_of_the_stated_shape_and_the_callers_own(backend):
    (picture, sound), (other, _), _ = seeded.clips()
    image, audio = backend.run("image", picture[None]), backend.run("audio", sound[None])
    assert (image.dtype, image.shape) == (np.float32, (1, 512, 14, 14))
    assert (audio.dtype, audio.shape) == (np.float32, (1, 512))
    np.testing.assert_allclose((image**2).sum(axis=1), 1, atol=1e-3)
    kept = image.copy()
    backend.run("image", other[None])
    np.testing.assert_array_equal(image, kept)
    image[:] = 0  # writable
    np.testing.assert_array_equal(backend.run("image", picture[None]), kept)


def test_strided_input(backend):
    picture, sound = seeded.clips()[0]
    mirrored = picture[:, ::-1]
    assert not mirrored.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(backend.run("image", mirrored[None]), backend.run("image", mirrored[None].copy()))
    double = np.repeat(sound, 2)[::2]
    np.testing.assert_array_equal(backend.run("audio", double[None]), backend.run("audio", sound[None]))


@pytest.mark.parametrize(
    ("part", "array", "message"),
    [
        ("image", np.zeros((1, 224, 224, 3), np.float32), r"got float32 .* want uint8 \[1, 224, 224, 3\]"),
        ("image", np.zeros((1, 3, 224, 224), np.uint8), r"got uint8 \[1, 3, 224, 224\]"),
        ("image", np.zeros((2, 224, 224, 3), np.uint8), r"got uint8 \[2, 224, 224, 3\]"),
        ("audio", np.zeros((1, 15_999), np.float32), r"got float32 \[1, 15999\], want float32 \[1, 16000\]"),
        ("audio", np.zeros((1, 16_000), np.float64), r"got float64"),
        ("audio", np.zeros(16_000, np.float32), r"got float32 \[16000\]"),
    ],
)
def test_arrays_that_do_not_fit(backend, part, array, message):
    with pytest.raises(ConfigError, match=message):
        backend.run(part, array)


def test_any_length_of_sound(device, bundles):
    """Shorter than 0.5 s and longer than 10 s never reach a graph; engines are built for what lies between."""
    opened = open_backend(Bundle.open(bundles["variable"]), device, threads=1)
    sound = np.concatenate([clip[1] for clip in seeded.clips(10)])
    _, fixed = seeded.clips()[0]
    for length in (16_000, 8_000, 160_000, 12_345, 16_000):
        assert opened.run("audio", sound[None, :length]).shape == (1, 512)
    expected = seeded.reference_map(*seeded.clips()[0])
    image = open_backend(Bundle.open(bundles["fp32"]), device, threads=1).run("image", seeded.clips()[0][0][None])
    found = opened.run("audio", fixed[None])[0] @ image.reshape(512, 196)
    np.testing.assert_allclose(found.reshape(14, 14), expected, atol=2e-6)
    opened.close()


def test_pictures_at_once_get_what_each_gets(device, tmp_path):
    localizer = Localizer.from_bundle(seeded.write(tmp_path / "batch", batch="batch"), device, threads=1)
    pictures = [picture for picture, _ in seeded.clips(5)]
    together = localizer.backend.run("image", np.stack(pictures))
    assert together.shape == (5, 512, 14, 14)
    alone = np.concatenate([localizer.backend.run("image", picture[None]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    frames = [np.ascontiguousarray(picture[..., ::-1]) for picture in pictures]  # BGR, already of the network's size
    np.testing.assert_allclose(localizer.embed_images(frames), alone, atol=1e-6)
    localizer.close()


def test_several_threads_get_what_one_gets(backend):
    clips = seeded.clips(6)
    images = [backend.run("image", picture[None]) for picture, _ in clips]
    audios = [backend.run("audio", sound[None]) for _, sound in clips]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            image_jobs = [pool.submit(backend.run, "image", picture[None]) for picture, _ in clips]
            audio_jobs = [pool.submit(backend.run, "audio", sound[None]) for _, sound in clips]
            np.testing.assert_array_equal([job.result() for job in image_jobs], images)
            np.testing.assert_array_equal([job.result() for job in audio_jobs], audios)


def test_two_sessions_at_once_do_not_disturb_each_other(backend, device, bundles):
    picture, sound = seeded.clips()[1]
    other = open_backend(Bundle.open(bundles["fp32"]), device, threads=1)
    np.testing.assert_allclose(other.run("image", picture[None]), backend.run("image", picture[None]), atol=1e-6)
    other.close()
    backend.run("audio", sound[None])  # closing one leaves the other


def test_a_closed_back_end_says_so(device, bundles):
    opened = open_backend(Bundle.open(bundles["fp32"]), device, threads=1)
    provider = opened.provider
    opened.close()
    opened.close()
    assert opened.provider == provider
    with pytest.raises(DeviceError, match="was closed; open the bundle again"):
        opened.run("audio", np.zeros((1, 16_000), np.float32))


def test_a_graph_that_is_not_what_the_manifest_says(device, bundles):
    bundle = Bundle.open(bundles["fp32"])
    part = bundle.manifest.parts["audio"]
    bundle.manifest.parts["audio"] = msgspec.structs.replace(
        part, output=msgspec.structs.replace(part.output, name="sound_embedding")
    )
    with pytest.raises(BundleError, match=r"audio.onnx has .*audio_embedding.*, the manifest says sound_embedding"):
        open_backend(bundle, device)


def test_a_graph_that_the_runtime_refuses(device, tmp_path):
    """A node reads a value that none makes: our own reader lets it pass, every engine must not."""
    import onnx

    folder = seeded.write(tmp_path / "bundle")
    model = onnx.load_from_string((folder / "audio.onnx").read_bytes())
    next(node for node in model.graph.node if node.op_type == "Relu").input[0] = "nothing"
    data = model.SerializeToString()
    (folder / "audio.onnx").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["audio.onnx"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"refuses audio.onnx: .{10,}; export it anew with lvs-export"):
        open_backend(Bundle.open(folder), device)


@pytest.mark.parametrize("device", [device for device in CPU_DEVICES if device != "cpu"])
def test_the_shipped_bundle_gives_what_it_gives_on_onnxruntime(device):
    """Eight bits round differently in each library: 0.02 of a cosine in a map.

    The inputs are noise, whose maps are nearly flat: there 0.02 costs more correlation than the gate of an export (0.99
    on clips) allows.
    """
    if reason := lack(device):
        pytest.skip(reason)
    if not (default_path() / "manifest.json").is_file():
        pytest.skip("this checkout has no default bundle: git checkout -- lvs_runtime/bundle_default")
    ours, theirs = (Localizer.from_bundle(None, name, threads=2) for name in (device, "cpu"))
    for found, wanted in zip(maps(ours), maps(theirs), strict=True):
        assert np.abs(found - wanted).max() <= 0.03
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] >= 0.97
    assert ours.precision == theirs.precision
