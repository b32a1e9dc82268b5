"""Ray: tasks on a cluster. Placement, retries after a death and transfer are Ray's; here is only how much it is given.

A task's process stays for the next task, with the model that it has loaded (`work.open_localizer`): one model for
each CPU (or share of a GPU), on nodes that join later too. The function travels by name: every node has lvs installed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .. import __version__
from ..errors import ConfigError, DeviceError
from .engine import RETRIES, Engine, WorkerDied

T = TypeVar("T")
R = TypeVar("R")


def import_ray() -> Any:
    """Ray, its usage reports off, or a `ConfigError` that says how to get it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # hide no GPU by surprise; silences a warning
    try:
        import ray
    except ImportError as error:
        raise ConfigError("--engine ray: Ray is not installed here: pip install 'lvs[cluster]'") from error
    return ray


def map_ray(
    function: Callable[[T], R], next_item: Callable[[], T | None], engine: Engine
) -> Iterator[tuple[T, R | WorkerDied]]:
    """As `map_items`. At most two tasks for each place where one can run are handed out: the back-pressure."""
    ray = import_ray()
    begun = _connect(ray, engine)
    try:
        task = ray.remote(
            num_cpus=engine.cpus, num_gpus=engine.gpus or None, max_retries=RETRIES, max_calls=0, retry_exceptions=False
        )(_call)
        shared = ray.put(function)
        pending: dict[Any, T] = {}
        while True:
            room = 2 * _places(ray, engine) - len(pending)
            while room > 0 and (item := next_item()) is not None:
                pending[task.remote(shared, item)] = item
                room -= 1
            if not pending:
                return
            ready, _ = ray.wait(list(pending), num_returns=1)
            for reference in ready:
                yield pending.pop(reference), _answer(ray, reference)
    finally:
        if begun:
            ray.shutdown()


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)


def _version() -> str:
    return __version__


def _answer(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from error  # the function's own
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return WorkerDied(f"every worker that tried it died ({type(error).__name__}: {first})")


def _places(ray: Any, engine: Engine) -> int:
    """How many tasks can run at once now; nodes come and go."""
    if engine.workers:
        return engine.workers
    have = ray.cluster_resources()
    places = have.get("CPU", 0) / engine.cpus
    if engine.gpus:
        places = min(places, have.get("GPU", 0) / engine.gpus)
    return max(1, int(places))


def _connect(ray: Any, engine: Engine) -> bool:
    """Join the cluster and see that its nodes have this lvs; True when it was done here."""
    begun = not ray.is_initialized()
    if begun:
        _init(ray, engine)
    try:
        if engine.gpus and not ray.cluster_resources().get("GPU"):
            raise DeviceError("--device cuda: the Ray cluster has no GPU; start nodes with one, or use --device cpu")
        found = ray.get(ray.remote(num_cpus=0)(_version).remote(), timeout=120)
        if found != __version__:
            raise ConfigError(f"the cluster has lvs {found}, here is {__version__}: install the same on every node")
    except ray.exceptions.GetTimeoutError as error:
        raise ConfigError("the Ray cluster took no task for 120 s: `ray status` says what it lacks") from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ModuleNotFoundError) or "ModuleNotFoundError" in str(error):
            raise ConfigError(f"the cluster's nodes lack lvs: pip install 'lvs[cpu,cluster]=={__version__}'") from error
        raise
    return begun


def _init(ray: Any, engine: Engine) -> None:
    options = {"logging_level": "ERROR", "log_to_driver": False}
    asked = engine.address or os.environ.get("RAY_ADDRESS") or "ray"
    _reachable(asked)
    try:
        try:
            ray.init(engine.address or "auto", **options)
        except ConnectionError:
            if engine.address is not None or os.environ.get("RAY_ADDRESS"):
                raise
            ray.init(include_dashboard=False, **options)  # none runs on this machine: one for this job
    except Exception as error:
        text = str(error).strip().splitlines()
        if any("ersion mismatch" in line or "ersions do not match" in line for line in text):
            raise ConfigError(
                f"--engine {asked}: the cluster runs another Ray or Python than this machine: {' '.join(text)}. "
                f"Install the same Ray and Python on both"
            ) from error
        if isinstance(error, ImportError) or any("ray[client]" in line or "grpc" in line for line in text):
            raise ConfigError(f"--engine {asked}: Ray Client is not installed: pip install 'ray[client]'") from error
        raise ConfigError(
            f"--engine {asked}: no Ray cluster answers there ({text[0] if text else type(error).__name__}). "
            f"Start one with `ray start --head`, or use --engine local"
        ) from error


def _reachable(asked: str) -> None:
    """Ray itself waits minutes for a cluster that is not there."""
    host, colon, port = asked.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ConfigError(
            f"--engine ray: nothing answers at {asked} ({error.strerror or error}). Start a cluster with "
            f"`ray start --head`, mend RAY_ADDRESS or the address, or use --engine local"
        ) from error
