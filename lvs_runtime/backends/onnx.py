"""ONNX Runtime on CPU or CUDA. Nothing falls back in silence: what runs is asked of the session and compared."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle import Bundle
from ..errors import BundleError, DeviceError
from ..manifest import Part, TensorSpec
from .base import GraphBackend, first_line
from .onnx_binding import BoundGraph
from .onnx_plugin import PREFIX, find_provider

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# TF32 has half's mantissa, which the spectrogram's convolution does not bear; an exhaustive search for algorithms
# would be repeated for every new length of sound.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
_CPU_PACKAGE, _GPU_PACKAGE = "onnxruntime", "onnxruntime-gpu"


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime with its telemetry off; `DeviceError` with the repair where that cannot be.

    The switch counts only when it is set before the first import: set later, the library has already written an
    identity file and started its uploader.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        if "onnxruntime" in (error.name or "") and "onnxruntime" not in _installed():
            raise DeviceError("onnxruntime is not installed: pip install 'lvs[cpu]' (or 'lvs[gpu]')") from error
        raise DeviceError(f"onnxruntime cannot be loaded: {error}; {_reinstall()}") from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise DeviceError(f"the package onnxruntime is hollow (one of two installs was removed); {_reinstall()}")
    module: ModuleType = onnxruntime
    return module


class OnnxBackend(GraphBackend):
    """One session for each part. Threads are stated, and idle ones sleep (spinning burns a core for 2 ms gained)."""

    runtime = "onnxruntime"

    def __init__(self, bundle: Bundle, device: str, threads: int, why: str = "asked for") -> None:
        """Open sessions on `device` "cpu", "cuda" or "ep:NAME[=PATH]"; raises `DeviceError`, `BundleError`."""
        super().__init__(bundle, device, threads, why)
        self._ort = load_onnxruntime()
        self._errors = runtime_errors()
        self._provider = CPU
        self._ep_devices: list[Any] = []
        if device == "cuda":
            _require_cuda(self._ort)
            self._provider = CUDA
        elif device.startswith(PREFIX):
            self._provider, self._ep_devices = find_provider(self._ort, device, self._errors)
        self._sessions = {name: self._session(bundle, name) for name in self._parts}
        for name in self._parts:
            _check_signature(f"{self._where}: {self._parts[name].file}", self._sessions[name], self._parts[name])
        self._nodes = {name: _assigned(session) for name, session in self._sessions.items()}
        self._check_nodes()
        self._bound = {}
        if device == "cuda":
            self._bound = {
                name: BoundGraph(self._ort, session, self._parts[name].all_inputs, "cuda")
                for name, session in self._sessions.items()
            }

    @property
    def provider(self) -> str:
        """The first provider of the sessions, as they themselves report it."""
        return self._provider

    @property
    def version(self) -> str:
        """Of ONNX Runtime."""
        return str(self._ort.__version__)

    def _nodes_of_parts(self) -> dict[str, dict[str, int] | None]:
        return self._nodes

    def _infer(self, part_name: str, *arrays: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        try:
            if part_name in self._bound:
                return self._bound[part_name].run(*arrays)
            names = (spec.name for spec in self._parts[part_name].all_inputs)
            feed = dict(zip(names, arrays, strict=True))
            output: npt.NDArray[np.float32] = self._sessions[part_name].run(None, feed)[0]
        except self._errors as error:
            raise DeviceError(f"part {part_name} failed on {self.provider}: {first_line(error)}") from error
        return output

    def _effective(self, part_name: str) -> str:
        """Half has no convolution on x86 in ONNX Runtime, and 8 bits none on CUDA: both are widened there."""
        stated = self._parts[part_name].precision
        if stated == "fp16" and self._provider == CPU and platform.machine() in ("x86_64", "AMD64"):
            return "fp16 as fp32"
        return "int8 as fp32" if stated == "int8" and self._provider == CUDA else stated

    def _release(self) -> None:
        self._sessions, self._bound = {}, {}

    def _session(self, bundle: Bundle, name: str) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        providers: dict[str, Any] = {"providers": [(CUDA, CUDA_OPTIONS), CPU] if self._provider == CUDA else [CPU]}
        if self._ep_devices:
            options.add_provider_for_devices(self._ep_devices, {})
            providers = {}
        elif self._provider not in (CPU, CUDA):
            providers = {"providers": [self._provider, CPU]}
        try:
            session = self._ort.InferenceSession(bundle.model_bytes(name), options, **providers)
        except self._errors as error:
            file = self._parts[name].file
            raise BundleError(
                f"{self._where}: onnxruntime {self._ort.__version__} refuses {file}: {first_line(error)}; "
                f"export it anew with lvs-export, or upgrade onnxruntime"
            ) from error
        if self._provider not in session.get_providers():
            raise DeviceError(
                f"--device {self._device}: {self._provider} did not load, the session has {session.get_providers()}: "
                f"{_needs(self._provider, self.version)}; see lvs-doctor, or use --device cpu"
            )
        return session

    def _check_nodes(self) -> None:
        """A provider that was asked for and took no node at all did not run, whatever the session's list says."""
        for name, nodes in self._nodes.items():
            if nodes is None and self._device.startswith(PREFIX):
                raise DeviceError(
                    f"--device {self._device}: onnxruntime {self.version} cannot tell what a provider runs: "
                    f"pip install --upgrade onnxruntime, or use --device cpu"
                )
            if nodes is not None and not nodes.get(self._provider):
                raise DeviceError(
                    f"--device {self._device}: {self._provider} took none of the {sum(nodes.values())} nodes of part "
                    f"{name} ({nodes}); this provider cannot run these graphs: use --device cpu"
                )


def _require_cuda(ort: ModuleType) -> None:
    if CUDA in ort.get_available_providers():
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()  # finds CUDA and cuDNN where pip has put them
        return
    installed = _installed()
    if _CPU_PACKAGE in installed and _GPU_PACKAGE in installed:
        raise DeviceError(f"--device cuda: both {_CPU_PACKAGE} and {_GPU_PACKAGE} are installed; {_reinstall()}")
    raise DeviceError(
        f"--device cuda: onnxruntime {ort.__version__} (a build without CUDA) is installed; "
        f"pip uninstall -y onnxruntime && pip install 'lvs[gpu]', or use --device cpu"
    )


def _installed() -> dict[str, str]:
    """ONNX Runtime's distributions by name; two of them write into one folder and break each other."""
    names = (_CPU_PACKAGE, _GPU_PACKAGE)
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _reinstall() -> str:
    have = " and ".join(f"{name} {version}" for name, version in _installed().items()) or "no distribution"
    return (
        f"found {have}: pip uninstall -y {_CPU_PACKAGE} {_GPU_PACKAGE} && pip install 'lvs[cpu]' (or 'lvs[gpu]'), "
        f"only one of the two"
    )


def runtime_errors() -> tuple[type[BaseException], ...]:
    """Every exception class of the library: they share no base but Exception."""
    state = sys.modules["onnxruntime.capi.onnxruntime_pybind11_state"]
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def _needs(provider: str, version: str) -> str:
    if provider == CUDA:
        return f"onnxruntime-gpu {version} needs an NVIDIA driver, CUDA and cuDNN of its own versions"
    return f"onnxruntime {version} could not start it"


def _assigned(session: Any) -> dict[str, int] | None:
    """Nodes of the graph that each provider took; None where this version of ONNX Runtime does not tell."""
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return None
    counts = dict.fromkeys(session.get_providers(), 0)
    for subgraph in ask():
        counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return counts


def _check_signature(what: str, session: Any, part: Part) -> None:
    """The graph's own inputs and outputs are those the manifest promised."""
    for have, want in ((session.get_inputs(), part.all_inputs), (session.get_outputs(), (part.output,))):
        found = [(node.name, node.type, list(node.shape)) for node in have]
        if len(have) != len(want) or not all(
            node.name == spec.name and _same(node, spec) for node, spec in zip(have, want, strict=True)
        ):
            said = "; ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in want)
            raise BundleError(f"{what} has {found}, the manifest says {said}")


def _same(node: Any, spec: TensorSpec) -> bool:
    element = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}.get(spec.dtype, spec.dtype)
    shape = list(node.shape)
    return (
        node.type == element
        and len(shape) == len(spec.shape)
        and all(
            isinstance(have, str) or have is None or have == want for have, want in zip(shape, spec.shape, strict=True)
        )
    )
