"""Reads calibrations: ROS `camera_calibration` YAML, a printed `CameraInfo` message, OpenCV FileStorage YAML, JSON.

These files are flat: names with a number, a word, or one list of numbers. That much YAML is read here, so that the
live install needs no YAML library; anything else in the file is passed over.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ..errors import ConfigError
from .camera import CameraModel

# What each value is called: camera_calibration's file, the ROS message, OpenCV's samples.
_NAMES = {
    "k": ("camera_matrix", "k", "K", "cameraMatrix", "M"),
    "d": ("distortion_coefficients", "d", "D", "distCoeffs", "dist_coeffs"),
    "model": ("distortion_model", "camera_model"),
    "width": ("image_width", "width"),
    "height": ("image_height", "height"),
    "frame_id": ("frame_id",),
}
_MODEL_NAMES = {"fisheye": "equidistant", "": "", "radtan": "plumb_bob", "pinhole": ""}
Values = dict[str, "str | list[float]"]


def load_camera(path: str | Path) -> CameraModel:
    """The camera that the file describes; `ConfigError` that says what is missing."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise ConfigError(f"--camera-info {path}: cannot be read ({reason})") from error
    values = _from_json(text, path) if text.lstrip().startswith("{") else _from_yaml(text)
    k, d = _list(values, "k", path), _list(values, "d", path, needed=False)
    if len(k) != 9:
        raise ConfigError(f"--camera-info {path}: the camera matrix has {len(k)} numbers, want 9 (3 x 3, row by row)")
    while len(d) > 5 and len(d) not in (8, 12) and d[-1] == 0:
        d = d[:-1]
    stated = str(_find(values, "model") or "").strip("\"' ").lower()
    model = _MODEL_NAMES.get(stated, stated) or ("rational_polynomial" if len(d) > 5 else "plumb_bob")
    try:
        size = int(str(_find(values, "width"))), int(str(_find(values, "height")))
    except ValueError:
        raise ConfigError(f"--camera-info {path}: no image_width and image_height in it") from None
    frame_id = str(_find(values, "frame_id") or "").strip("\"' ")
    return CameraModel(
        size_px=size, fx_px=k[0], fy_px=k[4], cx_px=k[2], cy_px=k[5], d=tuple(d), model=model, frame_id=frame_id
    )


def _find(values: Values, what: str) -> str | list[float] | None:
    return next((values[name] for name in _NAMES[what] if name in values), None)


def _list(values: Values, what: str, path: str | Path, needed: bool = True) -> list[float]:
    found = _find(values, what)
    if isinstance(found, list):
        return found
    if needed:
        raise ConfigError(
            f"--camera-info {path}: no camera matrix in it ({', '.join(_NAMES[what])}). Want the YAML that ROS "
            f"camera_calibration or OpenCV writes, or: ros2 topic echo --once /camera/camera_info > camera.yaml"
        )
    return []


def _from_json(text: str, path: str | Path) -> Values:
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--camera-info {path}: not JSON ({error})") from None
    values: Values = {}
    for name, value in {**loaded, **loaded.get("header", {})}.items():
        inner = value.get("data") if isinstance(value, dict) else value
        values[name] = _flat(inner) if isinstance(inner, list) else str(inner)
    return values


def _flat(value: list[object]) -> list[float]:
    return [x for item in value for x in (_flat(item) if isinstance(item, list) else [float(str(item))])]


def _from_yaml(text: str) -> Values:
    values: Values = {}
    name = ""
    text = re.sub(r"\[[^\]]*\]", lambda m: " ".join(m.group().split()), text)  # lists may run over several lines
    for line in text.splitlines():
        line = line.split(" #")[0].rstrip()
        if match := re.match(r"\s*-\s+(\S+)$", line):  # one item of a list that is written line by line
            number = _number(match.group(1))
            if number is not None and isinstance(items := values.setdefault(name, []), list):
                items.append(number)
        elif match := re.match(r"(\s*)([A-Za-z_]\w*):\s*(.*)$", line):
            indent, key, rest = match.groups()
            if not indent:
                name = key
            target = name if indent and key == "data" else key
            if rest.startswith("["):
                numbers = [_number(part) for part in rest.strip("[] ").split(",") if part.strip()]
                values[target] = [x for x in numbers if x is not None]
            elif rest and not rest.startswith("!!"):
                values.setdefault(target, rest)
            elif indent and key != "data":
                name = key
    return values


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
