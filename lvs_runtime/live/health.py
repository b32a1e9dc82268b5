"""Is the picture alive? Repeating and black pictures, told from a thumbnail. Pure: stamps are arguments."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_STEP_PX = 20  # every 20th row and column: 0.02 ms
_REPEATS = 15  # a sensor's noise never gives the same values so often
_BLACK_MEAN, _BLACK_STD = 4.0, 2.0
_BLACK_NS = 1_000_000_000


class PictureCheck:
    """Watches the frames of one live camera."""

    def __init__(self) -> None:
        self.frozen = False
        self.black = False
        self._last: bytes = b""
        self._repeats = 0
        self._black_since_ns: int | None = None

    def add(self, image_bgr: npt.NDArray[np.uint8], capture_ns: int) -> None:
        """Look at one frame, (H, W, 3)."""
        thumbnail = image_bgr[::_STEP_PX, ::_STEP_PX]
        now = thumbnail.tobytes()
        dark = float(thumbnail.mean()) < _BLACK_MEAN and float(thumbnail.std()) < _BLACK_STD
        self._repeats = self._repeats + 1 if now == self._last else 0
        self._last = now
        if not dark:
            self._black_since_ns = None
        elif self._black_since_ns is None:
            self._black_since_ns = capture_ns
        self.black = self._black_since_ns is not None and capture_ns - self._black_since_ns >= _BLACK_NS
        self.frozen = self._repeats >= _REPEATS and not self.black  # a covered lens may well repeat
