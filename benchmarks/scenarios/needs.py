"""What a pipeline for a GPU needs and this machine may lack: each answers with the reason, or None where it can run."""

from __future__ import annotations

import importlib.util


def no_gpu() -> str | None:
    """Why nothing of NVIDIA runs here."""
    from lvs_runtime.doctor.engines import nvidia_gpus

    return None if nvidia_gpus() else "no NVIDIA GPU: nvidia-smi lists none"


def no_cuda_torch() -> str | None:
    """Why torch cannot use a GPU here."""
    if why := no_gpu():
        return why
    import torch

    return None if torch.cuda.is_available() else f"torch {torch.__version__} sees no CUDA device"


def no_cuda_onnx() -> str | None:
    """Why ONNX Runtime cannot use a GPU here."""
    if why := no_gpu():
        return why
    from lvs_runtime.backends.onnx import CUDA, load_onnxruntime

    found = load_onnxruntime().get_available_providers()
    return None if CUDA in found else f"onnxruntime has no {CUDA} (only {', '.join(found)}): pip install 'lvs[gpu]'"


def no_tensorrt() -> str | None:
    """Why TensorRT cannot run here."""
    if why := no_gpu():
        return why
    found = importlib.util.find_spec("tensorrt") is not None
    return None if found else "TensorRT is not installed: pip install 'lvs[tensorrt]'"
