"""Camera models against OpenCV's own projection, calibration files as OpenCV and ROS write them, bearings."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lvs_runtime.errors import ConfigError
from lvs_runtime.geometry import CameraModel, bearings, load_camera, peak_bearing, pixel_bearing
from lvs_runtime.geometry.bearing import angles, ray_from_angles
from lvs_runtime.heatmap import boxes_px, peak_px
from lvs_runtime.results import Result

cv2 = pytest.importorskip("cv2")

SIZE = (640, 480)
K = {"fx_px": 420.0, "fy_px": 415.0, "cx_px": 322.0, "cy_px": 236.0}
PLUMB = (-0.31, 0.11, 0.0007, -0.0011, -0.019)
RATIONAL = (-0.2, 0.05, 0.001, -0.002, 0.01, 0.12, -0.03, 0.004)
PRISM = (*RATIONAL, 0.002, -0.0004, -0.001, 0.0003)
FISHEYE = (-0.02, 0.006, -0.003, 0.0007)


def matrix(camera: CameraModel) -> np.ndarray:
    return np.array([[camera.fx_px, 0, camera.cx_px], [0, camera.fy_px, camera.cy_px], [0, 0, 1]], float)


def pixels() -> np.ndarray:
    return np.stack(np.meshgrid(np.linspace(0, 639, 9), np.linspace(0, 479, 7)), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize(
    ("model", "d"),
    [("plumb_bob", ()), ("plumb_bob", PLUMB), ("rational_polynomial", RATIONAL), ("rational_polynomial", PRISM)],
)
class TestPinhole:
    def test_projection_is_opencv_s(self, model, d):
        camera = CameraModel(size_px=SIZE, model=model, d=d, **K)
        rays = np.random.default_rng(0).uniform((-0.6, -0.45, 1), (0.6, 0.45, 1), (50, 3)) * 2.5
        theirs, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix(camera), np.array(d) if d else None)
        np.testing.assert_allclose(camera.project(rays), theirs[:, 0], atol=1e-9)

    def test_rays_undo_opencv_s_projection_also_in_the_corners(self, model, d):
        camera = CameraModel(size_px=SIZE, model=model, d=d, **K)
        rays = camera.rays(pixels())
        np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=1e-12)
        back, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix(camera), np.array(d) if d else None)
        np.testing.assert_allclose(back[:, 0], pixels(), atol=1e-6)

    def test_undistortion_is_opencv_s(self, model, d):
        camera = CameraModel(size_px=SIZE, model=model, d=d, **K)
        middle = pixels()[(np.abs(pixels() - (320, 240)) < (220, 160)).all(axis=1)]  # where their iteration converges
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
        theirs = cv2.undistortPoints(middle[:, None], matrix(camera), np.array(d) if d else None, criteria=stop)[:, 0]
        ours = camera.rays(middle)
        np.testing.assert_allclose(ours[:, :2] / ours[:, 2:], theirs, atol=1e-7)


def test_fisheye_is_opencv_s_and_sees_behind_itself():
    camera = CameraModel(
        size_px=SIZE, model="equidistant", d=FISHEYE, fx_px=190.0, fy_px=190.0, cx_px=320.0, cy_px=240.0
    )
    theta, phi = np.meshgrid(np.linspace(0.01, 1.4, 8), np.linspace(0, 6, 9))
    rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    theirs, _ = cv2.fisheye.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), matrix(camera), np.array(FISHEYE))
    np.testing.assert_allclose(camera.project(rays), theirs[:, 0], atol=1e-6)
    np.testing.assert_allclose(camera.rays(theirs[:, 0]), rays, atol=1e-9)
    assert camera.rays([(0.0, 240.0)])[0, 2] < 0  # 320 / 190 rad = 96 degrees
    np.testing.assert_allclose(camera.rays([(320, 240)])[0], (0, 0, 1), atol=1e-12)


def test_field_of_view():
    camera = CameraModel.from_hfov(90, (640, 360))
    azimuth, elevation = angles(camera.rays([(-0.5, 179.5), (319.5, 179.5), (639.5, 179.5), (319.5, -0.5)]))
    np.testing.assert_allclose(azimuth[:3], np.radians([45, 0, -45]), atol=1e-12)  # left is positive
    assert elevation[3] == pytest.approx(math.atan2(180, 320))  # up is positive
    half = camera.scaled_to((320, 180))
    np.testing.assert_allclose(half.rays([(-0.5, 89.5)]), camera.rays([(-0.5, 179.5)]), atol=1e-12)
    with pytest.raises(ConfigError, match="another shape"):
        camera.scaled_to((640, 480))
    for wrong in (0, 180, math.nan):
        with pytest.raises(ConfigError, match="--hfov"):
            CameraModel.from_hfov(wrong, (640, 360))


def test_what_no_camera_is():
    with pytest.raises(ConfigError, match="describes no picture"):
        CameraModel(size_px=SIZE, d=(-0.9, 0.0, 0.0, 0.0), **K)
    with pytest.raises(ConfigError, match="3 coefficients; possible"):
        CameraModel(size_px=SIZE, d=(1.0, 2.0, 3.0), **K)
    with pytest.raises(ConfigError, match="above 0"):
        CameraModel(size_px=SIZE, **{**K, "fx_px": 0.0})


def test_angles_and_rays_agree():
    for azimuth in (-3.0, -0.4, 0.0, 1.2):
        for elevation in (-1.2, 0.0, 0.7):
            ray = ray_from_angles(azimuth, elevation)
            assert [float(v) for v in angles(ray)] == pytest.approx([azimuth, elevation])


class TestFiles:
    def test_ros_calibration(self, tmp_path):
        (tmp_path / "c.yaml").write_text(f"""
image_width: 640
image_height: 480
camera_name: head  # a comment
camera_matrix:
  rows: 3
  cols: 3
  data: [420.0, 0.0, 322.0, 0.0,
         415.0, 236.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: {list(PLUMB)}
rectification_matrix:
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
""")
        assert load_camera(tmp_path / "c.yaml") == CameraModel(size_px=SIZE, d=PLUMB, **K)

    def test_printed_message(self, tmp_path):
        lines = ["header:", "  stamp:", "    sec: 1", "    nanosec: 2", "  frame_id: cam_optical"]
        lines += ["height: 480", "width: 640", "distortion_model: rational_polynomial", "d:"]
        lines += [f"- {v}" for v in RATIONAL] + ["k:"] + [f"- {v}" for v in (420, 0, 322, 0, 415, 236, 0, 0, 1)]
        lines += ["r:", "- 1.0", "p:", "- 9.0", "binning_x: 0", "roi:", "  x_offset: 0", "  height: 0", "  width: 0"]
        (tmp_path / "c.yaml").write_text("\n".join(lines) + "\n---\n")
        camera = load_camera(tmp_path / "c.yaml")
        expected = CameraModel(size_px=SIZE, d=RATIONAL, model="rational_polynomial", frame_id="cam_optical", **K)
        assert camera == expected

    def test_what_opencv_writes(self, tmp_path):
        camera = CameraModel(size_px=SIZE, d=PLUMB, **K)
        for name in ("c.yml", "c.json"):
            out = cv2.FileStorage(str(tmp_path / name), cv2.FILE_STORAGE_WRITE)
            out.write("image_width", 640)
            out.write("image_height", 480)
            out.write("camera_matrix", matrix(camera))
            out.write("distortion_coefficients", np.array([PLUMB]))
            out.release()
            assert load_camera(tmp_path / name) == camera

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("image_width: 640\n", "no camera matrix"),
            ("k: [1, 2, 3]\nwidth: 640\nheight: 480\n", "has 3 numbers"),
            ("k: [420, 0, 322, 0, 415, 236, 0, 0, 1]\n", "no image_width"),
            ('{"k": [', "not JSON"),
        ],
    )
    def test_what_is_missing_is_said(self, tmp_path, text, says):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ConfigError, match=says):
            load_camera(tmp_path / "c.yaml")

    def test_no_file(self, tmp_path):
        with pytest.raises(ConfigError, match="No such file"):
            load_camera(tmp_path / "nowhere.yaml")
        (tmp_path / "x.bin").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match="not a text file"):
            load_camera(tmp_path / "x.bin")

    def test_json_with_nested_rows(self, tmp_path):
        camera = CameraModel(size_px=SIZE, **K)
        (tmp_path / "c.json").write_text(json.dumps({"K": matrix(camera).tolist(), "width": 640, "height": 480}))
        assert load_camera(tmp_path / "c.json") == camera


def result_with(cells: np.ndarray, size=(640, 360), threshold=0.6) -> Result:
    return Result(
        similarity_map=cells.astype(np.float32),
        image_size_px=size,
        audible=True,
        level_dbfs=-20.0,
        confidence=0.9,
        peak_px=peak_px(cells, size),
        boxes_px=boxes_px(cells, size, threshold),
        box_threshold=threshold,
        provider="none",
        precision="fp32",
    )


def spot(x: float, y: float, width: float = 1.5, peak: float = 0.9) -> np.ndarray:
    rows, columns = np.mgrid[0:14, 0:14]
    return peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))


class TestBearings:
    camera = CameraModel.from_hfov(70, (640, 360))

    def test_a_spot_is_where_it_was_put(self):
        for x, y in ((3.0, 4.0), (7.4, 6.6), (10.5, 8.2)):
            (found,) = bearings(result_with(spot(x, y)), self.camera)
            px = ((x + 0.03125) * 640 / 14 - 0.5, (y + 0.03125) * 360 / 14 - 0.5)
            truth = pixel_bearing(self.camera, px)
            assert found.azimuth_rad == pytest.approx(truth.azimuth_rad, abs=0.01)
            assert found.elevation_rad == pytest.approx(truth.elevation_rad, abs=0.01)
            np.testing.assert_allclose(found.ray_body, (found.ray_optical[2], *(-v for v in found.ray_optical[:2])))
            peak = peak_bearing(result_with(spot(x, y)), self.camera)
            assert peak.azimuth_rad == pytest.approx(truth.azimuth_rad, abs=0.02)

    def test_two_spots_two_bearings_strongest_first(self):
        left, right = bearings(result_with(np.maximum(spot(2, 3, 1.2, 0.95), spot(11, 9, 1.2, 0.8))), self.camera)
        assert left.azimuth_rad > 0.2 > -0.2 > right.azimuth_rad
        assert left.elevation_rad > 0 > right.elevation_rad
        assert left.strength > right.strength
        assert left.box_px is not None

    def test_a_wider_spot_is_less_certain(self):
        def deviation(width):
            return math.sqrt(bearings(result_with(spot(7, 7, width)), self.camera)[0].covariance_rad2[0])

        assert 0.004 < deviation(0.5) < deviation(1.5) < deviation(3.0) < 0.2

    def test_covariance_is_the_pixels_carried_over(self):
        rng = np.random.default_rng(1)
        covariance = np.array([[90.0, 40.0], [40.0, 60.0]])
        draws = rng.multivariate_normal((500, 80), covariance, 20_000)
        sampled = np.cov(np.stack(angles(self.camera.rays(draws))))
        told = np.reshape(pixel_bearing(self.camera, (500, 80), covariance).covariance_rad2, (2, 2))
        np.testing.assert_allclose(told, sampled, rtol=0.1)

    def test_nothing_seen_no_bearing(self):
        quiet = result_with(np.full((14, 14), 0.1))
        assert bearings(quiet, self.camera) == ()
        assert math.isfinite(peak_bearing(quiet, self.camera).azimuth_rad)
