"""Checkpoint to ONNX bundle (needs torch: `pip install lvs[export]`)."""
