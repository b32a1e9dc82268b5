"""Brings frames and sound of media into one order: sound first, then the frame that it reaches.

    sound   |--a--|--b--|--c--|--d--|
    frames       1         2       3          out: a 1 b c 2 d 3

So whoever holds a frame already holds its sound, whatever the file's own interleaving. Pure: no clock, no thread.
"""

from __future__ import annotations

from collections import deque

from ..results import VideoFrame
from .base import SoundBlock

_MOST_HELD_NS = 10_000_000_000  # one side may run ahead of the other this far before it is let go alone


class TimeOrder:
    """Takes items as they are decoded, gives them back ordered. Stamps of each side must not fall."""

    def __init__(self, has_picture: bool, has_sound: bool) -> None:
        self._frames: deque[VideoFrame] = deque()
        self._blocks: deque[SoundBlock] = deque()
        self._more_frames = has_picture
        self._more_sound = has_sound
        self._sound_end_ns: int | None = None  # of what was given back

    def add(self, item: VideoFrame | SoundBlock) -> None:
        """One decoded item; sound must carry `start_ns`."""
        if isinstance(item, SoundBlock):
            self._blocks.append(item)
        else:
            self._frames.append(item)

    def end(self, picture: bool = True, sound: bool = True) -> None:
        """No more of these will come."""
        self._more_frames = self._more_frames and not picture
        self._more_sound = self._more_sound and not sound

    @property
    def wants_sound(self) -> bool:
        """A frame waits for sound."""
        return bool(self._frames) and self._more_sound and not self._blocks

    def pop(self) -> VideoFrame | SoundBlock | None:
        """The next item in order, None when more must be added first or everything was given back."""
        if self._blocks and (not self._frames or self._starts_before_frame()):
            return self._pop_sound() if self._frames or not self._more_frames or self._held_sound() else None
        if self._frames and (self._blocks or self._frame_is_covered()):
            return self._frames.popleft()
        return None

    def _starts_before_frame(self) -> bool:
        return (self._blocks[0].start_ns or 0) < self._frames[0].capture_ns

    def _frame_is_covered(self) -> bool:
        frame_ns = self._frames[0].capture_ns
        covered = self._sound_end_ns is not None and self._sound_end_ns >= frame_ns
        return covered or not self._more_sound or self._frames[-1].capture_ns - frame_ns > _MOST_HELD_NS

    def _held_sound(self) -> bool:
        return (self._blocks[-1].start_ns or 0) - (self._blocks[0].start_ns or 0) > _MOST_HELD_NS

    def _pop_sound(self) -> SoundBlock:
        block = self._blocks.popleft()
        self._sound_end_ns = (block.start_ns or 0) + block.duration_ns
        return block
