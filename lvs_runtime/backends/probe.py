"""Proof that an inference engine works: one convolution with a known answer. Run in a process of its own.

    python -c "from lvs_runtime.backends.probe import main; main()" onnxruntime                        -> providers
    python -c "from lvs_runtime.backends.probe import main; main()" onnxruntime CPUExecutionProvider   -> proof

A provider that a package lists need not be usable (CUDA without a GPU or driver), and one that loads may hand the
nodes back to the CPU: hence a session that may not fall back, and a look at the numbers. Prints one JSON line.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import numpy as np

# relu(conv(x, w)), x float32 (1, 1, 2, 2), w = [2, -1], opset 13; tests/packaging/test_doctor.py builds it with onnx.
TINY_MODEL = base64.b64decode(
    "CAc6jAEKJgoBeAoBdxIBYyIEQ29udioVCgxrZXJuZWxfc2hhcGVAAUABoAEHCgwKAWMSAXkiBFJlbHUSAWcqFwgCCAEIAQgBEAFCAXdKCAAAAEAA"
    "AIC/WhsKAXgSFgoUCAESEAoCCAEKAggBCgIIAgoCCAJiGwoBeRIWChQIARIQCgIIAQoCCAIKAggCCgIIAkIECgAQDQ=="
)
TINY_INPUT = np.array([1, 2, 3, -4], np.float32).reshape(1, 1, 2, 2)
TINY_OUTPUT = np.array([2, 4, 6, 0, 0, 0, 0, 4], np.float32).reshape(1, 2, 2, 2)


def prove_onnxruntime(provider: str) -> dict[str, Any]:
    """One inference on `provider` alone: {"version", "providers", "max_abs_error"}; raises what the engine raises."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if provider != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(TINY_MODEL, options, providers=[provider])
    if session.get_providers()[:1] != [provider]:
        raise RuntimeError(f"asked for {provider}, the session runs on {session.get_providers()}")
    (output,) = session.run(None, {"x": TINY_INPUT})
    return {"version": onnxruntime.__version__, "providers": session.get_providers(), **_compared(output)}


def prove_openvino(device: str) -> dict[str, Any]:
    """The same by OpenVINO on `device` ("CPU"): {"version", "providers", "max_abs_error"}."""
    from .openvino import load_openvino

    openvino = load_openvino()
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(TINY_MODEL, b""), device)
    output = compiled([TINY_INPUT])[0]
    return {"version": openvino.__version__, "providers": [device], **_compared(output)}


def _compared(output: Any) -> dict[str, Any]:
    error = float(np.abs(np.asarray(output, np.float32) - TINY_OUTPUT).max())
    if not error < 0.05:  # half and bfloat16 arithmetic stay below
        raise RuntimeError(f"wrong numbers: largest error {error} of at most 6")
    return {"max_abs_error": error}


def main() -> None:
    """Entry point: engine [provider]."""
    engine, *rest = sys.argv[1:]
    if engine == "openvino":
        answer: Any = prove_openvino(*rest)
    elif rest:
        answer = prove_onnxruntime(*rest)
    else:
        import onnxruntime

        answer = onnxruntime.get_available_providers()
    print(json.dumps(answer))
