"""Input and output of a session bound to memory of the device: nothing is allocated for each inference.

numpy (host) ──update_inplace──► bound input ──graph──► bound output ──► numpy (host)
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..manifest import TensorSpec

MAX_LENGTHS = 4  # bound inputs kept of a graph of variable length: live use has one length


class BoundGraph:
    """One session with bound input; one inference at a time, callers from several threads wait for each other."""

    def __init__(self, ort: Any, session: Any, specs: Sequence[TensorSpec], device: str) -> None:
        """`device`: ONNX Runtime's word for where the memory lies, "cuda" or "cpu"; its first device is meant."""
        self._ort = ort
        self._session = session
        self._names = [spec.name for spec in specs]
        self._output = session.get_outputs()[0].name
        self._device = device
        self._lock = threading.Lock()
        self._bindings: dict[tuple[tuple[int, ...], ...], tuple[Any, list[Any]]] = {}  # shapes -> binding, inputs

    def run(self, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference of inputs of the graph's types and shapes; the result is the caller's own copy."""
        with self._lock:
            shapes = tuple(array.shape for array in arrays)
            binding, inputs = self._bindings.get(shapes) or self._bind(shapes, arrays)
            for bound, array in zip(inputs, arrays, strict=True):
                bound.update_inplace(np.ascontiguousarray(array))
            self._session.run_with_iobinding(binding)
            output: npt.NDArray[np.float32] = np.array(binding.copy_outputs_to_cpu()[0])  # else the binding's own
        return output

    def _bind(self, shapes: tuple[tuple[int, ...], ...], arrays: Sequence[npt.NDArray[Any]]) -> tuple[Any, list[Any]]:
        if len(self._bindings) >= MAX_LENGTHS:
            del self._bindings[next(iter(self._bindings))]
        binding = self._session.io_binding()
        inputs = []
        for name, array in zip(self._names, arrays, strict=True):
            own = np.array(array, order="C")  # memory of the CPU is shared, not copied: never the caller's
            inputs.append(self._ort.OrtValue.ortvalue_from_numpy(own, self._device, 0))
            binding.bind_ortvalue_input(name, inputs[-1])
        binding.bind_output(self._output, self._device, 0)
        self._bindings[shapes] = (binding, inputs)
        return binding, inputs
