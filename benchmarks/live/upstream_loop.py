"""The loop that one writes first: read a frame, take the last 10 s of sound, run both encoders, show, again.

    python benchmarks/live/upstream_loop.py OUT.jsonl        runs until it is ended

As the published evaluation code does it for a clip: scipy's spectrogram of 10 s at 16 kHz (257 x 671), both ResNet18
in torch, eager, float32, for each frame. The camera is OpenCV's with its defaults, frames one after the other.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
import scipy.signal
import sounddevice
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from lvs_train.checkpoint import load

ROOT = Path(__file__).parents[2]
RATE, SECONDS = 16_000, 10
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def spectrogram(sound: np.ndarray) -> torch.Tensor:
    """(n,) -> (1, 1, 257, 671), the sound repeated until it fills 10 s."""
    tiled = np.resize(sound, RATE * SECONDS)
    _, _, power = scipy.signal.spectrogram(tiled, RATE, nperseg=512, noverlap=274)
    return torch.from_numpy(np.log(power + 1e-7).astype(np.float32) / 12)[None, None]


def picture(frame: np.ndarray) -> torch.Tensor:
    """BGR frame -> (1, 3, 224, 224)."""
    rgb = cv2.cvtColor(cv2.resize(frame, (224, 224)), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(((rgb / np.float32(255) - MEAN) / STD).transpose(2, 0, 1).copy())[None]


def loop(out: TextIO) -> None:
    """Until the camera ends."""
    model = load(ROOT / "lvs_train/weights/default.safetensors").model.float().eval()
    sound = np.zeros(1, np.float32)

    def on_sound(data: np.ndarray, *_: object) -> None:
        nonlocal sound
        sound = np.concatenate([sound, data[:, 0]])[-RATE * SECONDS :]

    camera = cv2.VideoCapture(0, cv2.CAP_V4L2)
    with sounddevice.InputStream(samplerate=RATE, channels=1, callback=on_sound), torch.inference_mode():
        while True:
            there, frame = camera.read()
            if not there:
                return
            capture_ns = round(camera.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            image = model.embed_image(picture(frame))
            audio = model.embed_audio(spectrogram(sound))
            similarity = torch.einsum("bchw,bc->bhw", image, audio)[0].numpy()
            cv2.resize(similarity, (frame.shape[1], frame.shape[0]))
            out.write(json.dumps({"capture_ns": capture_ns, "output_ns": time.monotonic_ns()}) + "\n")
            out.flush()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w") as file:
        loop(file)
