"""The annotated picture says what the result says: nothing glows when nothing sounds."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.view.colors import heat_alpha, heat_colors_rgb
from lvs_runtime.view.heat import heat, heat_stops, heat_strength, smooth, state_of
from lvs_runtime.view.overlay import Overlay, level_fraction
from lvs_runtime.view.text import coverage, font_for

PICTURE = slice(0, 205)  # rows above the strip of a 320x240 picture


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (240, 320, 3)).astype(np.uint8)


def test_silence_leaves_the_picture_as_it_is(image, make_result) -> None:
    drawn = Overlay().draw(image, make_result(audible=False, confidence=0.0, boxes_px=()))
    np.testing.assert_array_equal(drawn[PICTURE], image[PICTURE])
    assert drawn[PICTURE.stop :].mean() < image[PICTURE.stop :].mean() - 20  # the strip is there


def test_heard_but_not_in_view_shows_no_heat_and_no_marks(image, make_result) -> None:
    drawn = Overlay().draw(image, make_result(confidence=0.05, boxes_px=()))
    np.testing.assert_array_equal(drawn[PICTURE], image[PICTURE])


def test_a_flat_map_does_not_glow_however_it_is_scaled(image, make_result) -> None:
    flat = np.random.default_rng(1).uniform(0.30, 0.34, (14, 14)).astype(np.float32)
    drawn = Overlay().draw(image, make_result(similarity_map=flat, boxes_px=(), peak_px=(0, 0)))
    np.testing.assert_array_equal(drawn[40:200, 40:], image[40:200, 40:])


def test_heat_is_where_the_similarity_is_and_the_rest_is_clear(make_result) -> None:
    grey = np.full((240, 320, 3), 100, np.uint8)
    result = make_result(cell=(9, 5))
    drawn = Overlay().draw(grey, result).astype(int)
    x, y = result.peak_px
    assert drawn[y + 8, x + 8, 2] > 180  # B, G, R
    assert np.abs(drawn[PICTURE, :130] - 100).max() <= 1
    assert (grey == 100).all(), "the frame itself must not be touched"


def test_the_threshold_scales_the_colours_not_the_frame(make_result) -> None:
    grey = np.full((240, 320, 3), 100, np.uint8)
    lower, higher = (make_result(peak=0.5, boxes_px=(), box_threshold=t) for t in (0.3, 0.6))
    x, y = lower.peak_px
    low = Overlay().draw(grey, lower)[y + 9, x + 9, 2]
    high = Overlay().draw(grey, higher)[y + 9, x + 9, 2]
    assert low > high + 30


def test_heat_fades_by_capture_time_alone(make_result) -> None:
    grey = np.full((240, 320, 3), 100, np.uint8)

    def heat_after(ms: int) -> float:
        overlay, start = Overlay(), 10**12
        overlay.draw(grey, make_result(capture_ns=start))
        silent = make_result(capture_ns=start + ms * 1_000_000, audible=False, confidence=0.0, boxes_px=())
        x, y = silent.peak_px
        return float(overlay.draw(grey, silent)[y + 8, x + 8, 2]) - 100

    full, soon, later = heat_after(0), heat_after(40), heat_after(400)
    assert full > soon > later
    assert later < 3
    assert heat_after(5000) == 0  # after a pause nothing old is faded out: it is gone


@pytest.mark.parametrize(
    ("size", "drawn_size"),
    [((320, 240), (320, 240)), ((1280, 720), (1280, 720)), ((1, 1), (240, 240)), ((64, 48), (256, 192)),
     ((8000, 6000), (1600, 1200)), ((10, 2000), (5, 1000))],
)  # fmt: skip
def test_any_size_is_drawn(size, drawn_size, make_result) -> None:
    drawn = Overlay().draw(np.full((size[1], size[0], 3), 90, np.uint8), make_result(size=size), "00:01.0")
    assert drawn.dtype == np.uint8
    assert (drawn.shape[1], drawn.shape[0]) == drawn_size


def test_boxes_and_peak_beyond_the_edge_do_no_harm(image, make_result) -> None:
    Overlay().draw(image, make_result(boxes_px=((-50, -9, 2000, 999), (300, 200, 320, 240)), peak_px=(319, 239)))


def test_states(make_result) -> None:
    assert state_of(make_result()) == "seen"
    assert state_of(make_result(confidence=0.49)) == "unseen"
    assert state_of(make_result(audible=False, confidence=0.9)) == "silent"
    assert heat_strength(make_result(audible=False)) == 0
    assert heat_strength(make_result(confidence=0.61)) == 1
    assert 0 < heat_strength(make_result(confidence=0.45)) < 0.5
    assert heat_strength(make_result(confidence=0.39)) == 0


def test_heat_at_the_threshold_is_half_for_every_threshold() -> None:
    for threshold in np.linspace(0.05, 0.95, 19):
        low, mid, high = stops = heat_stops(float(threshold))
        assert 0 < low < mid < high <= 1
        np.testing.assert_allclose(
            heat(np.array([0, low, mid, high, 1], np.float32), stops), [0, 0, 0.5, 1, 1], atol=1e-6
        )


def test_smooth_passes_through_the_cells() -> None:
    cells = np.random.default_rng(2).uniform(0.2, 0.8, (14, 14)).astype(np.float32)
    large = smooth(cells, (224, 224))  # cell k looks at pixel 16 k of the network's picture
    np.testing.assert_allclose(large[::16, ::16], cells, atol=1e-5)
    np.testing.assert_allclose(smooth(np.full((14, 14), 0.4, np.float32), (640, 480)), 0.4, atol=1e-5)


def test_the_colour_scale_gets_lighter_and_more_opaque_all_the_way() -> None:
    lightness = heat_colors_rgb() @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness[::8]) > 0).all()
    assert (np.diff(heat_alpha()) >= 0).all()
    assert heat_alpha()[0] == 0
    assert heat_alpha()[20] < 0.05


def test_text_is_drawn_and_strange_characters_are_not_lost() -> None:
    font = font_for(15)
    assert coverage("heard", font).max() == 255
    assert coverage("heard", font).shape == (font.height_px, font.width_px("heard") + 4)
    np.testing.assert_array_equal(coverage("\u4e2d", font), coverage("?", font))
    assert font_for(1).height_px < font_for(100).height_px


def test_level_bar_ends() -> None:
    assert [level_fraction(level) for level in (-120.0, -70.0, -35.0, 0.0, 6.0)] == [0, 0, 0.5, 1, 1]
