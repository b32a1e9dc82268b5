"""Adds bearings and tracks to results, frame by frame: what `LiveSession(annotate=...)` takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from ..geometry import CameraModel, bearings
from ..results import Result
from .tracker import Tracker, TrackRules


class SourceTracker:
    """One stream's results in, the same results with `bearings` and `tracks` out. Not thread-safe.

    `camera`: the calibrated camera, or a function of the frames' (width, height) where that is not known before
    (`--hfov`).
    """

    def __init__(
        self, camera: CameraModel | Callable[[tuple[int, int]], CameraModel], rules: TrackRules | None = None
    ) -> None:
        self.tracker = Tracker(rules)
        self._camera = camera if isinstance(camera, CameraModel) else None
        self._make_camera = None if isinstance(camera, CameraModel) else camera

    def annotate(self, result: Result) -> Result:
        """The result with directions; its `output_ns` and stage "track" count the time this took.

        Raises `ConfigError` when the frames have another shape than the calibration.
        """
        begin_ns = time.monotonic_ns()
        camera = self._camera_for(result.image_size_px)
        found = bearings(result, camera)
        tracks = self.tracker.update(result.capture_ns, found, result.audible)
        spent_ns = time.monotonic_ns() - begin_ns
        return replace(
            result,
            bearings=found,
            tracks=tracks,
            frame_id=result.frame_id or camera.frame_id,
            output_ns=result.output_ns + spent_ns,
            stages_ms={**result.stages_ms, "track": spent_ns / 1e6},
        )

    def _camera_for(self, size_px: tuple[int, int]) -> CameraModel:
        if self._make_camera is not None and (self._camera is None or self._camera.size_px != size_px):
            self._camera = self._make_camera(size_px)
        assert self._camera is not None
        return self._camera
