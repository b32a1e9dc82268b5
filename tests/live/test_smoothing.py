"""The map over time: steadier at rest, at once when something new sounds, never made from what is over."""

from __future__ import annotations

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.live.options import LiveOptions
from lvs_runtime.live.smoothing import KINDS, make_smoother

MS = 1_000_000
FRAME_NS = 33 * MS


def run(smoother, maps, step_ns=FRAME_NS):
    return [smoother.update(m, 1_000 * MS + i * step_ns) for i, m in enumerate(maps)]


def noisy(count, rng, level=0.02):
    base = np.zeros((14, 14), np.float32)
    base[4, 4] = 0.8
    return [base + rng.normal(0, level, base.shape).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "off"])
class TestFilters:
    def test_noise_at_rest_shrinks(self, kind):
        maps = noisy(60, np.random.default_rng(0))
        out = run(make_smoother(kind), maps)
        assert np.std(np.diff([m[4, 4] for m in out[20:]])) < 0.6 * np.std(np.diff([m[4, 4] for m in maps[20:]]))
        assert np.mean([m[4, 4] for m in out[20:]]) == pytest.approx(0.8, abs=0.02)

    def test_a_new_source_wins_within_two_frames(self, kind):
        before, after = np.zeros((14, 14), np.float32), np.zeros((14, 14), np.float32)
        before[2, 2], after[10, 11] = 0.8, 0.8
        out = run(make_smoother(kind), [before] * 30 + [after] * 3)
        assert int(out[29].argmax()) == 2 * 14 + 2
        assert int(out[31].argmax()) == 10 * 14 + 11

    def test_values_stay_between_those_seen(self, kind):
        rng = np.random.default_rng(1)
        maps = [rng.random((14, 14), dtype=np.float32) for _ in range(50)]
        out = np.array(run(make_smoother(kind), maps))
        assert out.dtype == np.float32
        assert out.min() >= 0
        assert out.max() <= 1

    def test_reset_and_a_gap_forget(self, kind):
        rng = np.random.default_rng(2)
        old, new = rng.random((2, 14, 14), dtype=np.float32)
        smoother = make_smoother(kind)
        smoother.update(old, 0)
        smoother.reset()
        np.testing.assert_array_equal(smoother.update(new, FRAME_NS), new)
        np.testing.assert_array_equal(smoother.update(old, FRAME_NS + 400 * MS), old)
        assert not np.array_equal(smoother.update(new, 2 * FRAME_NS + 400 * MS), new)

    def test_the_same_stamps_give_the_same_whatever_the_frame_rate_of_the_machine(self, kind):
        maps = noisy(30, np.random.default_rng(3))
        np.testing.assert_array_equal(run(make_smoother(kind), maps), run(make_smoother(kind), maps))

    def test_the_input_is_not_changed(self, kind):
        maps = noisy(5, np.random.default_rng(4))
        kept = [m.copy() for m in maps]
        run(make_smoother(kind), maps)
        np.testing.assert_array_equal(maps, kept)


def test_off_gives_the_map_itself():
    map_ = np.ones((14, 14), np.float32)
    assert make_smoother("off").update(map_, 5) is map_


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="one-euro, exponential, off"):
        LiveOptions(smoothing="kalman").check()
