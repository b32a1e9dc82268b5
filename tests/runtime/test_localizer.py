"""One picture and one sound to one result, through a real ONNX Runtime session; and every bad input by its message."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from lvs_runtime import waveform as waveform_module
from lvs_runtime.errors import ConfigError, DataError, DeviceError, LvsError
from lvs_runtime.heatmap import CELL_SHIFT, boxes_px, peak_px
from lvs_runtime.localizer import Localizer

RATE = 16_000


@pytest.fixture(scope="module")
def localizer(toy_bundle):
    return Localizer.from_bundle(toy_bundle, threads=1)


def frame(height=360, width=640, lit=(3, 9)):
    """Black, one cell of the 14 x 14 grid white."""
    picture = np.zeros((height, width, 3), np.uint8)
    row, col = lit
    y, x = (row * height // 14, (row + 1) * height // 14), (col * width // 14, (col + 1) * width // 14)
    picture[y[0] : y[1], x[0] : x[1]] = 255
    return picture


def tone(seconds=3.0, gain=0.3, rate=RATE):
    return (gain * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def test_finds_the_lit_cell(localizer):
    result = localizer.localize(frame(), tone(), RATE)
    assert result.similarity_map.shape == (14, 14)
    assert result.similarity_map.dtype == np.float32
    assert np.unravel_index(result.similarity_map.argmax(), (14, 14)) == (3, 9)
    assert result.audible
    assert result.confidence > 0.99
    assert result.level_dbfs == pytest.approx(20 * np.log10(0.3) - 3.01, abs=0.05)
    assert result.image_size_px == (640, 360)
    (x, y), ((x0, y0, x1, y1),) = result.peak_px, result.boxes_px
    assert abs(x - (9.5 - CELL_SHIFT) / 14 * 640) < 23
    assert abs(y - (3.5 - CELL_SHIFT) / 14 * 360) < 13
    assert x0 <= x < x1
    assert y0 <= y < y1
    assert (result.provider, result.precision) == ("CPUExecutionProvider", "fp32")
    assert result.heatmap().shape == (360, 640)


def test_stamps_and_json(localizer):
    result = localizer.localize(frame(), tone(1.0), RATE)
    assert result.capture_ns == result.arrival_ns == result.audio_end_ns
    assert result.audio_end_ns - result.audio_start_ns == 1_000_000_000
    assert 0 < result.age_ms < 60_000
    assert result.av_skew_ms == 0
    assert set(result.stages_ms) == {"pre", "image", "audio", "head", "post"}
    line = json.loads(json.dumps(result.as_dict()))
    assert line["peak_px"] == list(result.peak_px)


def test_silence_is_not_audible_and_has_no_boxes(localizer):
    result = localizer.localize(frame(), np.zeros(48_000, np.float32), RATE)
    assert not result.audible
    assert result.confidence == 0
    assert result.boxes_px == ()
    assert result.level_dbfs == -120


def test_a_source_outside_the_picture_has_no_boxes(localizer):
    result = localizer.localize(frame() * 0, tone(), RATE)  # nothing bright anywhere
    assert result.audible
    assert result.confidence < 0.01
    assert result.boxes_px == ()


def test_localize_is_the_sum_of_its_parts(localizer):
    picture, sound = frame(), tone()
    image_embedding, audio_embedding = localizer.embed_image(picture), localizer.embed_audio(sound)
    assert image_embedding.shape == (512, 14, 14)
    assert audio_embedding.shape == (512,)
    assert (image_embedding.dtype, audio_embedding.dtype) == (np.float32, np.float32)
    cells = localizer.similarity(image_embedding, audio_embedding)
    np.testing.assert_allclose(cells, np.einsum("chw,c->hw", image_embedding, audio_embedding), atol=1e-6)
    result = localizer.localize(picture, sound, RATE)
    np.testing.assert_array_equal(result.similarity_map, cells)
    assert result.peak_px == peak_px(cells, (640, 360))
    assert result.boxes_px == boxes_px(cells, (640, 360), 0.6)


def test_confidence_and_boxes_follow_the_thresholds(localizer):
    cells = np.zeros((14, 14), np.float32)
    for strongest, confidence in [(0.5, 0.5), (0.6, 1 / (1 + np.exp(-2))), (0.0, 1 / (1 + np.exp(10)))]:
        cells[2, 2] = strongest
        result = localizer.result(cells, (640, 360), -20.0)
        assert result.confidence == pytest.approx(confidence, rel=1e-5)
        assert bool(result.boxes_px) == (strongest >= 0.6)


def test_audible_is_the_callers_word_or_the_level(localizer):
    cells = np.full((14, 14), 0.9, np.float32)
    assert [localizer.result(cells, (9, 9), level).audible for level in (-44.9, -45.0, -45.1)] == [True, True, False]
    assert localizer.result(cells, (9, 9), -90.0, audible=True).boxes_px == ((0, 0, 9, 9),)
    assert localizer.result(cells, (9, 9), -10.0, audible=False).boxes_px == ()


def test_stamps_pass_through(localizer):
    cells = np.zeros((14, 14), np.float32)
    stamps = {
        "frame_index": 7,
        "capture_ns": 5,
        "output_ns": 9,
        "drops": {"superseded": 2},
        "stages_ms": {"image": 3.0},
    }
    result = localizer.result(cells, (640, 360), -20.0, **stamps)
    assert (result.frame_index, result.capture_ns, result.output_ns, result.drops) == (7, 5, 9, {"superseded": 2})
    assert result.stages_ms["image"] == 3.0
    with pytest.raises(TypeError, match="capture_ms"):
        localizer.result(cells, (640, 360), -20.0, capture_ms=5)


def test_a_map_of_nan_is_refused(localizer):
    with pytest.raises(ConfigError, match="NaN or infinity"):
        localizer.result(np.full((14, 14), np.nan, np.float32), (640, 360), -20.0)


@pytest.mark.parametrize("sound", [tone(0.5), tone(3.0), tone(7.3), tone(3.0).astype(np.float64), tone(1e-3)])
def test_any_length(localizer, sound):
    assert localizer.localize(frame(), sound, RATE).audible


def test_only_the_window_that_the_network_hears_is_judged(localizer):
    sound = np.concatenate([np.zeros(48_000, np.float32), tone()])
    assert not localizer.localize(frame(), sound, RATE).audible


@pytest.mark.parametrize("shape", [(-1, 2), (2, -1)])
def test_channels_are_averaged(localizer, shape):
    both = np.stack([tone(), np.zeros(48_000, np.float32)])
    stereo = both if shape == (2, -1) else both.T
    level = localizer.localize(frame(), stereo, RATE).level_dbfs
    assert level == pytest.approx(20 * np.log10(0.15) - 3.01, abs=0.05)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, np.int64(48_000), 48_000.0])
def test_any_rate(localizer, rate):
    pytest.importorskip("soxr")
    result = localizer.localize(frame(), tone(2.0, rate=int(rate)), rate)
    assert result.audio_end_ns - result.audio_start_ns == pytest.approx(2e9, abs=1e6)
    assert result.level_dbfs == pytest.approx(20 * np.log10(0.3) - 3.01, abs=0.3)


def test_without_soxr_another_rate_says_what_to_install(localizer, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(ConfigError, match=r"sample_rate 44100.*16000 Hz.*soxr.*pip install 'lvs\[live\]'"):
        localizer.localize(frame(), tone(), 44_100)
    localizer.localize(frame(), tone(), RATE)


@pytest.mark.parametrize(
    ("sound", "rate", "error", "message"),
    [
        (np.zeros(0, np.float32), RATE, DataError, "empty"),
        (np.zeros((0, 2), np.float32), RATE, DataError, "empty"),
        (np.zeros(48_000, np.int16), RATE, ConfigError, "int16.*32768"),
        (np.array([0.1, np.nan, np.inf], np.float32), RATE, ConfigError, "2 of 3 samples NaN or infinite"),
        (np.full(100, 9_000.0), RATE, ConfigError, "reaches 9000.*divide by 32768"),
        (np.zeros((3, 4, 5), np.float32), RATE, ConfigError, r"shape \(3, 4, 5\)"),
        (np.zeros((100, 100), np.float32), RATE, ConfigError, "at most 8 channels"),
        (tone(), 0, ConfigError, "sample_rate 0"),
        (tone(), -16_000, ConfigError, "sample_rate -16000"),
        (tone(), 16_000.5, ConfigError, "sample_rate 16000.5"),
        (tone(), "16000", ConfigError, "sample_rate '16000'"),
        (tone(), None, ConfigError, "sample_rate None"),
        (tone(), True, ConfigError, "sample_rate True"),
        (tone(), float("nan"), ConfigError, "sample_rate nan"),
    ],
)
def test_bad_sound(localizer, sound, rate, error, message):
    with pytest.raises(error, match=message):
        localizer.localize(frame(), sound, rate)


def test_too_few_samples_to_resample(monkeypatch):
    pytest.importorskip("soxr")
    with pytest.raises(DataError, match="1 samples at 768000 Hz"):
        waveform_module.resample(np.zeros(1, np.float32), 768_000, 1_000)


@pytest.mark.parametrize("shape", [(1, 1, 3), (6000, 8000, 3), (1, 5000, 3)])
def test_extreme_pictures(localizer, shape):
    result = localizer.localize(np.full(shape, 255, np.uint8), tone(0.5), RATE)
    assert result.image_size_px == (shape[1], shape[0])
    assert result.boxes_px == ((0, 0, shape[1], shape[0]),)
    assert 0 <= result.peak_px[0] <= shape[1] / 14
    assert 0 <= result.peak_px[1] <= shape[0] / 14


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((360, 640), np.uint8), "grey"),
        (np.zeros((360, 640, 4), np.uint8), "BGRA"),
        (np.zeros((360, 640, 3), np.float32), "float32"),
        (np.zeros((0, 0, 3), np.uint8), "empty"),
        (None, r"shape \(\)"),
    ],
)
def test_bad_pictures(localizer, picture, message):
    with pytest.raises(ConfigError, match=message):
        localizer.localize(picture, tone(), RATE)


def test_many_pictures_get_what_each_gets(localizer):
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((224, 224), (90, 160), (360, 640))]
    embeddings = localizer.embed_images(pictures)
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, [localizer.embed_image(p) for p in pictures])
    np.testing.assert_array_equal(localizer.embed_images(np.stack(pictures[:1] * 2)), [embeddings[0]] * 2)
    assert localizer.embed_images([]).shape == (0, 512, 14, 14)


def test_a_graph_of_variable_batch_sees_many_at_once(localizer, monkeypatch):
    """The bundle's reader decides which graphs are allowed; here only the part's stated shape is made variable."""
    image = localizer.bundle.part("image")
    spec = msgspec.structs.replace(image.only_input, shape=("batch", 224, 224, 3))
    monkeypatch.setitem(localizer.bundle.manifest.parts, "image", msgspec.structs.replace(image, input=spec))
    seen = []

    def run(part, array):
        seen.append(array.shape)
        return np.broadcast_to(array.mean(axis=(1, 2, 3)).reshape(-1, 1, 1, 1), (len(array), 512, 14, 14))

    monkeypatch.setattr(localizer.backend, "run", run)
    pictures = [np.full((224, 224, 3), value, np.uint8) for value in range(70)]
    embeddings = localizer.embed_images(pictures)
    assert seen == [(32, 224, 224, 3), (32, 224, 224, 3), (6, 224, 224, 3)]
    np.testing.assert_array_equal(embeddings[:, 0, 0, 0], np.arange(70))


def test_a_dynamic_graph_hears_the_sound_as_it_is(write_bundle, tmp_path):
    localizer = Localizer.from_bundle(write_bundle(tmp_path / "dynamic", num_samples="num_samples"), threads=1)
    assert localizer.num_samples is None
    seen = []
    run = localizer.backend.run
    localizer.backend.run = lambda part, array: (seen.append(array.shape), run(part, array))[1]
    for length in (100, 8_000, 16_000, 200_000):
        localizer.embed_audio(np.full(length, 0.1, np.float32))
    assert seen == [(1, 8_000), (1, 8_000), (1, 16_000), (1, 160_000)]


def test_two_threads_get_what_one_gets(localizer):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(12)]
    sounds = [tone(0.5, gain) for gain in np.linspace(0.1, 0.9, 12)]
    images, audios = [localizer.embed_image(p) for p in pictures], [localizer.embed_audio(s) for s in sounds]
    with ThreadPoolExecutor(2) as pool:
        image_job = pool.submit(lambda: [localizer.embed_image(p) for p in pictures])
        audio_job = pool.submit(lambda: [localizer.embed_audio(s) for s in sounds])
        np.testing.assert_array_equal(image_job.result(), images)
        np.testing.assert_array_equal(audio_job.result(), audios)


def test_unusable_device(toy_bundle):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime is built with CUDA")
    with pytest.raises(
        DeviceError, match=r"--device cuda: onnxruntime .*without CUDA.*pip install 'lvs\[gpu\]'.*--device cpu"
    ):
        Localizer.from_bundle(toy_bundle, device="cuda")


@pytest.mark.parametrize(
    ("options", "message"), [({"device": "tpu"}, "auto, cpu, openvino, cuda"), ({"threads": 0}, "1 to 256")]
)
def test_unknown_device_and_threads(toy_bundle, options, message):
    with pytest.raises(ConfigError, match=message):
        Localizer.from_bundle(toy_bundle, **options)


def test_every_error_is_one_that_the_command_line_prints():
    assert issubclass(ConfigError, LvsError)
    assert issubclass(ConfigError, ValueError)
