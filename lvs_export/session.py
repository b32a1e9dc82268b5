"""ONNX Runtime for the exporter's own measuring: a graph from its bytes, on the CPU, quiet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import DeviceError

FloatArray = npt.NDArray[np.float32]


def onnxruntime() -> Any:
    """The package, with its telemetry switched off before the first import; DeviceError when it is missing."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise DeviceError(f"export checks its graphs with onnxruntime: {error}; pip install 'lvs[export]'") from error
    ort.set_default_logger_severity(3)
    return ort


class GraphSession:
    """A graph loaded from memory; `files` holds the bytes of the files that its weights refer to."""

    def __init__(self, data: bytes, files: Mapping[str, bytes] | None = None, threads: int | None = None) -> None:
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if files:
            names = list(files)
            options.add_external_initializers_from_files_in_memory(
                names, [files[name] for name in names], [len(files[name]) for name in names]
            )
        self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])

    def run(self, **inputs: npt.NDArray[Any]) -> FloatArray:
        """The single output for inputs by name."""
        return np.asarray(self._session.run(None, inputs)[0], np.float32)
