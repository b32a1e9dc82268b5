"""The moving scene: timeline, sound and truth agree; objects stay inside and apart."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime import drawn
from lvs_runtime.drawn.sounds import loudest_dbfs
from lvs_runtime.errors import ConfigError

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
def test_timeline_has_turns_a_silence_and_an_off_screen_sound(seed):
    scene = drawn.scene(seed)
    assert scene.timeline[0].start_s == 0.0
    assert scene.timeline[-1].end_s == 10.0
    assert all(a.end_s == b.start_s for a, b in zip(scene.timeline, scene.timeline[1:], strict=False))
    turns = [turn for turn in scene.timeline if turn.actor is not None]
    assert all(1.5 <= turn.end_s - turn.start_s <= 2.1 for turn in turns)
    assert len({turn.actor for turn in turns}) == 4
    silent = [turn for turn in scene.timeline if turn.name is None]
    absent = [turn for turn in scene.timeline if turn.name is not None and turn.actor is None]
    assert len(silent) == len(absent) == 1
    assert silent[0].end_s - silent[0].start_s == pytest.approx(1.5)
    assert absent[0].end_s - absent[0].start_s == pytest.approx(1.5)
    assert absent[0].name not in {actor.name for actor in scene.actors}


@pytest.mark.parametrize("seed", SEEDS)
def test_sound_is_loud_in_turns_and_faint_in_silence(seed):
    scene = drawn.scene(seed)
    sound = scene.sound()
    assert sound.shape == (160_000,)
    assert sound.dtype == np.float32
    assert np.abs(sound).max() <= 1.0
    for turn in scene.timeline:
        part = sound[round(turn.start_s * 16_000) : round(turn.end_s * 16_000)]
        if turn.name is None:
            assert loudest_dbfs(part) < -63.0
        else:
            halves = [loudest_dbfs(part[k : k + 8_000]) for k in range(0, part.size - 8_000, 2_000)]
            assert min(halves) > -42.0
            assert -25.0 < max(halves) < -10.0


@pytest.mark.parametrize("seed", SEEDS)
def test_truth_follows_the_timeline_and_boxes_stay_inside_and_apart(seed):
    scene = drawn.scene(seed)
    for t_s in np.linspace(0.0, 9.99, 14):
        truth = scene.truth(float(t_s))
        turn = scene.turn(float(t_s))
        assert len(truth) == 4
        assert [o.name for o in truth if o.sounding] == ([turn.name] if turn.actor is not None else [])
        for k, (_, (x0, y0, x1, y1), _) in enumerate(truth):
            assert 0 <= x0 < x1 <= 640
            assert 0 <= y0 < y1 <= 360
            assert (x1 - x0) * (y1 - y0) > 40 * 40
            for _, (u0, v0, u1, v1), _ in truth[:k]:
                overlap = max(0, min(x1, u1) - max(x0, u0)) * max(0, min(y1, v1) - max(y0, v0))
                assert overlap < 0.1 * (x1 - x0) * (y1 - y0)


def test_frames_show_the_objects_where_the_truth_says():
    scene = drawn.scene(1)
    early, late = scene.frame(0.0).astype(int), scene.frame(1.6).astype(int)
    assert early.shape == (360, 640, 3)
    assert scene.frame(0.0).dtype == np.uint8
    changed = np.abs(early - late).max(axis=2) > 24
    near = np.zeros_like(changed)
    for t_s in (0.0, 1.6):
        for actor in scene.actors:  # outline and shadow reach a little over the box
            x, y, _ = actor.path.at(t_s)
            half = 1.34 * actor.path.scale * 360 + 1
            near[
                max(0, int(y * 360 - half)) : int(y * 360 + half), max(0, int(x * 640 - half)) : int(x * 640 + half)
            ] = True
    assert changed.sum() > 500  # something moves
    assert not changed[~near].any()  # and nothing else does


def test_same_seed_same_scene_in_any_order():
    a, b = drawn.scene(3), drawn.scene(3)
    b.frame(5.0)
    assert np.array_equal(a.frame(2.0), b.frame(2.0))
    assert np.array_equal(a.sound(), b.sound())
    assert a.timeline == b.timeline
    assert drawn.scene(4).timeline != a.timeline


def test_sound_at_another_rate_is_the_same_sound():
    scene = drawn.scene(0, seconds=4.0)
    low, high = scene.sound(16_000), scene.sound(48_000)
    assert high.shape == (192_000,)
    assert np.abs(high[::3] - low).max() < 2e-3  # every third sample of a band-limited triple is the original
    assert scene.sound(8_000).shape == (32_000,)


def test_boxes_scale_with_the_picture():
    scene = drawn.scene(2)
    small, large = scene.truth(1.0, (320, 180)), scene.truth(1.0, (1280, 720))
    for a, b in zip(small, large, strict=True):
        assert a.name == b.name
        assert np.abs(np.array(a.box_px) * 4 - np.array(b.box_px)).max() <= 8


def test_long_and_short_scenes():
    assert drawn.scene(0, seconds=2.0).timeline[-1].end_s == 2.0
    minute = drawn.scene(0, seconds=60.0)
    assert minute.timeline[-1].end_s == 60.0
    assert sum(turn.actor is not None for turn in minute.timeline) > 25


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="seed=-1"):
        drawn.scene(-1)
    with pytest.raises(ConfigError, match=r"seconds=1\.0"):
        drawn.scene(0, seconds=1.0)
    with pytest.raises(ConfigError, match="sample_rate=10"):
        drawn.scene(0).sound(10)
    with pytest.raises(ConfigError, match="size"):
        drawn.scene(0).frame(0.0, (640, 8))
