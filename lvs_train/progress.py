"""Progress of a stage: one live line on a terminal, one line every 30 s elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from .config import Stage

LINE_EVERY_S = 30.0


def say(text: str) -> None:
    """One line for people, beside the progress."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Loss, pairs/s, share of time spent waiting for data, ETA."""

    def __init__(self, stage: Stage, first: int, quiet: bool = False) -> None:
        self.stage, self.first, self.quiet = stage, first, quiet
        self.tty = sys.stderr.isatty()
        self.start = self.printed = time.monotonic()
        self.pairs, self.figures = 0, dict[str, float]()

    def __enter__(self) -> Progress:
        return self

    def update(self, step: int, pairs: int, figures: dict[str, float], wait_s: float) -> None:
        """After each step; figures are smoothed over about 30 steps."""
        self.pairs += pairs
        for key, value in figures.items():
            self.figures[key] = value if key not in self.figures else 0.97 * self.figures[key] + 0.03 * value
        if self.quiet:
            return
        now, last = time.monotonic(), step + 1 == self.stage.steps
        if now - self.printed < (0.2 if self.tty else LINE_EVERY_S) and not last:
            return
        self.printed, seconds = now, now - self.start
        left = (self.stage.steps - step - 1) * seconds / (step + 1 - self.first)
        shown = "  ".join(f"{k} {v:.3f}" for k, v in self.figures.items() if k != "lr")
        line = (
            f"{self.stage.name} {step + 1}/{self.stage.steps}  {shown}  {self.pairs / seconds:.1f} pairs/s  "
            f"data wait {100 * wait_s / seconds:.0f} %  ETA {left // 60:.0f}:{left % 60:02.0f}"
        )
        print(f"\r{line}\x1b[K" if self.tty else line, end="" if self.tty else "\n", file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.tty and not self.quiet:
            print(file=sys.stderr)
