"""OpenVINO on the CPU, in float32 arithmetic or the graph's own 8 bits. Left to itself it would take bfloat16.

A compiled graph is kept in the user's cache folder (11 MB for a part of the default bundle) under a key of all that it
depends on, so that the next start need neither read nor compile it. `LVS_CACHE=0` turns that off.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import threading
from collections import Counter
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle import Bundle
from ..errors import BundleError, DeviceError
from ..manifest import Part, TensorSpec
from .base import GraphBackend, first_line, fits
from .host import cpu_model, read_cached, version_of, write_cached

DEVICE = "CPU"
_KINDS = {"u8": "int8", "i8": "int8", "f16": "fp16", "bf16": "bf16", "f32": "fp32"}
_TELEMETRY = "openvino_telemetry"


def load_openvino() -> ModuleType:
    """Import OpenVINO with its telemetry off; `DeviceError` with the repair where that cannot be.

    `import openvino` reports itself to its maker and writes an identity into the home folder when the package
    openvino-telemetry is there, and it always is; without that package it uses a stub of its own. So it is hidden for
    the length of the import.
    """
    hidden = _TELEMETRY not in sys.modules and "openvino" not in sys.modules
    if hidden:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as error:
        if version_of("openvino") is None:
            raise DeviceError("openvino is not installed: pip install 'lvs[openvino]'") from error
        raise DeviceError(
            f"openvino {version_of('openvino')} cannot be loaded: {first_line(error)}; "
            f"pip install --force-reinstall 'lvs[openvino]', or use --device cpu"
        ) from error
    finally:
        if hidden:
            sys.modules.pop(_TELEMETRY, None)
    module: ModuleType = openvino
    return module


class OpenvinoBackend(GraphBackend):
    """One compiled graph for each part, with one stream: an inference uses all threads and ends as soon as it can."""

    runtime = "openvino"

    def __init__(self, bundle: Bundle, device: str, threads: int, why: str = "asked for") -> None:
        """Compile or load from the cache; raises `DeviceError`, `BundleError`."""
        super().__init__(bundle, device, threads, why)
        self._ov = load_openvino()
        self._core = self._ov.Core()
        self._config = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # two graphs and a camera share the cores: the system places threads better
        }
        self._cached: dict[str, bool] = {}
        self._compiled = {name: self._compile(bundle, name) for name in self._parts}
        for name, compiled in self._compiled.items():
            _check_signature(f"{self._where}: {self._parts[name].file}", compiled, self._parts[name])
        self._convolutions = {name: _convolutions(compiled) for name, compiled in self._compiled.items()}
        self._executed = {
            name: len(compiled.get_runtime_model().get_ordered_ops()) for name, compiled in self._compiled.items()
        }
        self._idle: dict[str, list[Any]] = {name: [] for name in self._parts}
        self._lock = threading.Lock()

    @property
    def provider(self) -> str:
        """ "OpenVINO " and the devices that execute, as the compiled graph reports them."""
        return f"OpenVINO {DEVICE}" if self._closed else f"OpenVINO {'+'.join(self._executing())}"

    @property
    def version(self) -> str:
        """Of the runtime, with its build."""
        return str(self._ov.__version__)

    def describe(self) -> dict[str, Any]:
        """As every back end's, and the number format of the convolutions of each part, and whether it was cached."""
        return {**super().describe(), "convolutions": self._convolutions, "from_cache": self._cached}

    def _nodes_of_parts(self) -> dict[str, dict[str, int] | None]:
        """Of the graph as it is executed, fused: all on the one device that it was compiled for."""
        return {name: {f"OpenVINO {DEVICE}": count} for name, count in self._executed.items()}

    def _infer(self, part_name: str, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        request = self._take(part_name)
        try:
            feed = {index: np.ascontiguousarray(array) for index, array in enumerate(arrays)}
            output = request.infer(feed, share_inputs=True)[0]
        except RuntimeError as error:
            raise DeviceError(f"part {part_name} failed on {self.provider}: {first_line(error)}") from error
        result: npt.NDArray[np.float32] = np.array(output, np.float32)  # a copy: the request is used again
        with self._lock:
            self._idle[part_name].append(request)
        return result

    def _take(self, part_name: str) -> Any:
        """A request is one caller's at a time; as many come to be as callers meet."""
        with self._lock:
            if self._idle[part_name]:
                return self._idle[part_name].pop()
            return self._compiled[part_name].create_infer_request()

    def _effective(self, part_name: str) -> str:
        """By the format of most convolutions; the graph's own where there is none, or as many of those."""
        stated, kinds = self._parts[part_name].precision, Counter[str]()
        for kind, count in self._convolutions[part_name].items():
            kinds[_KINDS.get(kind, kind)] += count
        found = max(kinds, key=lambda kind: (kinds[kind], kind == stated), default=stated)
        return stated if found == stated else f"{stated} as {found}"

    def _release(self) -> None:
        with self._lock:
            self._idle = {name: [] for name in self._parts}
            self._compiled = {}

    def _executing(self) -> list[str]:
        first = next(iter(self._compiled.values()))
        return [str(name) for name in first.get_property("EXECUTION_DEVICES")]

    def _compile(self, bundle: Bundle, name: str) -> Any:
        data = bundle.model_bytes(name)
        key = json.dumps([hashlib.sha256(data).hexdigest(), self.version, cpu_model(), self._config], sort_keys=True)
        entry = f"openvino/{hashlib.sha256(key.encode()).hexdigest()[:32]}.blob"
        keep = os.environ.get("LVS_CACHE", "1") != "0"
        blob = read_cached(entry) if keep else None
        if blob is not None:
            try:
                compiled = self._core.import_model(blob, DEVICE, self._config)
            except RuntimeError:  # half a file, or one that this build no longer reads: compiled anew and replaced
                pass
            else:
                self._cached[name] = True
                return compiled
        self._cached[name] = False
        try:
            compiled = self._core.compile_model(self._core.read_model(data, b""), DEVICE, self._config)
        except RuntimeError as error:
            raise BundleError(
                f"{self._where}: openvino {self.version} refuses {self._parts[name].file}: {_cause(error)}; "
                f"export it anew with lvs-export, or use --device cpu"
            ) from error
        if keep:
            stream = io.BytesIO()
            compiled.export_model(stream)
            write_cached(entry, stream.getvalue())
        return compiled


def _convolutions(compiled: Any) -> dict[str, int]:
    """How many convolutions run in which number format ("u8", "f32"), of the graph as it is executed."""
    counts: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = {key: str(node.get_rt_info()[key].astype(str)) for key in ("layerType", "runtimePrecision")}
        if facts["layerType"] == "Convolution":
            counts[facts["runtimePrecision"]] += 1
    return dict(counts)


def _check_signature(what: str, compiled: Any, part: Part) -> None:
    """The graph's own inputs and output are those the manifest promised."""
    for ports, want in ((compiled.inputs, part.all_inputs), (compiled.outputs, (part.output,))):
        found = [
            (port.get_any_name(), port.get_element_type().get_type_name(), str(port.partial_shape)) for port in ports
        ]
        if len(ports) != len(want) or not all(_same(port, spec) for port, spec in zip(ports, want, strict=True)):
            said = "; ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in want)
            raise BundleError(f"{what} has {found}, the manifest says {said}")


def _same(port: Any, spec: TensorSpec) -> bool:
    element = {"float32": "f32", "uint8": "u8"}.get(spec.dtype, spec.dtype)
    lengths = tuple(-1 if n.is_dynamic else n.get_length() for n in port.partial_shape)
    wanted = tuple(n if isinstance(n, int) and m != -1 else m for n, m in zip(spec.shape, lengths, strict=False))
    same_type = (port.get_any_name(), port.get_element_type().get_type_name()) == (spec.name, element)
    return same_type and len(lengths) == len(spec.shape) and fits(wanted, lengths)


def _cause(error: BaseException) -> str:
    """OpenVINO wraps the reason into lines that name its source files: the last line that does not."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith(("Exception from", "Check"))), "unknown")[:300]
