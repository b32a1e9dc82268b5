"""Live visual sound-source localization: one picture and one sound in, a map of where the sound comes from out.

Importing this package loads numpy at most; what needs more (ONNX Runtime, OpenCV, devices) loads it when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from .live.session import LiveSession
    from .localizer import Localizer
    from .results import AudioWindow, Result, VideoFrame
    from .spec import AudioSpec, ImageSpec

__version__ = "0.1.0"
__all__ = [
    "AudioSpec",
    "AudioWindow",
    "ImageSpec",
    "LiveSession",
    "Localizer",
    "Result",
    "VideoFrame",
    "__version__",
    "errors",
]

_HOME = {
    "AudioSpec": "spec",
    "ImageSpec": "spec",
    "AudioWindow": "results",
    "Result": "results",
    "VideoFrame": "results",
    "Localizer": "localizer",
    "LiveSession": "live.session",
}


def __getattr__(name: str) -> Any:
    """Load a public name's module when the name is first asked for (PEP 562)."""
    if name == "errors":
        return import_module(".errors", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Module attributes, the lazy ones too."""
    return sorted({*globals(), *__all__})
