"""What a user would build instead, and ours. Every pipeline: frame and sound in, similarity map out.

Each is made in a process of its own (see `worker`). `window_s` is the sound it looks at, `audio_every_s` how often it
looks (0: with every frame, as published). Preprocessing is inside what is timed; capture is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import needs

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "lvs_train/weights/default.safetensors"
FP32, FP16, TRT = (ROOT / f"runs/bundle-{name}" for name in ("fp32", "fp16", "tensorrt-fp16"))
NAIVE = ROOT / "runs/naive.onnx"
DETECTOR = ROOT / "runs/detector.onnx"
THREADS = 2
PARITY_S = 3.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def is_fresh(made: Path) -> bool:
    """Whether a file made from the shipped weights is there and younger than they are."""
    return made.exists() and made.stat().st_mtime > CHECKPOINT.stat().st_mtime


@dataclass
class Pipeline:
    """Embeds picture and sound; `embed_audio` None for a pipeline without sound."""

    embed_image: Callable[[Any], Any]
    embed_audio: Callable[[Any], Any] | None
    compare: Callable[[Any, Any], Any]  # two embeddings -> map
    window_s: float
    audio_every_s: float
    facts: dict[str, Any] = field(default_factory=dict)

    def similarity(self, frame: Any, waveform: Any) -> Any:
        """Frame (H, W, 3) BGR and waveform at 16 kHz -> (14, 14)."""
        assert self.embed_audio is not None
        return self.compare(self.embed_image(frame), self.embed_audio(waveform))


def _pil_picture(frame: Any) -> Any:
    from PIL import Image

    small = Image.fromarray(frame[:, :, ::-1]).resize((224, 224), Image.Resampling.BILINEAR)
    return ((np.asarray(small, np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)


def _scipy_spectrogram(waveform: Any) -> Any:
    from scipy import signal

    _, _, power = signal.spectrogram(waveform, 16_000, nperseg=512, noverlap=274)
    return (np.log(power + 1e-7) / 12).astype(np.float32)[None, None]


def _torch_model() -> Any:
    import torch

    from lvs_train import checkpoint

    torch.set_num_threads(THREADS)
    return checkpoint.load(CHECKPOINT).model.eval()


def _cosines(image: Any, sound: Any) -> Any:
    return (sound.reshape(-1) @ image.reshape(512, -1)).reshape(14, 14)


def upstream(window_s: float, audio_every_s: float, compiled: str | None = None, device: str = "cpu") -> Pipeline:
    """torch eager as published (10 s, both encoders each frame), with courtesies, or through torch.compile."""
    import torch

    model = _torch_model().to(device)
    image_net, audio_net = model.embed_image, model.embed_audio
    facts: dict[str, Any] = {"torch": torch.__version__, "resize": "PIL bilinear"}
    if compiled:
        image_net = torch.compile(image_net, mode=compiled, dynamic=False)
        audio_net = torch.compile(audio_net, mode=compiled, dynamic=False)

    def image(frame: Any) -> Any:
        with torch.inference_mode():
            return image_net(torch.from_numpy(_pil_picture(frame)).to(device)).cpu().numpy()[0]

    def sound(waveform: Any) -> Any:
        with torch.inference_mode():
            return audio_net(torch.from_numpy(_scipy_spectrogram(waveform)).to(device)).cpu().numpy()[0]

    if compiled:
        begin_s = time.monotonic()
        image(np.zeros((360, 640, 3), np.uint8))
        sound(np.random.default_rng(0).normal(0, 0.1, round(window_s * 16_000)).astype(np.float32))
        facts["compile_s"] = round(time.monotonic() - begin_s, 1)
    return Pipeline(image, sound, _cosines, window_s, audio_every_s, facts)


def naive_onnx() -> Pipeline:
    """The whole network as one float32 graph, preprocessing in numpy, default options, both encoders each frame."""
    import os

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if not is_fresh(NAIVE):
        _export_naive()
    session = onnxruntime.InferenceSession(str(NAIVE), providers=["CPUExecutionProvider"])
    held: dict[str, Any] = {}

    def image(frame: Any) -> Any:
        held["image"] = _pil_picture(frame)
        return held["image"]

    def both(picture: Any, spectrogram: Any) -> Any:
        return session.run(None, {"image": picture, "spectrogram": spectrogram})[0][0]

    return Pipeline(image, _scipy_spectrogram, both, PARITY_S, 0.0, {"onnxruntime": onnxruntime.__version__})


def _export_naive() -> None:
    import torch

    model = _torch_model()
    picture = torch.zeros(1, 3, 224, 224)
    spectrogram = torch.from_numpy(_scipy_spectrogram(np.zeros(round(PARITY_S * 16_000), np.float32)))
    NAIVE.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        model, (picture, spectrogram), str(NAIVE), input_names=["image", "spectrogram"], output_names=["map"],
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip


def openvino(bundle: Path | None, hint: str | None) -> Pipeline:
    """The bundle's own graphs in OpenVINO, LATENCY hint, one stream; `hint`: inference precision, None its default."""
    import openvino as ov

    from lvs_runtime.bundle import Bundle
    from lvs_runtime.image import to_network

    opened = Bundle.open(bundle)
    core = ov.Core()
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": THREADS}
    if hint:
        options["INFERENCE_PRECISION_HINT"] = hint
    begin_s = time.monotonic()
    requests = {}
    for part in ("image", "audio"):
        model = core.read_model(opened.path / opened.part(part).file)
        requests[part] = core.compile_model(model, "CPU", options).create_infer_request()
    facts = {"openvino": ov.__version__, "compile_s": round(time.monotonic() - begin_s, 1), "hint": hint or "default"}

    def image(frame: Any) -> Any:
        return next(iter(requests["image"].infer([to_network(frame, opened.image)]).values()))[0]

    def sound(waveform: Any) -> Any:
        return next(iter(requests["audio"].infer([np.ascontiguousarray(waveform[None])]).values()))[0]

    return Pipeline(image, sound, _cosines, opened.live_seconds, 0.1, facts)


def ours(bundle: Path | None, audio_every_s: float, device: str = "cpu") -> Pipeline:
    """The runtime's own localizer: split graphs. lvs-live embeds sound with every frame while time allows (0)."""
    from lvs_runtime.localizer import Localizer

    localizer = Localizer.from_bundle(bundle, device, THREADS)
    facts = {"provider": localizer.provider, "precision": localizer.precision, "bundle": localizer.bundle.name}
    return Pipeline(
        localizer.embed_image,
        localizer.embed_audio,
        localizer.similarity,
        localizer.bundle.live_seconds,
        audio_every_s,
        facts,
    )


def detector() -> Pipeline:
    """A detector without sound, weights random: what live vision alone costs. Says nothing of how well it detects."""
    import os

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import cv2
    import onnxruntime

    if not DETECTOR.exists():
        _export_detector()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(DETECTOR), options, providers=["CPUExecutionProvider"])

    def image(frame: Any) -> Any:
        small = cv2.resize(frame, (320, 320))[:, :, ::-1].astype(np.float32) / 127.5 - 1
        return session.run(None, {"image": np.ascontiguousarray(small.transpose(2, 0, 1)[None])})

    facts = {"architecture": "SSDLite320 MobileNetV3-Large without NMS, random weights, 0.6 GMAC, 320x320"}
    return Pipeline(image, None, lambda image, sound: image, 0.0, 0.0, facts)


def _export_detector() -> None:
    import torch
    import torchvision

    whole = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = whole.backbone, whole.head

        def forward(self, x: Any) -> Any:
            out = self.head(list(self.backbone(x).values()))
            return out["bbox_regression"], out["cls_logits"]

    DETECTOR.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        Net(), (torch.zeros(1, 3, 320, 320),), str(DETECTOR), input_names=["image"], dynamo=True, external_data=False,
        verbose=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A row of the table: what it is called, how it is made, why it may not run here, what is exported for it."""

    label: str
    make: Callable[[], Pipeline]
    lacks: Callable[[], str | None] = lambda: None
    bundle: Path | None = None


# The order is that of the table. Rows of a GPU: pictures and sound go there and maps come back inside what is timed.
PIPELINES: dict[str, Entry] = {
    "upstream": Entry("torch eager as published: scipy, 10 s of sound, all per frame", lambda: upstream(10.0, 0.0)),
    "courtesy": Entry("torch eager, 1 s of sound at 10 Hz", lambda: upstream(1.0, 0.1)),
    "compiled": Entry("torch.compile, 1 s of sound at 10 Hz", lambda: upstream(1.0, 0.1, "default")),
    "naive_onnx": Entry("ONNX Runtime, naive export, 3 s of sound per frame", naive_onnx),
    "openvino_fp32": Entry(
        "OpenVINO float32 (hint f32) on our graphs, 1 s of sound at 10 Hz", lambda: openvino(FP32, "f32"), bundle=FP32
    ),
    "openvino_int8": Entry("OpenVINO on our int8 graphs, 1 s of sound at 10 Hz", lambda: openvino(None, None)),
    "ours_fp32": Entry("lvs float32, ONNX Runtime, 1 s of sound at 10 Hz", lambda: ours(FP32, 0.1), bundle=FP32),
    "ours_int8": Entry("lvs int8, ONNX Runtime, 1 s of sound at 10 Hz", lambda: ours(None, 0.1)),
    "ours_each": Entry("lvs int8 as shipped: sound with every frame while time allows", lambda: ours(None, 0.0)),
    "cuda_torch": Entry(
        "GPU: torch eager, 1 s of sound at 10 Hz", lambda: upstream(1.0, 0.1, device="cuda"), needs.no_cuda_torch
    ),
    "cuda_fp16": Entry(
        "GPU: lvs float16, ONNX Runtime CUDA, 1 s of sound at 10 Hz",
        lambda: ours(FP16, 0.1, "cuda"),
        needs.no_cuda_onnx,
        FP16,
    ),
    "tensorrt_fp16": Entry(
        "GPU: lvs float16, TensorRT, 1 s of sound at 10 Hz", lambda: ours(TRT, 0.1, "tensorrt"), needs.no_tensorrt, TRT
    ),
    "detector": Entry("video-only yardstick: SSDLite detector, no sound", detector),
}
