"""Further providers of ONNX Runtime: `ep:NAME` is one that is compiled in, `ep:NAME=PATH` one in a library of its own.

A plug-in library (e.g. of the package onnxruntime-ep-nv-tensorrt-rtx) is registered once for each process, under the
NAME that it gives its provider; the devices that it then offers are those it can really drive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ConfigError, DeviceError
from .base import first_line

PREFIX = "ep:"
_REGISTERED: dict[str, str] = {}  # name -> path, in this process


def find_provider(ort: Any, device: str, errors: tuple[type[BaseException], ...]) -> tuple[str, list[Any]]:
    """(provider's name, its devices): no devices for a compiled-in one. Raises `ConfigError`, `DeviceError`."""
    name, equals, path = device.removeprefix(PREFIX).partition("=")
    if not name or (equals and not path):
        raise ConfigError(f"--device {device}: want ep:NAME (compiled in) or ep:NAME=PATH (a provider's library)")
    if not path:
        have = ort.get_available_providers()
        if name not in have:
            raise DeviceError(
                f"--device {device}: onnxruntime {ort.__version__} has {', '.join(have)}; give the library of another "
                f"one: --device ep:{name}=PATH"
            )
        return name, []
    if not hasattr(ort, "register_execution_provider_library"):
        raise DeviceError(
            f"--device {device}: onnxruntime {ort.__version__} takes no provider libraries: pip install --upgrade "
            f"onnxruntime (1.23 or newer)"
        )
    _register(ort, device, name, path, errors)
    offered = ort.get_ep_devices()
    devices = [found for found in offered if found.ep_name == name]
    if not devices:
        have = ", ".join(sorted({found.ep_name for found in offered}))
        raise DeviceError(
            f"--device {device}: {path} offers no device of {name} here; offered: {have} (another name? no driver?)"
        )
    return name, devices


def _register(ort: Any, device: str, name: str, path: str, errors: tuple[type[BaseException], ...]) -> None:
    if not Path(path).is_file():
        raise DeviceError(f"--device {device}: {path} is no file; want the provider's shared library")
    if name in _REGISTERED:
        if _REGISTERED[name] != path:
            raise DeviceError(f"--device {device}: {name} is already {_REGISTERED[name]} in this process")
        return
    try:
        ort.register_execution_provider_library(name, path)
    except errors as error:
        raise DeviceError(
            f"--device {device}: onnxruntime {ort.__version__} refuses it: {first_line(error)}"
        ) from error
    _REGISTERED[name] = path
