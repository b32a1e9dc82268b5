"""A localizer that counts and times the encoder calls of whoever uses it, and is the localizer in all else."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..localizer import Localizer


class Probe:
    """Wraps `localizer`. Thread-safe. The session under test is given this and does not know."""

    def __init__(self, localizer: Localizer) -> None:
        self._localizer = localizer
        self._lock = threading.Lock()
        self._image: list[int] = []  # when each began, ns
        self._audio: list[tuple[int, int]] = []  # (begin, end), ns

    def __getattr__(self, name: str) -> Any:
        return getattr(self._localizer, name)

    def embed_prepared(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """As `Localizer.embed_prepared`, counted."""
        with self._lock:
            self._image.append(time.monotonic_ns())
        return self._localizer.embed_prepared(picture)

    def embed_audio(self, waveform_16k: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """As `Localizer.embed_audio`, timed."""
        begin_ns = time.monotonic_ns()
        embedding = self._localizer.embed_audio(waveform_16k)
        end_ns = time.monotonic_ns()
        with self._lock:
            self._audio.append((begin_ns, end_ns))
        return embedding

    def image_calls(self, since_ns: int = 0) -> int:
        """How many pictures were encoded from `since_ns` on."""
        with self._lock:
            return sum(begin >= since_ns for begin in self._image)

    def audio_ms(self, since_ns: int = 0) -> npt.NDArray[np.float64]:
        """What each audio inference that began at `since_ns` or later took, ms."""
        with self._lock:
            return np.array([(end - begin) / 1e6 for begin, end in self._audio if begin >= since_ns])
