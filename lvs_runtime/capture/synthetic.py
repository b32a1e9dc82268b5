"""The drawn world as a source: a moving scene with its sound, from a seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..results import VideoFrame
from .base import EndOfSource, Item, SoundBlock, SourceInfo

_RATE = 16_000
_BLOCK = 320


class SyntheticSource:
    """`synthetic:SEED`: the same seed gives the same frames and the same sound."""

    is_live = False
    has_picture = True

    def __init__(
        self, seed: int, size_px: tuple[int, int] | None = None, fps: float | None = None, sound: bool = True
    ) -> None:
        self._seed, self._size_px, self._fps = seed, size_px or (640, 360), fps or 30.0
        self.has_sound = sound
        self.info = SourceInfo(
            name=f"synthetic:{seed}",
            kind="synthetic",
            size_px=self._size_px,
            fps=self._fps,
            sample_rate=_RATE if sound else None,
            channels=1 if sound else None,
            stamp_source="file",
        )
        self._items: Iterator[Item] = iter(())

    def open(self) -> None:
        """Make the scene."""
        from ..drawn.scene import scene

        made = scene(self._seed)
        self.info.duration_s = made.seconds
        waveform = made.sound(_RATE).astype(np.float32, copy=False) if self.has_sound else None

        def items() -> Iterator[Item]:
            sounded = 0
            for index in range(int(made.seconds * self._fps)):
                stamp_ns = round(index * 1e9 / self._fps)
                while waveform is not None and sounded < len(waveform) and sounded * 10**9 < stamp_ns * _RATE:
                    block = waveform[sounded : sounded + _BLOCK]
                    yield SoundBlock(samples=block, sample_rate=_RATE, start_ns=sounded * 10**9 // _RATE)
                    sounded += len(block)
                image = made.frame(stamp_ns / 1e9, self._size_px)
                yield VideoFrame(image_bgr=image, capture_ns=stamp_ns, arrival_ns=stamp_ns, stamp_source="file")

        self._items = items()

    def read(self, timeout_s: float) -> Item:
        """The next item in time order."""
        for item in self._items:
            return item
        raise EndOfSource

    def close(self) -> bool:
        """Nothing is held."""
        return True
