"""Virtual time for the benchmark tool's own tests: nothing here sleeps, so nothing here depends on the machine."""

from __future__ import annotations

MS = 1_000_000


class VirtualClock:
    """Counts; a sleep moves it, exactly or late by what `overshoot_ns` says."""

    def __init__(self, overshoot_ns: int = 0) -> None:
        self.ns = 1_000_000_000_000
        self.overshoot_ns = overshoot_ns

    def now_ns(self) -> int:
        return self.ns

    def sleep_until_ns(self, moment_ns: int) -> None:
        self.ns = max(self.ns, moment_ns + self.overshoot_ns)

    def spend_ms(self, ms: float) -> None:
        self.ns += round(ms * MS)
