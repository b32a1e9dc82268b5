"""ONNX Runtime on CPU or CUDA. Nothing falls back in silence: what runs is asked of the session and compared."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle import LIVE_PARTS, Bundle
from ..errors import BundleError, ConfigError, DeviceError
from ..manifest import Part, TensorSpec

_LOG = logging.getLogger(__name__)
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
PROVIDERS = {"cpu": [CPU], "cuda": [CUDA, CPU]}
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


class OnnxBackend:
    """One session for each part. Threads are stated, and idle ones sleep (spinning burns a core for 2 ms gained)."""

    def __init__(self, bundle: Bundle, device: str, threads: int, why: str = "asked for") -> None:
        """Open sessions on `device` "cpu" or "cuda"; raises `DeviceError`, `BundleError`."""
        self._ort = load_onnxruntime()
        self._errors = _runtime_errors()
        self._threads = threads
        self._why = why
        self._device = device
        if device == "cuda":
            _require_cuda(self._ort)
        self._parts = {name: bundle.part(name) for name in LIVE_PARTS}
        self._sessions = {name: self._session(bundle, name) for name in LIVE_PARTS}
        for name in LIVE_PARTS:
            _check_signature(f"bundle {bundle.path}: {self._parts[name].file}", self._sessions[name], self._parts[name])

    @classmethod
    def open(cls, bundle: Bundle, device: str, threads: int) -> OnnxBackend:
        """As the constructor, and "auto" too."""
        if device != "auto":
            return cls(bundle, device, threads)
        ort = load_onnxruntime()
        if CUDA not in ort.get_available_providers():
            return cls(bundle, "cpu", threads, why=f"auto: onnxruntime {ort.__version__} is a build without CUDA")
        try:
            return cls(bundle, "cuda", threads, why="auto: CUDA is usable")
        except DeviceError as error:
            _LOG.warning("device auto: CUDA is not usable, so the CPU is used. %s", error)
            return cls(bundle, "cpu", threads, why=f"auto: CUDA is not usable: {error}")

    @property
    def provider(self) -> str:
        """The first provider of the image session, as the session itself reports it."""
        return str(self._sessions["image"].get_providers()[0])

    @property
    def precision(self) -> str:
        """Of the parts, from the manifest; joined by "+" (image first) when they differ."""
        return "+".join(dict.fromkeys(self._parts[name].precision for name in LIVE_PARTS))

    def run(self, part_name: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference. Thread-safe. `ConfigError` when the array does not fit the part's input."""
        session, spec = self._sessions[part_name], self._parts[part_name].only_input
        if array.dtype != spec.dtype or not _fits(spec.shape, array.shape):
            raise ConfigError(
                f"part {part_name}: got {array.dtype} {list(array.shape)}, want {spec.dtype} {list(spec.shape)}"
            )
        try:
            output: npt.NDArray[np.float32] = session.run(None, {spec.name: array})[0]
        except self._errors as error:
            raise DeviceError(f"part {part_name} failed on {self.provider}: {_first_line(error)}") from error
        return output

    def describe(self) -> dict[str, Any]:
        """Plain JSON values for stats, the doctor and benchmarks."""
        return {
            "runtime": "onnxruntime",
            "version": self._ort.__version__,
            "provider": self.provider,
            "precision": self.precision,
            "threads": self._threads,
            "device": self._device,
            "why": self._why,
        }

    def _session(self, bundle: Bundle, name: str) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = PROVIDERS[self._device]
        try:
            session = self._ort.InferenceSession(bundle.model_bytes(name), options, providers=providers)
        except self._errors as error:
            file = self._parts[name].file
            raise BundleError(
                f"bundle {bundle.path}: onnxruntime {self._ort.__version__} refuses {file}: {_first_line(error)}; "
                f"export it anew with lvs-export, or upgrade onnxruntime"
            ) from error
        if providers[0] not in session.get_providers():
            raise DeviceError(
                f"--device {self._device}: {providers[0]} did not load, the session has {session.get_providers()}: "
                f"onnxruntime-gpu {self._ort.__version__} needs an NVIDIA driver, CUDA and cuDNN of its own versions; "
                f"see lvs-doctor, or use --device cpu"
            )
        return session


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


def _runtime_errors() -> tuple[type[BaseException], ...]:
    """Every exception class of the library: they share no base but Exception."""
    state = sys.modules["onnxruntime.capi.onnxruntime_pybind11_state"]
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def _check_signature(what: str, session: Any, part: Part) -> None:
    """The graph's own inputs and outputs are those the manifest promised."""
    for have, want in ((session.get_inputs(), part.only_input), (session.get_outputs(), part.output)):
        found = [(node.name, node.type, list(node.shape)) for node in have]
        if len(have) != 1 or have[0].name != want.name or not _same(have[0], want):
            raise BundleError(f"{what} has {found}, the manifest says {want.name} {want.dtype} {list(want.shape)}")


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


def _fits(shape: tuple[int | str, ...], given: tuple[int, ...]) -> bool:
    return len(shape) == len(given) and all(isinstance(w, str) or w == g for w, g in zip(shape, given, strict=True))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
