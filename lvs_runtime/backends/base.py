"""What a back end is, and how many CPU threads it gets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

DEVICES = ("auto", "cpu", "cuda")
MAX_DEFAULT_THREADS = 4  # beyond it a 224-pixel ResNet18 gains little and starves capture and drawing


@runtime_checkable
class Backend(Protocol):
    """Runs the graphs of one bundle. `run` may be called from several threads at once."""

    @property
    def provider(self) -> str:
        """What really runs, by the runtime's own word, e.g. "CPUExecutionProvider"."""

    @property
    def precision(self) -> str:
        """ "fp32", "fp16" or "int8"; joined by "+" (image first) when the parts differ."""

    def run(self, part_name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference of a part: its input array to its output array, shapes as the manifest states."""

    def describe(self) -> dict[str, Any]:
        """Plain JSON values: runtime, version, provider, threads, why this device."""


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
