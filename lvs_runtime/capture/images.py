"""A folder of pictures as a source: images:FOLDER@FPS, in the order of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError
from ..results import DropReason, VideoFrame
from .base import Dropped, EndOfSource, Item, SourceInfo
from .demux import import_av

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")


class ImageFolder:
    """Each picture is one frame at `index / fps`. A picture that cannot be read is counted as a corrupt frame."""

    is_live = False
    has_picture = True
    has_sound = False

    def __init__(self, folder: str, fps: float) -> None:
        self._folder, self._fps = folder, fps
        self._paths: list[Path] = []
        self._next = 0
        self.info = SourceInfo(name=f"images:{folder}@{fps:g}", kind="images", fps=fps, stamp_source="file")

    def open(self) -> None:
        """List the folder."""
        folder = Path(self._folder)
        if not folder.is_dir():
            raise CaptureError(f"--camera images:{self._folder}: no such folder")
        self._paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not self._paths:
            raise CaptureError(f"--camera images:{self._folder}: holds no picture ({', '.join(SUFFIXES)})")
        self._next = 0
        self.info.duration_s = len(self._paths) / self._fps

    def read(self, timeout_s: float) -> Item:
        """The next picture."""
        if self._next >= len(self._paths):
            raise EndOfSource
        index, self._next = self._next, self._next + 1
        image = read_image(self._paths[index])
        if image is None:
            return Dropped(DropReason.CORRUPT_FRAME)
        self.info.size_px = (image.shape[1], image.shape[0])
        stamp_ns = round(index * 1e9 / self._fps)
        return VideoFrame(image_bgr=image, capture_ns=stamp_ns, arrival_ns=stamp_ns, stamp_source="file")

    def close(self) -> bool:
        """Nothing is held."""
        return True


def read_image(path: Path) -> npt.NDArray[np.uint8] | None:
    """(H, W, 3) BGR, or None when the file is no picture. By OpenCV where it is installed, else by PyAV."""
    try:
        import cv2
    except ImportError:
        return _read_with_av(path)
    image: Any = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)


def _read_with_av(path: Path) -> npt.NDArray[np.uint8] | None:
    av: Any = import_av(str(path))
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            image: npt.NDArray[np.uint8] = next(container.decode(video=0)).to_ndarray(format="bgr24")
            return image
    except (av.error.FFmpegError, OSError, StopIteration):
        return None
