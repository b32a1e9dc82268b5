"""The drawn world with the model that ships: each frame with its own sound, its bearings, its tracks and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lvs_runtime.drawn.scene import Scene, scene
from lvs_runtime.gate import AudibleGate, level_dbfs
from lvs_runtime.geometry import CameraModel
from lvs_runtime.geometry.bearing import Bearing, pixel_bearing
from lvs_runtime.localizer import Localizer
from lvs_runtime.results import Result
from lvs_runtime.tracks import SourceTracker, TrackRules

RATE = 16_000


@dataclass(frozen=True)
class Step:
    """One frame: what was found and what is true (`heard`: index of the sounding object, None when there is none)."""

    time_s: float
    turn: int  # number of the turn in the timeline
    turn_age_s: float
    heard: str | None
    truth: Bearing | None
    result: Result


def run(
    localizer: Localizer, seed: int, *, seconds: float = 10.0, fps: float = 15.0, size=(640, 360), hfov_deg=70.0,
    rules: TrackRules | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Every frame of the scene in time order."""
    drawn: Scene = scene(seed, seconds)
    sound = drawn.sound(RATE)
    camera = CameraModel.from_hfov(hfov_deg, size)
    tracker = SourceTracker(camera, rules)
    thresholds = localizer.thresholds
    gate = AudibleGate(thresholds["audible_on_dbfs"], thresholds["audible_off_dbfs"])
    window = round(localizer.bundle.live_seconds * RATE)
    for index in range(1, int(seconds * fps)):
        t = index / fps
        end = round(t * RATE)
        heard = sound[max(0, end - window) : end]
        level = level_dbfs(sound[max(0, end - RATE // 2) : end], RATE)
        image, objects = drawn.draw(t, size)
        similarity = localizer.similarity(localizer.embed_image(image), localizer.embed_audio(heard))
        result = localizer.result(similarity, size, level, gate.update(level), capture_ns=round(t * 1e9))
        turn = next(k for k, part in enumerate(drawn.timeline) if t < part.end_s or k == len(drawn.timeline) - 1)
        sounding = next((o for o in objects if o.sounding), None)
        truth = None
        if sounding is not None:
            x0, y0, x1, y1 = sounding.box_px
            truth = pixel_bearing(camera, ((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2))
        yield Step(
            t, turn, t - drawn.timeline[turn].start_s, sounding.name if sounding else None, truth,
            tracker.annotate(result),
        )  # fmt: skip


def off_rad(found, truth: Bearing) -> float:
    """Angle between a bearing or track and the truth."""
    from lvs_runtime.geometry.bearing import ray_from_angles

    a = np.array(ray_from_angles(found.azimuth_rad, found.elevation_rad))
    b = np.array(ray_from_angles(truth.azimuth_rad, truth.elevation_rad))
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))
