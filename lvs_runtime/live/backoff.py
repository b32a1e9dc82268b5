"""How long to wait before a lost source is tried again. Pure."""

from __future__ import annotations


class Backoff:
    """0.25, 0.5, 1, 2, 2 ... seconds; starts over after success."""

    def __init__(self, first_s: float = 0.25, most_s: float = 2.0) -> None:
        self._first_s, self._most_s = first_s, most_s
        self.tries = 0

    def next_s(self) -> float:
        """The wait before the next try."""
        wait_s = min(self._first_s * 2.0**self.tries, self._most_s)
        self.tries += 1
        return wait_s

    def reset(self) -> None:
        """The source delivers again."""
        self.tries = 0
