"""Picture of one media source with the sound of another, as if they were one file."""

from __future__ import annotations

from dataclasses import replace

from .base import Dropped, EndOfSource, Item, Source, SourceInfo
from .time_order import TimeOrder


class MergedSource:
    """Both start at 0; it ends when the picture ends."""

    is_live = False
    has_picture = True
    has_sound = True

    def __init__(self, picture: Source, sound: Source) -> None:
        self._picture, self._sound = picture, sound
        self._order = TimeOrder(True, True)
        self._picture_ended = False
        self.info = SourceInfo()

    def open(self) -> None:
        """Open both."""
        self._picture.open()
        try:
            self._sound.open()
        except BaseException:
            self._picture.close()
            raise
        mine, other = self._picture.info, self._sound.info
        details = {**mine.details, "sound from": other.name}
        self.info = replace(mine, sample_rate=other.sample_rate, channels=other.channels, details=details)
        self._order, self._picture_ended = TimeOrder(True, True), False

    def read(self, timeout_s: float) -> Item | None:
        """The next item of either in time order."""
        while (item := self._order.pop()) is None:
            if self._picture_ended:
                raise EndOfSource
            pulled = self._pull(timeout_s)
            if pulled is None or isinstance(pulled, Dropped):
                return pulled
            self._order.add(pulled)
        return item

    def close(self) -> bool:
        """Close both."""
        picture, sound = self._picture.close(), self._sound.close()
        return picture and sound

    def _pull(self, timeout_s: float) -> Item | None:
        if self._order.wants_sound:
            try:
                return self._sound.read(timeout_s)
            except EndOfSource:
                self._order.end(picture=False)
                return None
        try:
            return self._picture.read(timeout_s)
        except EndOfSource:
            # Sound that was pulled for frames to come is not needed any more.
            self._order.end()
            self._picture_ended = True
            return None
