"""Run one thing as if only the base packages were installed: `blocked.py help MODULE:FUNCTION`, `imports PACKAGE`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib.abc import MetaPathFinder

BLOCKED = {
    "torch", "torchvision", "torchaudio", "safetensors", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt",
    "cv2", "av", "sounddevice", "soundfile", "soxr", "starlette", "uvicorn", "websockets", "matplotlib", "scipy", "PIL",
}  # fmt: skip


class Blocker(MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked: not a base package)", name=name)


def imports(package: str) -> None:
    """Import every module of `package`."""
    root = importlib.import_module(package)
    names = [item.name for item in pkgutil.walk_packages(root.__path__, f"{package}.")]
    for name in names:
        if not name.endswith(".__main__"):
            importlib.import_module(name)
    print(len(names))


def command_help(entry: str) -> None:
    """Call an entry point with --help."""
    module, _, function = entry.partition(":")
    sys.argv = [module, "--help"]
    getattr(importlib.import_module(module), function)()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder
    sys.meta_path.insert(0, Blocker())
    {"help": command_help, "imports": imports}[sys.argv[1]](sys.argv[2])
