"""A calibrated camera: pixels to rays and back. The models, names and coefficient orders are OpenCV's and ROS's.

Optical frame: x to the right, y down, z forward (ROS REP 103, `*_optical_frame`). A pixel's centre has whole
coordinates, as in OpenCV: (0, 0) is the middle of the first pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError

Floats = npt.NDArray[np.float64]

# ROS names; the value is how many coefficients may be given.
MODELS = {"plumb_bob": (0, 4, 5), "rational_polynomial": (8, 12), "equidistant": (4,)}
_STEPS = 50
_FOLD_PX = 0.5  # a corner that comes back further away than this lies beyond what the polynomial describes


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraModel:
    """Pinhole with distortion. `d` in OpenCV's order: k1 k2 p1 p2 k3 [k4 k5 k6 [s1 s2 s3 s4]]; equidistant: k1...k4.

    Raises `ConfigError` for values that no camera has, and where the distortion folds over inside the picture.
    """

    size_px: tuple[int, int]  # width, height that the calibration was made for
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    d: tuple[float, ...] = ()
    model: str = "plumb_bob"
    frame_id: str = ""

    def __post_init__(self) -> None:
        values = (self.fx_px, self.fy_px, self.cx_px, self.cy_px, *self.d)
        if min(self.size_px) < 1 or not all(math.isfinite(v) for v in values) or min(self.fx_px, self.fy_px) <= 0:
            raise ConfigError(f"camera: size {self.size_px}, fx {self.fx_px}, fy {self.fy_px}: want values above 0")
        if self.model not in MODELS or len(self.d) not in MODELS[self.model]:
            known = "; ".join(f"{name} with {counts}" for name, counts in MODELS.items())
            raise ConfigError(f"camera: distortion {self.model!r} with {len(self.d)} coefficients; possible: {known}")
        w, h = self.size_px
        border = np.array([(x, y) for x in (0, w / 2, w - 1) for y in (0, h / 2, h - 1)], float)
        off = np.abs(self.project(self.rays(border)) - border).max()
        if not off < _FOLD_PX:
            raise ConfigError(
                f"camera: the distortion {self.d} describes no picture of {w}x{h} px (a corner comes back "
                f"{off:.1f} px away). Was the calibration made at another size?"
            )

    @classmethod
    def from_hfov(cls, hfov_deg: float, size_px: tuple[int, int], frame_id: str = "") -> CameraModel:
        """An ideal pinhole that sees `hfov_deg` degrees (1 to 175) across its width, square pixels, centred."""
        if not 1.0 <= hfov_deg <= 175.0:
            raise ConfigError(f"--hfov {hfov_deg:g}: want the horizontal field of view in degrees, 1 to 175")
        width, height = size_px
        focal = width / 2 / math.tan(math.radians(hfov_deg) / 2)
        return cls(
            size_px=size_px, fx_px=focal, fy_px=focal, cx_px=(width - 1) / 2, cy_px=(height - 1) / 2, frame_id=frame_id
        )

    def scaled_to(self, size_px: tuple[int, int]) -> CameraModel:
        """The same camera delivering `size_px`; `ConfigError` when the sides' ratio differs by more than 2 %."""
        if size_px == self.size_px:
            return self
        sx, sy = size_px[0] / self.size_px[0], size_px[1] / self.size_px[1]
        if abs(sx / sy - 1) > 0.02:
            raise ConfigError(
                f"camera: calibrated for {self.size_px[0]}x{self.size_px[1]}, the frames are "
                f"{size_px[0]}x{size_px[1]}: another shape, so another crop. Calibrate at that resolution."
            )
        return replace(
            self,
            size_px=size_px,
            fx_px=self.fx_px * sx,
            fy_px=self.fy_px * sy,
            cx_px=(self.cx_px + 0.5) * sx - 0.5,
            cy_px=(self.cy_px + 0.5) * sy - 0.5,
        )

    def rays(self, pixels: npt.ArrayLike) -> Floats:
        """(..., 2) pixels -> (..., 3) unit vectors in the optical frame."""
        p = np.asarray(pixels, float)
        x, y = (p[..., 0] - self.cx_px) / self.fx_px, (p[..., 1] - self.cy_px) / self.fy_px
        if self.model == "equidistant":
            radius = np.hypot(x, y)
            theta = _newton_theta(radius, self.d)
            side = np.where(radius > 1e-12, np.sin(theta) / np.maximum(radius, 1e-12), 1.0)
            return np.stack([x * side, y * side, np.cos(theta)], axis=-1)
        u, v = _undistort(x, y, self.d) if self.d else (x, y)
        ray = np.stack([u, v, np.ones_like(u)], axis=-1)
        return np.asarray(ray / np.linalg.norm(ray, axis=-1, keepdims=True))

    def project(self, rays: npt.ArrayLike) -> Floats:
        """(..., 3) directions in the optical frame -> (..., 2) pixels; NaN for what lies behind a pinhole."""
        r = np.asarray(rays, float)
        if self.model == "equidistant":
            across = np.hypot(r[..., 0], r[..., 1])
            theta = np.arctan2(across, r[..., 2])
            side = np.where(across > 1e-12, _fisheye(theta, self.d) / np.maximum(across, 1e-12), 1.0)
            x, y = r[..., 0] * side, r[..., 1] * side
        else:
            z = np.where(r[..., 2] > 1e-9, r[..., 2], np.nan)
            x, y = _distort(r[..., 0] / z, r[..., 1] / z, self.d)
        return np.stack([x * self.fx_px + self.cx_px, y * self.fy_px + self.cy_px], axis=-1)


def _distort(x: Floats, y: Floats, d: tuple[float, ...]) -> tuple[Floats, Floats]:
    """OpenCV's radial, tangential and thin-prism distortion of normalized coordinates."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*d, *(0.0,) * (12 - len(d)))
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + r2 * s4),
    )


def _undistort(x: Floats, y: Floats, d: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Newton's method on `_distort`, derivatives by differences: converges where OpenCV's fixed point does not."""
    u, v, h = x.copy(), y.copy(), 1e-7
    for _ in range(_STEPS):
        a, b = _distort(u, v, d)
        ea, eb = x - a, y - b
        if np.abs(ea).max(initial=0.0) < 1e-13 and np.abs(eb).max(initial=0.0) < 1e-13:
            break
        au, bu = ((new - old) / h for new, old in zip(_distort(u + h, v, d), (a, b), strict=True))
        av, bv = ((new - old) / h for new, old in zip(_distort(u, v + h, d), (a, b), strict=True))
        det = au * bv - av * bu
        det = np.where(np.abs(det) > 1e-6, det, 1e-6)
        u, v = u + np.clip((ea * bv - eb * av) / det, -0.5, 0.5), v + np.clip((eb * au - ea * bu) / det, -0.5, 0.5)
    return u, v


def _fisheye(theta: Floats, k: tuple[float, ...]) -> Floats:
    t2 = theta * theta
    return np.asarray(theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3])))))


def _newton_theta(radius: Floats, k: tuple[float, ...]) -> Floats:
    theta = np.minimum(radius, math.pi)
    for _ in range(_STEPS):
        t2 = theta * theta
        slope = 1 + t2 * (3 * k[0] + t2 * (5 * k[1] + t2 * (7 * k[2] + t2 * 9 * k[3])))
        step = (radius - _fisheye(theta, k)) / np.where(np.abs(slope) > 1e-6, slope, 1e-6)
        theta = np.clip(theta + np.clip(step, -0.5, 0.5), 0.0, math.pi)
        if np.abs(step).max(initial=0.0) < 1e-14:
            break
    return theta
