"""Local processes, by the standard library's pool; added is that it survives a worker and says whose fault it was."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from .engine import RETRIES, WorkerDied, leave_with_parent

T = TypeVar("T")
R = TypeVar("R")
_DIED = "every worker that tried it died: killed, out of memory, hung, or the file crashes the decoder"


def map_local(
    function: Callable[[T], R], next_item: Callable[[], T | None], workers: int
) -> Iterator[tuple[T, R | WorkerDied]]:
    """As `map_items`. When a worker dies, the pool is lost with all that was under way: those items are tried again.

    Who killed it cannot be told from outside; so each suspect then runs alone, in a pool of one.
    """
    suspects: list[T] = []
    while True:
        pool = _pool(workers)
        pending: dict[Future[R], T] = {}
        try:
            yield from _run(pool, function, next_item, pending, workers)
            return
        except BrokenProcessPool:
            suspects = list(pending.values())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        yield from _alone(function, suspects)


def _run(
    pool: ProcessPoolExecutor,
    function: Callable[[T], R],
    next_item: Callable[[], T | None],
    pending: dict[Future[R], T],
    workers: int,
) -> Iterator[tuple[T, R | WorkerDied]]:
    """Keeps each worker busy and one item ready for it; `pending` is exact also when the pool breaks."""
    while True:
        while len(pending) < 2 * workers and (item := next_item()) is not None:
            pending[_submit(pool, function, item, pending)] = item
        if not pending:
            return
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in [f for f in done if f.exception() is None]:  # answers before the news of a death
            yield pending.pop(future), future.result()
        for future in [f for f in done if f in pending]:
            future.result()  # raises: the function's own error, or that the pool is broken


def _submit(pool: ProcessPoolExecutor, function: Callable[[T], R], item: T, pending: dict[Future[R], T]) -> Future[R]:
    try:
        return pool.submit(function, item)
    except BrokenProcessPool:
        pending[Future()] = item  # taken, not begun
        raise


def _alone(function: Callable[[T], R], suspects: list[T]) -> Iterator[tuple[T, R | WorkerDied]]:
    """One after the other in a pool of one, which is made anew after each death."""
    pool = _pool(1)
    try:
        for item in suspects:
            answer: R | WorkerDied = WorkerDied(_DIED)
            for _ in range(RETRIES):
                try:
                    answer = pool.submit(function, item).result()
                    break
                except BrokenProcessPool:
                    pool.shutdown(wait=False)
                    pool = _pool(1)
            yield item, answer
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    # spawn: a fork of a process with threads (decoders, engines) may hang
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=leave_with_parent)
