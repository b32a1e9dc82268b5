"""What the tests of buses share: helpers, and threads that must be gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def bus() -> ModuleType:
    """Results, brokers, listeners."""
    import bus_helpers

    return bus_helpers


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    """Python threads that were not there before must have ended."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread
