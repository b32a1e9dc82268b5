"""Training pairs: shapes, ranges, determinism, boxes that hold their object, and no way to cheat."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime import drawn
from lvs_runtime.drawn.background import KINDS, background
from lvs_runtime.drawn.canvas import Canvas
from lvs_runtime.drawn.decoys import decoy
from lvs_runtime.drawn.figures import FIGURES
from lvs_runtime.drawn.looks import new_look
from lvs_runtime.drawn.picture import draw_picture
from lvs_runtime.drawn.sounds import SOUNDS, level, loudest_dbfs
from lvs_runtime.errors import ConfigError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_classes_have_a_drawing_and_a_sound_each():
    assert len(drawn.CLASSES) == 8
    assert tuple(FIGURES) == tuple(SOUNDS) == drawn.CLASSES


def test_pair_has_the_promised_shapes_and_ranges():
    generator = rng()
    for _ in range(40):
        pair = drawn.training_pair(generator)
        assert pair.image_rgb.shape == (224, 224, 3)
        assert pair.image_rgb.dtype == np.uint8
        assert pair.waveform.shape == (48_000,)
        assert pair.waveform.dtype == np.float32
        assert np.abs(pair.waveform).max() <= 1.0
        assert -34.0 < loudest_dbfs(pair.waveform) < -5.0 or pair.label == "clock"  # ticks are too short to be loud
        assert loudest_dbfs(pair.waveform) > -36.0
        assert pair.label in drawn.CLASSES
        x0, y0, x1, y1 = pair.box_px
        assert 0 <= x0 < x1 <= 224
        assert 0 <= y0 < y1 <= 224
        assert 0.07 * 224 < y1 - y0 < 0.7 * 224


def test_other_sizes_and_lengths():
    pair = drawn.training_pair(rng(), size_px=96, seconds=1.0, num_objects=5)
    assert pair.image_rgb.shape == (96, 96, 3)
    assert pair.waveform.shape == (16_000,)


def test_same_seed_same_pair_other_seed_other_pair():
    a, b, c = drawn.training_pair(rng(7)), drawn.training_pair(rng(7)), drawn.training_pair(rng(8))
    assert np.array_equal(a.image_rgb, b.image_rgb)
    assert np.array_equal(a.waveform, b.waveform)
    assert (a.label, a.box_px) == (b.label, b.box_px)
    assert not np.array_equal(a.image_rgb, c.image_rgb)
    assert not np.array_equal(a.waveform, c.waveform)


def test_absent_sound_is_of_a_class_that_is_not_in_the_picture():
    for seed in range(20):
        generator = rng(seed)
        pair = drawn.training_pair(rng(seed), num_objects=4, absent=True)
        image, present = draw_picture(generator, 224, 4)  # the picture is drawn first, from the same numbers
        assert np.array_equal(image, pair.image_rgb)
        assert pair.label in drawn.CLASSES
        assert pair.label not in {name for name, _ in present}
        assert pair.box_px == drawn.NOWHERE


def test_silent_pairs_are_silent():
    levels = []
    for seed in range(30):
        pair = drawn.silent_pair(rng(seed), size_px=64)
        assert pair.label == drawn.SILENCE
        assert pair.box_px == drawn.NOWHERE
        levels.append(loudest_dbfs(pair.waveform))
    assert max(levels) <= -54.9
    assert min(levels) == -120.0  # digital silence among them
    assert sum(value > -70.1 for value in levels) >= 15


def test_picture_and_choice_of_the_sounding_object_are_independent():
    """Every object in the picture is chosen equally often, whatever its order, height or size."""
    first = higher = larger = 0
    runs = 300
    for seed in range(runs):
        generator = rng(seed)
        _, present = draw_picture(generator, 64, 4)
        (name_a, a), (name_b, b) = present[:2]
        pair = drawn.training_pair(rng(seed), size_px=64, seconds=0.1, num_objects=4)
        if pair.label not in (name_a, name_b):
            continue
        chosen, other = (a, b) if pair.label == name_a else (b, a)
        first += 1 if chosen == a else -1
        higher += 1 if chosen[1] < other[1] else -1
        larger += 1 if chosen[3] - chosen[1] > other[3] - other[1] else -1
    assert max(abs(first), abs(higher), abs(larger)) < 4 * np.sqrt(runs)


@pytest.mark.parametrize("name", drawn.CLASSES)
def test_box_holds_the_whole_object_and_is_tight(name):
    for seed in range(6):
        canvas = Canvas((60.3, 70.8), 40.0, angle=0.2 * seed - 0.5, mirror=seed % 2 == 0, aspect=1 + 0.2 * seed)
        FIGURES[name](canvas, new_look(name, rng(seed)), seed / 6)
        canvas.finish(0.0, (0.0, 0.0, 0.0), 0.0)
        x0, y0, x1, y1 = canvas.box(120, 140)
        white, black = np.ones((3, 140, 120), np.float32), np.zeros((3, 140, 120), np.float32)
        canvas.paste(white)
        canvas.paste(black)
        opaque = 1.0 - (white - black).max(axis=0) > 0.55  # what hides the background, kettle's steam included
        rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
        # Within 2 px all round; only the kettle's steam, a detail, may rise out of its box.
        assert abs(rows[-1] + 1 - y1) <= 2
        if name != "kettle":
            assert abs(rows[0] - y0) <= 2
            assert abs(columns[0] - x0) <= 2
            assert abs(columns[-1] + 1 - x1) <= 2
        assert rows[0] <= y0 + 2
        assert columns[0] <= x0 + 2
        assert columns[-1] + 1 >= x1 - 2


@pytest.mark.parametrize("name", drawn.CLASSES)
def test_individuals_of_a_class_differ(name):
    looks = [new_look(name, rng(seed)) for seed in range(8)]
    assert len({look.main for look in looks}) == 8
    sounds = [SOUNDS[name](rng(seed), 8_000) for seed in range(4)]
    assert all(np.isfinite(sound).all() and sound.shape == (8_000,) for sound in sounds)
    assert all(not np.allclose(sounds[0], other) for other in sounds[1:])


@pytest.mark.parametrize("name", drawn.CLASSES)
def test_no_sound_pauses_longer_than_a_gate_waits(name):
    """In any half second of a sounding object there is a 50 ms block within 25 dB of the loudest."""
    for seed in range(6):
        wave = level(SOUNDS[name](rng(seed), 48_000), -20.0)
        power = (wave.reshape(-1, 800) ** 2).mean(axis=1)
        loudest = np.lib.stride_tricks.sliding_window_view(power, 10).max(axis=1)
        assert 10 * np.log10(loudest.min()) > loudest_dbfs(wave) - 25.0


def test_classes_can_be_told_apart_by_ear():
    """Nearest neighbours on coarse spectra tell at least nine in ten sounds, so a network can learn the classes."""

    def describe(wave):
        frames = np.lib.stride_tricks.sliding_window_view(wave, 512)[::256] * np.hanning(512)
        bands = (np.abs(np.fft.rfft(frames)[:, 1:]) ** 2).reshape(len(frames), 32, 8).mean(axis=2)
        log = np.log(bands + 1e-6 * bands.max())
        profile = np.concatenate([log.mean(axis=0), log.std(axis=0), np.abs(np.diff(log, axis=0)).mean(axis=0)])
        return profile - np.concatenate([np.full(32, log.mean()), np.zeros(64)])

    known = [(name, describe(SOUNDS[name](rng(seed), 32_000))) for name in SOUNDS for seed in range(24)]
    right = 0
    for name in SOUNDS:
        for seed in range(100, 110):
            probe = describe(SOUNDS[name](rng(seed), 32_000))
            right += min(known, key=lambda item: float(((item[1] - probe) ** 2).sum()))[0] == name
    assert right >= 72


def test_level_is_exact_unless_it_would_clip():
    noise = rng().standard_normal(16_000).astype(np.float32)
    assert loudest_dbfs(level(noise, -30.0)) == pytest.approx(-30.0, abs=1e-3)
    assert np.abs(level(noise, 0.0)).max() == pytest.approx(0.97, abs=1e-4)
    assert loudest_dbfs(np.zeros(16_000, np.float32)) == -120.0


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_fill_the_range_and_differ(kind):
    a, b = background(rng(1), 80, 48, kind), background(rng(2), 80, 48, kind)
    assert a.shape == (3, 48, 80)
    assert a.min() >= 0.0
    assert a.max() <= 1.0
    assert not np.allclose(a, b)


def test_every_look_alike_paints_something():
    for kind in range(16):
        canvas = Canvas((40.0, 40.0), 25.0)
        decoy(canvas, new_look("bird", rng(kind)), kind)
        x0, y0, x1, y1 = canvas.box(80, 80)
        assert x1 - x0 > 15
        assert y1 - y0 > 15


def test_an_object_over_the_edge_is_cut_off():
    picture = np.zeros((3, 50, 50), np.float32)
    frame = np.zeros((50, 50, 3), np.uint8)
    canvas = Canvas((0.0, 50.0), 20.0)
    FIGURES["clock"](canvas, new_look("clock", rng()), 0.0)
    canvas.paste(picture)
    canvas.paste_bgr(frame)
    x0, y0, x1, y1 = canvas.box(50, 50)
    assert (x0, y1) == (0, 50)
    assert 10 < x1 < 25
    assert 25 < y0 < 40
    assert np.abs(frame[:, :, ::-1].transpose(2, 0, 1) / 255.0 - picture.clip(0, 1)).max() < 0.004


@pytest.mark.parametrize(
    "arguments",
    [{"num_objects": 1}, {"num_objects": 6}, {"size_px": 16}, {"seconds": 0.01}, {"absent": True, "silent": True}],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ConfigError, match="training_pair"):
        drawn.training_pair(rng(), **arguments)
