"""Input and output of a session bound to memory of the device: nothing is allocated for each inference.

numpy (host) ──update_inplace──► bound input ──graph──► bound output ──► numpy (host)
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from ..manifest import TensorSpec

MAX_LENGTHS = 4  # bound inputs kept of a graph of variable length: live use has one length


class BoundGraph:
    """One session with bound input; one inference at a time, callers from several threads wait for each other."""

    def __init__(self, ort: Any, session: Any, spec: TensorSpec, device: str) -> None:
        """`device`: ONNX Runtime's word for where the memory lies, "cuda" or "cpu"; its first device is meant."""
        self._ort = ort
        self._session = session
        self._name = spec.name
        self._output = session.get_outputs()[0].name
        self._device = device
        self._lock = threading.Lock()
        self._bindings: dict[tuple[int, ...], tuple[Any, Any]] = {}  # shape -> binding, bound input

    def run(self, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference of an input of the graph's type and shape; the result is the caller's own copy."""
        with self._lock:
            binding, bound = self._bindings.get(array.shape) or self._bind(array)
            bound.update_inplace(np.ascontiguousarray(array))
            self._session.run_with_iobinding(binding)
            output: npt.NDArray[np.float32] = np.array(binding.copy_outputs_to_cpu()[0])  # else the binding's own
        return output

    def _bind(self, array: npt.NDArray[Any]) -> tuple[Any, Any]:
        if len(self._bindings) >= MAX_LENGTHS:
            del self._bindings[next(iter(self._bindings))]
        binding = self._session.io_binding()
        own = np.array(array, order="C")  # memory of the CPU is shared, not copied: never the caller's
        bound = self._ort.OrtValue.ortvalue_from_numpy(own, self._device, 0)
        binding.bind_ortvalue_input(self._name, bound)
        binding.bind_output(self._output, self._device, 0)
        self._bindings[array.shape] = (binding, bound)
        return binding, bound
