"""Back ends: the only code that may import an inference runtime."""

from __future__ import annotations

from ..bundle import Bundle
from ..errors import ConfigError
from .base import Backend, default_threads

__all__ = ["DEVICES", "Backend", "default_threads", "open_backend"]

DEVICES = ("auto", "cpu", "openvino", "cuda", "tensorrt", "rtx", "ep:NAME[=PATH]")
MAX_THREADS = 256


def open_backend(bundle: Bundle, device: str = "auto", threads: int | None = None) -> Backend:
    """A back end that runs `bundle`'s image and audio parts on `device`, one of `DEVICES`.

    "cpu" and "cuda" are ONNX Runtime's, "ep:NAME" is a further provider of it, the others are engines of their own.
    "auto" takes what was measured to be fastest on this machine (see `auto`), or what the variable LVS_DEVICE names;
    `describe()["why"]` says which and why. `threads`: CPU threads of one inference (default: physical cores, at most
    4). Raises `DeviceError` with the repair when the device is not usable, `ConfigError` when it is not known.
    """
    if device not in DEVICES[:-1] and not device.startswith("ep:"):
        raise ConfigError(f"--device {device}: unknown; possible: {', '.join(DEVICES)}")
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise ConfigError(f"threads {threads}: want 1 to {MAX_THREADS}")
    count = threads if threads is not None else default_threads()
    if device == "auto":
        from .auto import open_fastest

        return open_fastest(bundle, count)
    return open_named(bundle, device, count)


def open_named(bundle: Bundle, device: str, threads: int, why: str = "asked for") -> Backend:
    """The back end of one device, never "auto"; its module, and with it the runtime, is imported only now."""
    if device == "openvino":
        from .openvino import OpenvinoBackend

        return OpenvinoBackend(bundle, device, threads, why)
    if device in ("tensorrt", "rtx"):
        from .tensorrt import TensorrtBackend

        return TensorrtBackend(bundle, device, threads, why)
    from .onnx import OnnxBackend

    return OnnxBackend(bundle, device, threads, why)
