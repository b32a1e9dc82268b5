"""Where a sound comes from, as an angle: peak and boxes through a camera model, with the spread of the map as error.

Body frame (ROS REP 103): x forward, y left, z up. Azimuth is positive to the left, elevation positive upwards, both
radians, 0 straight ahead. So azimuth = -atan2(x_optical, z_optical).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..heatmap import CELL_SHIFT
from .camera import CameraModel

if TYPE_CHECKING:
    from ..results import Box, Result

Floats = npt.NDArray[np.float64]

# Share of a region's spread (standard deviation, plus half a cell's) that the error of its middle turned out to be on
# the drawn world: benchmarks/buses/tracking.py prints the normalized error that this number sets to 1.
SPREAD_TO_ERROR = 0.415


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """A direction. `covariance_rad2` is that of (azimuth, elevation), row by row."""

    azimuth_rad: float
    elevation_rad: float
    covariance_rad2: tuple[float, float, float, float]
    ray_optical: tuple[float, float, float]  # unit vector: x right, y down, z forward
    strength: float  # the region's strongest similarity
    box_px: Box | None = None

    @property
    def ray_body(self) -> tuple[float, float, float]:
        """The same unit vector in the body frame: x forward, y left, z up."""
        x, y, z = self.ray_optical
        return z, -x, -y

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "azimuth_rad": round(self.azimuth_rad, 5),
            "elevation_rad": round(self.elevation_rad, 5),
            "covariance_rad2": [round(v, 8) for v in self.covariance_rad2],
            "ray_optical": [round(v, 5) for v in self.ray_optical],
            "strength": round(self.strength, 4),
            "box_px": list(self.box_px) if self.box_px else None,
        }


def angles(rays_optical: npt.ArrayLike) -> tuple[Floats, Floats]:
    """(..., 3) vectors in the optical frame -> azimuth and elevation in the body frame, radians."""
    r = np.asarray(rays_optical, float)
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    return np.asarray(-np.arctan2(x, z)), np.asarray(-np.arctan2(y, np.hypot(x, z)))


def ray_from_angles(azimuth_rad: float, elevation_rad: float) -> tuple[float, float, float]:
    """The unit vector in the optical frame."""
    flat = math.cos(elevation_rad)
    return -math.sin(azimuth_rad) * flat, -math.sin(elevation_rad), math.cos(azimuth_rad) * flat


def pixel_bearing(
    camera: CameraModel,
    pixel: tuple[float, float],
    covariance_px2: npt.ArrayLike = ((0.0, 0.0), (0.0, 0.0)),
    strength: float = 1.0,
    box_px: Box | None = None,
) -> Bearing:
    """The direction of `pixel` (x, y; whole numbers are pixel centres); its (2, 2) covariance is carried to angles."""
    step = 0.5
    x, y = pixel
    rays = camera.rays([(x, y), (x + step, y), (x - step, y), (x, y + step), (x, y - step)])
    azimuth, elevation = angles(rays)
    jacobian = np.array(
        [[_turn(v[1] - v[2]) / (2 * step), _turn(v[3] - v[4]) / (2 * step)] for v in (azimuth, elevation)]
    )
    (aa, ae), (ea, ee) = (jacobian @ np.asarray(covariance_px2, float) @ jacobian.T).tolist()
    rx, ry, rz = rays[0].tolist()
    return Bearing(
        azimuth_rad=float(azimuth[0]),
        elevation_rad=float(elevation[0]),
        covariance_rad2=(aa, ae, ea, ee),
        ray_optical=(rx, ry, rz),
        strength=strength,
        box_px=box_px,
    )


def peak_bearing(result: Result, camera: CameraModel) -> Bearing:
    """The direction of `result.peak_px`: always there, so read it together with `audible` and `confidence`."""
    m = result.similarity_map
    threshold = min(result.box_threshold, float(m.max()))
    _, covariance = _region(result, m >= threshold)
    peak = float(result.peak_px[0]), float(result.peak_px[1])
    return pixel_bearing(camera.scaled_to(result.image_size_px), peak, covariance, float(m.max()))


def bearings(result: Result, camera: CameraModel) -> tuple[Bearing, ...]:
    """One direction for each box, the strongest first: the middle of what lies above the threshold inside it.

    None when nothing is audible or its source is not in the picture. Raises `ConfigError` when the frames have
    another shape than the calibration.
    """
    if not result.boxes_px:
        return ()
    at = camera.scaled_to(result.image_size_px)
    found = []
    for box in result.boxes_px:
        inside = _inside(result, box) & (result.similarity_map >= result.box_threshold)
        if not inside.any():
            inside = _inside(result, box)
        middle, covariance = _region(result, inside)
        strength = float(result.similarity_map[inside].max(initial=0.0))
        found.append(pixel_bearing(at, middle, covariance, strength, box))
    return tuple(found)


def _cell_px(result: Result) -> tuple[Floats, Floats]:
    """x of each column and y of each row: where the cells look, in pixel-centre coordinates."""
    rows, columns = result.similarity_map.shape
    width, height = result.image_size_px
    x = (np.arange(columns) + 0.5 - CELL_SHIFT) * width / columns - 0.5
    y = (np.arange(rows) + 0.5 - CELL_SHIFT) * height / rows - 0.5
    return x, y


def _inside(result: Result, box: Box) -> npt.NDArray[np.bool_]:
    x, y = _cell_px(result)
    x0, y0, x1, y1 = box
    across, down = (x0 - 1 <= x) & (x < x1), (y0 - 1 <= y) & (y < y1)
    chosen: npt.NDArray[np.bool_] = down[:, None] & across[None, :]
    return chosen


def _region(result: Result, cells: npt.NDArray[np.bool_]) -> tuple[tuple[float, float], Floats]:
    """Middle (x, y) of the chosen cells, weighted by what stands above their edge, and the middle's covariance."""
    x, y = _cell_px(result)
    cell_w, cell_h = (s / n for s, n in zip(result.image_size_px, result.similarity_map.shape[::-1], strict=True))
    if not cells.any():
        cells = np.ones_like(cells)
    values = np.where(cells, result.similarity_map, -np.inf)
    edge = min(result.box_threshold, float(result.similarity_map[cells].min()))
    weights = np.where(cells, values - edge + 1e-3, 0.0)
    weights = weights / weights.sum()
    across, down = weights.sum(axis=0), weights.sum(axis=1)
    mx, my = float(across @ x), float(down @ y)
    dx, dy = x - mx, y - my
    spread = np.array([[across @ dx**2, dy @ weights @ dx], [dy @ weights @ dx, down @ dy**2]])
    half_cell = np.diag([cell_w**2 / 12, cell_h**2 / 12])
    return (mx, my), (spread + half_cell) * SPREAD_TO_ERROR**2


def _turn(angle_rad: float) -> float:
    """The same angle within -pi...pi."""
    return math.remainder(float(angle_rad), 2 * math.pi)
