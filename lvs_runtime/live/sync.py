"""Which sound belongs to which frame. Pure arithmetic on stamps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

WAIT_NS = 15_000_000  # newest sound lags newest frame by a block and the resampler: worth waiting for, not longer


class Spanned(Protocol):
    """Anything made from sound that ends at a stamp."""

    @property
    def end_ns(self) -> int:
        """End of the sound."""


S = TypeVar("S", bound=Spanned)


def sound_reaches(frame_ns: int, newest_ns: int | None) -> bool:
    """The sound already covers the frame's stamp: the window can end exactly there."""
    return newest_ns is not None and newest_ns >= frame_ns


def remaining_wait_ns(frame_ns: int, newest_ns: int | None, waited_ns: int) -> int:
    """How much longer waiting for sound can pay, 0 when it is there or will not come in time."""
    if sound_reaches(frame_ns, newest_ns):
        return 0
    if newest_ns is not None and frame_ns - newest_ns > 500_000_000:
        return 0  # the microphone stands still: waiting on every frame would only age them
    return max(0, WAIT_NS - waited_ns)


def choose(frame_ns: int, candidates: Sequence[S], tolerance_ns: int) -> S | None:
    """The candidate whose sound ends nearest to the frame's stamp, None when none lies within the tolerance."""
    best = min(candidates, key=lambda c: abs(c.end_ns - frame_ns), default=None)
    if best is None or abs(best.end_ns - frame_ns) > tolerance_ns:
        return None
    return best
