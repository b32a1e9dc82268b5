"""Tracks: assignment against every permutation, the filter against exact motion, birth, death, silence, identities."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.geometry.bearing import Bearing, ray_from_angles
from lvs_runtime.tracks import Tracker, TrackRules, assign

FPS = 15
SIGMA = 0.03


def bearing(azimuth: float, elevation: float = 0.0, sigma: float = SIGMA) -> Bearing:
    return Bearing(
        azimuth_rad=math.remainder(azimuth, 2 * math.pi),
        elevation_rad=elevation,
        covariance_rad2=(sigma**2, 0.0, 0.0, sigma**2),
        ray_optical=ray_from_angles(azimuth, elevation),
        strength=0.9,
    )


def at(index: int) -> int:
    return 1_000_000_000 + index * 1_000_000_000 // FPS


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 6), (6, 4), (5, 5)])
def test_assignment_is_the_cheapest_of_all(shape):
    rng = np.random.default_rng(shape)
    for _ in range(8):
        cost = rng.uniform(0, 10, shape)
        wide = cost if shape[0] <= shape[1] else cost.T
        rows = range(len(wide))
        cheapest = min(
            sum(wide[r, c] for r, c in zip(rows, choice, strict=True))
            for choice in permutations(range(wide.shape[1]), len(wide))
        )
        pairs = assign(cost)
        assert len(pairs) == min(shape)
        assert sum(cost[r, c] for r, c in pairs) == pytest.approx(cheapest)


def test_forbidden_pairs_stay_apart_and_as_many_as_can_be_are_made():
    inf = math.inf
    assert assign([[inf, 1.0], [inf, 2.0]]) == [(0, 1)]
    assert assign([[1.0, 2.0], [1.0, inf]]) == [(0, 1), (1, 0)]  # dearer together, but two
    assert assign(np.full((3, 2), inf)) == []
    assert assign(np.zeros((0, 4))) == []
    with pytest.raises(ValueError, match="negative"):
        assign([[-1.0]])


def test_a_steady_source_gets_one_id_at_the_stamp_of_its_frame():
    tracker, rng = Tracker(), np.random.default_rng(0)
    assert tracker.update(at(0), [bearing(0.2)], True) == ()  # one bearing is no track
    for index in range(1, 60):
        (track,) = tracker.update(at(index), [bearing(0.2 + rng.normal(0, SIGMA), 0.1)], True)
        assert (track.track_id, track.state, track.unseen_s) == (1, "seen", 0.0)
        assert track.age_s == pytest.approx(index / FPS, abs=1e-6)
    assert track.azimuth_rad == pytest.approx(0.2, abs=0.02)
    assert abs(track.azimuth_rate_rad_s) < 0.1
    covariance = np.reshape(track.covariance, (4, 4))
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert (np.linalg.eigvalsh(covariance) > 0).all()


def test_motion_is_followed_without_lag_and_smoothed():
    tracker, rng = Tracker(), np.random.default_rng(1)
    errors, raw = [], []
    for index in range(150):
        truth = -0.6 + 0.3 * index / FPS / 2.5
        seen = truth + rng.normal(0, SIGMA)
        tracks = tracker.update(at(index), [bearing(seen)], True)
        if index > 30:
            errors.append(tracks[0].azimuth_rad - truth)
            raw.append(seen - truth)
    assert np.std(errors) < 0.8 * np.std(raw)
    assert abs(np.mean(errors)) < 0.008  # a lag of one frame would be 0.008 rad
    assert tracks[0].azimuth_rate_rad_s == pytest.approx(0.12, abs=0.06)


def test_two_sources_that_pass_each_other_keep_their_ids():
    tracker, rng = Tracker(), np.random.default_rng(2)
    for index in range(91):
        x = -0.45 + 0.9 * index / 90
        found = [bearing(x + rng.normal(0, 0.01), 0.12, 0.02), bearing(-x + rng.normal(0, 0.01), -0.12, 0.02)]
        tracks = tracker.update(at(index), found if index % 2 else found[::-1], True)
    assert {t.track_id for t in tracks} == {1, 2}
    upper = next(t for t in tracks if t.elevation_rad > 0)
    assert upper.azimuth_rad == pytest.approx(0.45, abs=0.05)
    assert upper.azimuth_rate_rad_s > 0


def test_false_alarm_of_one_frame_is_no_track():
    tracker = Tracker()
    for index in range(20):
        found = [bearing(0.0), *([bearing(0.5)] if index == 9 else [])]
        tracks = tracker.update(at(index), found, True)
    assert [t.track_id for t in tracks] == [1]


def test_silence_is_waited_for_longer_than_absence():
    rules = TrackRules()
    for audible, patience_s, state in ((True, rules.forget_s, "unseen"), (False, rules.forget_silent_s, "silent")):
        tracker = Tracker(rules)
        for index in range(10):
            tracks = tracker.update(at(index), [bearing(0.01 * index)], True)
        before, speed = tracks[0], tracks[0].azimuth_rate_rad_s
        kept = []
        for index in range(10, 10 + 6 * FPS):
            tracks = tracker.update(at(index), [], audible)
            kept += [t for t in tracks if t.state == state]
        assert tracks == ()
        assert kept[-1].unseen_s == pytest.approx(patience_s, abs=2 / FPS)
        assert kept[-1].covariance[0] > before.covariance[0]
        assert abs(kept[-1].azimuth_rate_rad_s) < 0.2 * speed  # comes to rest instead of running away
        assert kept[-1].azimuth_rad - before.azimuth_rad < speed


def test_after_silence_the_same_id_goes_on_and_a_dead_id_never_returns():
    tracker = Tracker()
    for index in range(10):
        tracker.update(at(index), [bearing(0.1)], True)
    for index in range(10, 10 + 2 * FPS):
        tracker.update(at(index), [], False)
    (again,) = tracker.update(at(10 + 2 * FPS), [bearing(0.12)], True)
    assert (again.track_id, again.state) == (1, "seen")
    tracker.update(at(10 + 20 * FPS), [], True)
    assert tracker.tracks() == ()
    for index in range(3):
        tracks = tracker.update(at(400 + index), [bearing(0.1)], True)
    assert [t.track_id for t in tracks] == [2]


def test_far_away_is_another_source():
    tracker = Tracker()
    for index in range(10):
        tracker.update(at(index), [bearing(-0.5)], True)
    for index in range(10, 14):
        tracks = tracker.update(at(index), [bearing(0.5)], True)
    assert [(t.track_id, t.state) for t in tracks] == [(1, "unseen"), (2, "seen")]


def test_old_and_repeated_stamps_change_nothing_and_are_counted():
    tracker = Tracker()
    for index in range(5):
        before = tracker.update(at(index), [bearing(0.1)], True)
    for stamp in (at(4), at(2)):
        assert tracker.update(stamp, [bearing(0.3)], True) == before
    assert tracker.late == 2


def test_behind_a_fisheye_the_angle_wraps():
    tracker = Tracker()
    for index in range(60):
        tracks = tracker.update(at(index), [bearing(math.pi - 0.3 + index * 0.01)], True)
    assert [t.track_id for t in tracks] == [1]
    assert tracks[0].azimuth_rad == pytest.approx(-math.pi + 0.29, abs=0.03)


def test_same_input_same_tracks():
    def run():
        tracker, rng = Tracker(), np.random.default_rng(7)
        return [
            tracker.update(at(k), [bearing(rng.uniform(-0.5, 0.5)) for _ in range(rng.integers(0, 4))], k % 9 != 0)
            for k in range(80)
        ]

    assert run() == run()


def test_rules_that_cannot_be():
    with pytest.raises(ConfigError, match="above 0"):
        TrackRules(gate=0.0)
    with pytest.raises(ConfigError, match="forget_silent_s"):
        TrackRules(forget_s=5.0)


def test_drawn_world_with_the_model_that_ships():
    """Half of one scene: the sounding object is followed, with one id a turn, and no frame is held back."""
    pytest.importorskip("onnxruntime")
    import drawn_tracking

    from lvs_runtime.localizer import Localizer

    ids, errors, settled = {}, [], 0
    for step in drawn_tracking.run(Localizer.from_bundle(threads=1), 503, fps=6.0):
        if step.time_s > 5.0:
            break
        result = step.result
        assert result.stages_ms["track"] > 0
        assert len(result.bearings) == len(result.boxes_px)
        record = result.as_dict()
        assert [t["track_id"] for t in record["tracks"]] == [t.track_id for t in result.tracks]
        if step.truth is None or step.turn_age_s < 1.0:
            continue
        settled += 1
        near = [t for t in result.tracks if t.state == "seen" and drawn_tracking.off_rad(t, step.truth) < 0.17]
        for track in near:
            ids.setdefault(step.turn, set()).add(track.track_id)
            errors.append(math.degrees(drawn_tracking.off_rad(track, step.truth)))
    assert len(errors) >= 0.8 * settled > 5
    assert all(len(of_turn) == 1 for of_turn in ids.values())
    assert np.median(errors) < 4.5
