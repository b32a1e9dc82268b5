"""The little of CUDA that an engine needs, through NVIDIA's own bindings: which GPU, its memory, a stream, a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DeviceError


@dataclass(frozen=True)
class Gpu:
    """The first GPU, which engines are built for and run on."""

    name: str
    compute_capability: str  # "8.9"
    driver: str  # newest CUDA version that the driver knows, "13.0"


class Cuda:
    """CUDA's runtime with errors as `DeviceError`. Addresses and handles are plain integers or the bindings' own."""

    def __init__(self, device: str) -> None:
        """`device`: as the user asked, for messages. Raises `DeviceError` without bindings, driver or GPU."""
        self._asked = f"--device {device}"
        try:
            from cuda.bindings import runtime  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError as error:
            raise DeviceError(
                f"{self._asked}: cuda-bindings is not installed: pip install 'lvs[{device}]' (or 'cuda-bindings')"
            ) from error
        self._rt: Any = runtime
        self.gpu = self._find_gpu()

    def _find_gpu(self) -> Gpu:
        error, count = self._rt.cudaGetDeviceCount()
        if error != self._rt.cudaError_t.cudaSuccess or count < 1:
            reason = "" if error == self._rt.cudaError_t.cudaSuccess else f" ({self._name(error)})"
            raise DeviceError(
                f"{self._asked}: no NVIDIA GPU with a driver is usable here{reason}; see nvidia-smi, or use "
                "--device cpu"
            )
        facts = self.call("cudaGetDeviceProperties", 0)
        version = int(self.call("cudaDriverGetVersion"))
        name = facts.name.decode() if isinstance(facts.name, bytes) else str(facts.name)
        return Gpu(name.rstrip("\0"), f"{facts.major}.{facts.minor}", f"{version // 1000}.{version % 1000 // 10}")

    def call(self, function: str, *arguments: Any) -> Any:
        """A function of the CUDA runtime by name: its one value or None; `DeviceError` when it fails."""
        error, *values = getattr(self._rt, function)(*arguments)
        if error != self._rt.cudaError_t.cudaSuccess:
            raise DeviceError(f"{self._asked}: {function}: {self._name(error)}; see nvidia-smi, or use --device cpu")
        return values[0] if values else None

    def _name(self, error: Any) -> str:
        _, text = self._rt.cudaGetErrorString(error)
        return str(text.decode() if isinstance(text, bytes) else text)

    def copy_in(self, address: int, array: npt.NDArray[Any], stream: Any) -> None:
        """A contiguous array to the GPU, in the order of the stream."""
        kind = self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream)

    def copy_out(self, array: npt.NDArray[Any], address: int, stream: Any) -> None:
        """From the GPU into a contiguous array, and wait for the stream: only then are the numbers there."""
        kind = self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream)
        self.call("cudaStreamSynchronize", stream)

    def begin_capture(self, stream: Any) -> None:
        """What this thread puts on the stream from here on is recorded, not run."""
        self.call("cudaStreamBeginCapture", stream, self._rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)

    def end_capture(self, stream: Any) -> Any:
        """What was recorded, ready for `cudaGraphLaunch`."""
        return self.call("cudaGraphInstantiate", self.call("cudaStreamEndCapture", stream), 0)

    def empty(self, shape: tuple[int, ...], dtype: str) -> int:
        """Address of new memory on the GPU for an array of that shape."""
        return int(self.call("cudaMalloc", int(np.prod(shape)) * np.dtype(dtype).itemsize))
