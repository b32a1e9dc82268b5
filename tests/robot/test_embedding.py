"""LiveSession inside another program: two at once, nothing left behind, a fork, bearings by the hook."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.geometry import CameraModel
from lvs_runtime.live.session import LiveSession
from lvs_runtime.tracks import SourceTracker


def feed(session, helpers, seconds):
    """Push picture and sound in real time for a while."""
    begin = time.monotonic_ns()
    wave = helpers.tone(0.04)
    for index in range(round(seconds * 25)):
        stamp = begin + index * 40_000_000
        time.sleep(max(0.0, (stamp - time.monotonic_ns()) / 1e9))
        session.push_audio(wave, 16_000, stamp - 40_000_000)
        session.push_frame(helpers.picture(index), stamp, frame_id="head", source_stamp_ns=index)


def test_two_sessions_at_once_know_nothing_of_each_other_and_leave_no_thread(helpers, localizer):
    before = set(threading.enumerate())
    results: dict[str, list] = {"a": [], "b": []}
    sessions = {
        name: LiveSession("push", "push", localizer, on_result=results[name].append, audio_seconds=0.5)
        for name in results
    }
    for session in sessions.values():
        session.start()
    sessions["b"].push_frame(helpers.picture(0))
    feed(sessions["a"], helpers, 1.0)
    for session in sessions.values():
        session.end_push()
        assert session.wait(30)
        assert session.close()
    assert len(results["b"]) == 1
    assert 2 <= len(results["a"]) <= 25
    assert all(r.frame_id == "head" and r.source_stamp_ns is not None for r in results["a"])
    assert results["b"][0].frame_id == ""
    assert sessions["a"].stats().offered == 25
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread


def test_annotated_results_reach_everybody_with_their_cost_in_the_age(helpers, localizer):
    source = helpers.Scripted(helpers.media_items(0.6), sound=True, live=False)
    tracker = SourceTracker(lambda size_px: CameraModel.from_hfov(60, size_px))
    session = LiveSession(
        "clip.mp4", "camera", localizer, sources=[source], paced=False, audio_seconds=0.5, annotate=tracker.annotate
    )
    results = list(session)
    assert len(results) == 15
    seen = [r for r in results if r.boxes_px]
    assert seen
    assert all(len(r.bearings) == len(r.boxes_px) for r in results)
    assert any(r.tracks for r in seen)
    for r in results:
        assert sum(r.stages_ms.values()) <= r.age_ms + 1e-6


def test_a_wrong_calibration_ends_the_session_with_the_reason(helpers, localizer):
    source = helpers.Scripted(helpers.media_items(0.6), sound=True, live=False)
    tracker = SourceTracker(CameraModel.from_hfov(60, (640, 640)))
    session = LiveSession(
        "clip.mp4", "camera", localizer, sources=[source], paced=False, audio_seconds=0.5, annotate=tracker.annotate
    )
    with pytest.raises(ConfigError, match="calibrated for 640x640, the frames are"):
        list(session)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_is_told_and_the_parent_goes_on(toy_path):
    """In a process of its own: forking the test's, which has threads of others, is what one should not do."""
    code = f"""
import os, sys
sys.path.insert(0, "tests/helpers")
import live_helpers
from lvs_runtime.errors import ConfigError
from lvs_runtime.live.session import LiveSession
session = LiveSession("push", "push", {str(toy_path)!r}, threads=1).start()
session.push_frame(live_helpers.picture(0))
pid = os.fork()
if pid == 0:
    told, push = 0, lambda: session.push_frame(live_helpers.picture(1))
    for call in (push, session.start, session.wait, lambda: list(session)):
        try:
            call()
        except ConfigError as error:
            told += "fork has none of its threads" in str(error)
    os._exit(0 if told == 4 and session.close() else 1)
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, "the child was not told"
session.push_frame(live_helpers.picture(2))
session.end_push()
assert session.wait(30) and session.close()
assert session.stats().processed + sum(session.stats().drops.values()) >= 2
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_head_that_looks_at_the_source_sees_it_in_the_middle():
    """The example's world: rendering and geometry are each other's inverse."""
    pytest.importorskip("cv2")
    from pathlib import Path

    folder = str(Path(__file__).parents[2] / "examples" / "robot")
    sys.path.insert(0, folder)
    try:
        from world import World
    finally:
        sys.path.remove(folder)
    world = World(11, 12.0)
    t = next(0.5 * k for k in range(24) if world.truth(0.5 * k) is not None)
    azimuth, elevation = world.truth(t)
    straight, turned = world.view(t, 0.0, 0.0), world.view(t, azimuth, elevation)
    assert straight.shape == turned.shape == (240, 320, 3)
    # What is in the middle now was, looking straight ahead, where the truth says.
    x, y = world.camera.project((-np.tan(azimuth), -np.tan(elevation) / np.cos(azimuth), 1.0))
    patch = turned[112:128, 152:168].reshape(-1, 3).mean(axis=0)
    if 10 < x < 310 and 10 < y < 230:
        there = straight[int(y) - 6 : int(y) + 7, int(x) - 6 : int(x) + 7].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(patch, there, atol=30)
    assert world.heard(1.0, 1.5).shape == (8000,)
