"""The picture for the network: OpenCV and numpy agree, colours swap once, bad pictures say how to mend them."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime import image
from lvs_runtime.errors import ConfigError
from lvs_runtime.image import resize_numpy, to_network

SHAPES = [(360, 640), (480, 640), (1080, 1920), (448, 448), (224, 224), (225, 223), (100, 150), (100, 900), (900, 100)]


def picture(height: int, width: int) -> np.ndarray:
    """Fine detail, gradients and hard edges."""
    rng = np.random.default_rng(height * width)
    coarse = rng.integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), np.uint8).repeat(7, 0).repeat(7, 1)
    noise = rng.integers(-40, 40, (height, width, 3))
    return np.clip(coarse[:height, :width].astype(np.int64) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [*SHAPES, (1, 1), (1, 500), (3, 224)])
def test_numpy_equals_opencv_within_one_level(height, width):
    pytest.importorskip("cv2")
    frame = picture(height, width)
    by_opencv = image._resize_opencv(frame, 224).astype(int)
    by_numpy = resize_numpy(frame, 224).astype(int)
    assert np.abs(by_opencv - by_numpy).max() <= 1


@pytest.mark.parametrize(("height", "width"), SHAPES[:5])
def test_shrinking_is_opencvs_area_resize(height, width):
    cv2 = pytest.importorskip("cv2")
    frame = picture(height, width)
    expected = cv2.cvtColor(cv2.resize(frame, (224, 224), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(to_network(frame)[0], expected)


@pytest.mark.parametrize(("height", "width"), SHAPES[:5])
def test_swscale_equals_opencv_within_one_level(monkeypatch, height, width):
    pytest.importorskip("av")
    pytest.importorskip("cv2")
    frame = picture(height, width)
    by_opencv = to_network(frame).astype(int)
    monkeypatch.setattr(image, "_opencv", lambda: None)
    monkeypatch.setattr(image, "resize_numpy", None)  # must not be needed where the picture only shrinks
    assert np.abs(by_opencv - to_network(frame)).max() <= 1


@pytest.mark.parametrize("library", ["cv2", "av", "numpy"])
def test_shape_colours_and_layout(monkeypatch, library):
    if library != "numpy":
        pytest.importorskip(library)
    if library != "cv2":
        monkeypatch.setattr(image, "_opencv", lambda: None)
    if library == "numpy":
        monkeypatch.setattr(image, "_av", lambda: None)
    frame = np.zeros((300, 500, 3), np.uint8)
    frame[:, :250] = (10, 20, 30)  # blue, green, red
    out = to_network(frame)
    assert out.shape == (1, 224, 224, 3)
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous
    assert out[0, 100, 5].tolist() == [30, 20, 10]
    assert not out[0, :, 120:].any()  # squashed, not cropped: the right half is still there


def test_strided_views_are_taken():
    frame = picture(480, 640)
    np.testing.assert_array_equal(to_network(frame[::-1, ::-1]), to_network(np.ascontiguousarray(frame[::-1, ::-1])))


@pytest.mark.parametrize("shape", [(1, 1, 3), (6000, 8000, 3)])
def test_extreme_sizes(shape):
    assert (to_network(np.full(shape, 77, np.uint8)) == 77).all()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((10, 10), np.uint8), "grey.*COLOR_GRAY2BGR"),
        (np.zeros((10, 10, 1), np.uint8), "grey.*COLOR_GRAY2BGR"),
        (np.zeros((10, 10, 4), np.uint8), "BGRA.*COLOR_BGRA2BGR"),
        (np.zeros((3, 10, 10), np.uint8), r"shape \(3, 10, 10\)"),
        (np.zeros((10, 10, 3), np.float32), r"float32.*\* 255"),
        (np.zeros((0, 10, 3), np.uint8), "empty"),
        (np.zeros(5, np.uint8), r"shape \(5,\)"),
    ],
)
def test_bad_pictures_say_how_to_repair_them(frame, message):
    with pytest.raises(ConfigError, match=message):
        to_network(frame)
