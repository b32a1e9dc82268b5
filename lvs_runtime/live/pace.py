"""Playing media at 1x: when each item is due. Pure: the time is an argument."""

from __future__ import annotations

_MOST_LATE_NS = 100_000_000  # a decoder's lateness up to here stays in the age


class Pacer:
    """Maps media time (from 0) to stamps, and stamps to the moment an item is due.

    Stamps are `anchor + media time` always, so that a file gives sound and picture the same stamps whatever the
    machine does. Ages count from the moment an item is due: at 1x its stamp, later by what inference held the reader
    up and by whole delays of a decoder that cannot keep up (`slipped_s`: a file is then played slower than 1x);
    unpaced, the moment it was read.
    """

    def __init__(self, paced: bool) -> None:
        self.paced = paced
        self._anchor_ns: int | None = None
        self._slip_ns = 0
        self._held_ns = 0

    def stamp_ns(self, media_ns: int, now_ns: int) -> int:
        """The stamp of media time `media_ns`; the first call sets the anchor so that it is now."""
        if self._anchor_ns is None:
            self._anchor_ns = now_ns - media_ns
        return self._anchor_ns + media_ns

    def due_ns(self, stamp_ns: int, now_ns: int) -> int:
        """When the item with this stamp goes out; never before `now_ns` when unpaced."""
        if not self.paced:
            return now_ns
        late_ns = now_ns - stamp_ns - self._slip_ns
        slip_ns = max(0, min(late_ns, self._held_ns))
        if late_ns - slip_ns > _MOST_LATE_NS:
            slip_ns = late_ns
        self._slip_ns += slip_ns
        self._held_ns = 0
        return stamp_ns + self._slip_ns

    @property
    def slipped_s(self) -> float:
        """Seconds by which playing took longer than 1x."""
        return self._slip_ns / 1e9

    def hold(self, held_ns: int) -> None:
        """The reader could not go on for `held_ns` because inference was busy."""
        self._held_ns += held_ns
