"""Where work runs: in this process, in local processes, or on a Ray cluster. `map_items` is all that others see.

Each item's answer comes as soon as it is there, in no order. An item whose worker dies (killed, out of memory, a file
that crashes the decoder) is tried again; when that dies too, the answer is a `WorkerDied`, and the others go on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ..errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")
RETRIES = 2  # after the first try


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """No answer: every worker that tried this item died."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`kind` "local" or "ray"; `address` of a Ray cluster; what one item needs."""

    kind: str = "local"
    address: str | None = None
    workers: int | None = None  # local: processes (0: this one); None: one for each core. Ray: items at once
    cpus: float = 1.0
    gpus: float = 0.0


def parse_engine(text: str, workers: int | None = None, gpus: float = 0.0) -> Engine:
    """ "local", "ray" (the cluster of this machine, else one started for the job) or "ray://HOST:PORT"."""
    if workers is not None and not 0 <= workers <= 4096:
        raise ConfigError(f"--workers {workers}: want 0 (this process) to 4096")
    if text == "local":
        return Engine(workers=workers)
    if text == "ray":
        return Engine(kind="ray", workers=workers, gpus=gpus)
    host, colon, port = text.removeprefix("ray://").rpartition(":")
    if text.startswith("ray://") and host and colon and port.isdecimal():
        return Engine(kind="ray", address=text, workers=workers, gpus=gpus)
    raise ConfigError(f"--engine {text}: unknown; possible: local, ray, ray://HOST:PORT (Ray Client's port, 10001)")


def map_items(
    function: Callable[[T], R], next_item: Callable[[], T | None], engine: Engine
) -> Iterator[tuple[T, R | WorkerDied]]:
    """(item, function(item)) for all items, as they finish.

    `next_item` gives the next item or None when there is none now; it is asked again after every answer, so that an
    answer may bring further items. It ends when nothing is under way and there is no item. `function` and items must
    pickle; an exception of `function` comes out here.
    """
    if engine.kind == "ray":
        from .ray_engine import map_ray

        return map_ray(function, next_item, engine)
    workers = cores() if engine.workers is None else engine.workers
    if workers == 0:
        return _map_here(function, next_item)
    from .local_engine import map_local

    return map_local(function, next_item, workers)


def cores() -> int:
    """CPUs this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _map_here(function: Callable[[T], R], next_item: Callable[[], T | None]) -> Iterator[tuple[T, R | WorkerDied]]:
    while (item := next_item()) is not None:
        yield item, function(item)


def leave_with_parent() -> None:
    """In a worker: end when the driver is gone, even by kill -9 (its pipes are held open by the other workers)."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(76)

    threading.Thread(target=watch, name="lvs-parent", daemon=True).start()
