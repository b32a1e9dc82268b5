"""Back ends: the only code that may import an inference runtime."""

from __future__ import annotations

from ..bundle import Bundle
from ..errors import ConfigError
from .base import DEVICES, Backend, default_threads

__all__ = ["DEVICES", "Backend", "default_threads", "open_backend"]


def open_backend(bundle: Bundle, device: str = "auto", threads: int | None = None) -> Backend:
    """A back end that runs `bundle`'s image and audio parts on `device` ("auto" | "cpu" | "cuda").

    "auto" takes CUDA where ONNX Runtime has it and it proves usable, else the CPU; `describe()["why"]` says which and
    why. `threads`: CPU threads of one inference (default: physical cores, at most 4). Raises `DeviceError` with the
    repair when the device is not usable, `ConfigError` when it is not known.
    """
    if device not in DEVICES:
        raise ConfigError(f"--device {device}: unknown; possible: {', '.join(DEVICES)}")
    if threads is not None and not 1 <= threads <= 256:
        raise ConfigError(f"threads {threads}: want 1 to 256")
    from .onnx import OnnxBackend

    return OnnxBackend.open(bundle, device, threads if threads is not None else default_threads())
