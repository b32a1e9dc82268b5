"""What a back end is, and what all of them do alike: check the input, count threads, know when they are closed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..bundle import Bundle
from ..errors import ConfigError, DeviceError
from ..manifest import Part

MAX_DEFAULT_THREADS = 4  # beyond it a 224-pixel ResNet18 gains little and starves capture and drawing


@runtime_checkable
class Backend(Protocol):
    """Runs the graphs of one bundle. `run` may be called from several threads at once."""

    @property
    def provider(self) -> str:
        """What really runs, by the runtime's own word, e.g. "CPUExecutionProvider"."""

    @property
    def precision(self) -> str:
        """Effective: "fp32", "fp16", "int8", or "fp16 as fp32" where half weights are widened for the arithmetic.

        Joined by "+" (image first) when the parts differ.
        """

    @property
    def nodes(self) -> dict[str, int] | None:
        """Graph nodes of all parts by what runs them, e.g. {"CPUExecutionProvider": 98}; None: it cannot be known.

        ONNX Runtime counts what it assigned to each provider, the engines their nodes or layers after fusion.
        """

    def run(self, part_name: str, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference of a part: its inputs (the fused one's: picture, sound) to its output, as the manifest says."""

    def describe(self) -> dict[str, Any]:
        """Plain JSON values: runtime, version, provider, precision, threads, device, why this device."""

    def close(self) -> None:
        """Let the sessions go; `run` raises `DeviceError` from here on. Twice is once."""


class GraphBackend(ABC):
    """The common part of every back end: one runnable graph for each live part of a bundle.

    Live parts are image and audio, or fused alone in a bundle that holds nothing else.
    """

    runtime = ""  # distribution that runs the graphs

    def __init__(self, bundle: Bundle, device: str, threads: int, why: str) -> None:
        """`device`: as the user asked; `why`: in words, for `describe`."""
        self._where = f"bundle {bundle.path}"
        self._parts: dict[str, Part] = {name: bundle.part(name) for name in bundle.live_parts}
        self._device = device
        self._threads = threads
        self.why = why
        self.probe: dict[str, Any] | None = None  # what "auto" measured, where it chose
        self._closed = False

    @property
    @abstractmethod
    def provider(self) -> str:
        """What really runs, by the runtime's own word."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Of the runtime."""

    @property
    def precision(self) -> str:
        """Effective precision of the parts, image first, joined by "+" where they differ."""
        return "+".join(dict.fromkeys(self._effective(name) for name in self._parts))

    @property
    def nodes(self) -> dict[str, int] | None:
        """Sum over the parts; see `Backend`."""
        total: Counter[str] = Counter()
        for counts in self._nodes_of_parts().values():
            if counts is None:
                return None
            total.update(counts)
        return dict(total)

    def run(self, part_name: str, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference. Thread-safe. `ConfigError` when an array does not fit, `DeviceError` when it fails."""
        if part_name not in self._parts:
            raise ConfigError(f"{self._where} has no part {part_name!r} to run, only {', '.join(self._parts)}")
        specs = self._parts[part_name].all_inputs
        if len(arrays) != len(specs):
            raise ConfigError(f"part {part_name}: got {len(arrays)} arrays, want {', '.join(s.name for s in specs)}")
        for spec, array in zip(specs, arrays, strict=True):
            if array.dtype != spec.dtype or not fits(spec.shape, array.shape):
                raise ConfigError(
                    f"part {part_name}: got {array.dtype} {list(array.shape)}, want {spec.dtype} {list(spec.shape)}"
                )
        if self._closed:
            raise DeviceError(f"part {part_name}: this back end ({self.provider}) was closed; open the bundle again")
        return self._infer(part_name, *arrays)

    def describe(self) -> dict[str, Any]:
        """Plain JSON values for stats, the doctor and benchmarks."""
        return {
            "runtime": self.runtime,
            "version": self.version,
            "provider": self.provider,
            "precision": self.precision,
            "threads": self._threads,
            "device": self._device,
            "why": self.why,
            "nodes": self._nodes_of_parts(),
            **({} if self.probe is None else {"probe": self.probe}),
        }

    def close(self) -> None:
        """Let the sessions go. An inference under way in another thread ends first where the runtime sees to it."""
        if not self._closed:
            self._closed = True
            self._release()

    @abstractmethod
    def _infer(self, part_name: str, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Run checked inputs."""

    @abstractmethod
    def _nodes_of_parts(self) -> dict[str, dict[str, int] | None]:
        """Nodes of each part by what runs them; None where this version of the runtime cannot tell."""

    def _effective(self, part_name: str) -> str:
        """What a part's arithmetic really is; the graph's own precision unless a back end knows better."""
        return self._parts[part_name].precision

    @abstractmethod
    def _release(self) -> None:
        """Drop what holds memory of the runtime."""


def fits(shape: tuple[int | str, ...], given: tuple[int, ...]) -> bool:
    """Whether an array of shape `given` fits `shape`, in which strings stand for any length."""
    return len(shape) == len(given) and all(isinstance(w, str) or w == g for w, g in zip(shape, given, strict=True))


def first_line(error: BaseException) -> str:
    """What an engine says of itself, in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def physical_cores() -> int:
    """Physical cores this process may use; two hardware threads of one core count once."""
    try:
        cpus = os.sched_getaffinity(0)
    except AttributeError:  # macOS, Windows
        return max(1, (os.cpu_count() or 2) // 2)
    siblings = set()
    for cpu in cpus:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings.add(path.read_text().strip() if path.is_file() else str(cpu))
    return max(1, len(siblings))


def default_threads() -> int:
    """Threads of one inference unless the user says otherwise."""
    return min(physical_cores(), MAX_DEFAULT_THREADS)
