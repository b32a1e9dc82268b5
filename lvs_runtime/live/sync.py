"""How long a frame waits for its sound. Pure arithmetic on stamps.

stamps    ----- window -----|<- slack ->|frame           sound comes in blocks, some late and bunched:
          newest sound here: go         |                within the slack nobody waits for it
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What waiting for newer sound may cost; the sound's lag behind the frame is what it buys."""

    slack_ns: int  # sound that ends this much before the frame is good enough
    most_ns: int = 15_000_000  # a block and the resampler: worth waiting for, not longer
    hopeless_ns: int  # sound this far behind does not come while we wait: it would only age every frame


LIVE = Patience(slack_ns=15_000_000, hopeless_ns=60_000_000)
EXACT = Patience(slack_ns=0, hopeless_ns=500_000_000)


def remaining_wait_ns(frame_ns: int, newest_ns: int | None, waited_ns: int, patience: Patience) -> int:
    """How much longer waiting for sound can pay, 0 when it is there or will not come in time."""
    if newest_ns is not None:
        behind_ns = frame_ns - newest_ns
        if behind_ns <= patience.slack_ns or behind_ns > patience.hopeless_ns:
            return 0
    return max(0, patience.most_ns - waited_ns)
