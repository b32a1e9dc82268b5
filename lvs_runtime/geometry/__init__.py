"""From pixels to directions: camera models, calibration files, bearings with their uncertainty. numpy alone."""

from __future__ import annotations

from .bearing import Bearing, bearings, peak_bearing, pixel_bearing
from .camera import CameraModel
from .camera_file import load_camera

__all__ = ["Bearing", "CameraModel", "bearings", "load_camera", "peak_bearing", "pixel_bearing"]
