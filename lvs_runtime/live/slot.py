"""Between the capture thread and inference: the newest frame only, or every frame with back-pressure."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FrameSlot(Generic[T]):
    """Hands items from one thread to another.

    `lossless=False` (policy `latest`): `put` never waits and drops the oldest item when full. `lossless=True` (policy
    `all`): `put` waits for room. After `finish()` what is inside can still be taken; after `close()` nothing can.
    """

    def __init__(self, capacity: int = 1, lossless: bool = False) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._lossless = lossless
        self._finished = False
        self._changed = threading.Condition()

    def put(self, item: T) -> int:
        """Offer an item; returns how many items were lost by it (an older one, or this one after `finish`)."""
        with self._changed:
            if self._lossless:
                self._changed.wait_for(lambda: len(self._items) < self._capacity or self._finished)
            if self._finished:
                return 1
            lost = 0
            if len(self._items) >= self._capacity:
                self._items.popleft()
                lost = 1
            self._items.append(item)
            self._changed.notify_all()
            return lost

    def take(self, timeout_s: float) -> T | None:
        """The next item, or None when none came in `timeout_s` or the slot is finished and empty."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items) or self._finished, timeout_s)
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def configure(self, capacity: int, lossless: bool) -> None:
        """Change how many items fit, and whether `put` waits for room."""
        with self._changed:
            self._capacity, self._lossless = capacity, lossless
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Nothing more is accepted."""
        with self._changed:
            return self._finished

    @property
    def drained(self) -> bool:
        """Finished and empty: nothing will ever come."""
        with self._changed:
            return self._finished and not self._items

    def finish(self) -> None:
        """No more items will be put; a waiting `put` gives up."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> int:
        """Finish and throw away what is inside; returns how many items that were."""
        with self._changed:
            self._finished = True
            lost = len(self._items)
            self._items.clear()
            self._changed.notify_all()
            return lost
