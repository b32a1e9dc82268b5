"""The export that a first attempt gives: one graph, float32, STFT operator, NCHW float input, default settings."""

from __future__ import annotations

import copy
import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lvs_runtime.spec import AudioSpec
from lvs_train.frontend import tukey
from lvs_train.model import DualResNet


class Naive(nn.Module):
    """(1, 3, 224, 224) normalised, (1, N) waveform -> (1, 14, 14); the spectrogram by `torch.stft`, no detrend."""

    window: Tensor

    def __init__(self, model: DualResNet, spec: AudioSpec) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).float().eval()
        self.spec = spec
        self.register_buffer("window", tukey(spec.n_fft).float())

    def forward(self, image: Tensor, waveform: Tensor) -> Tensor:
        """Picture and sound to similarity map, everything every time."""
        spec = self.spec
        bins = torch.stft(
            waveform, spec.n_fft, spec.hop_length, window=self.window, center=False, onesided=True, return_complex=True
        )
        parts = torch.view_as_real(bins).square().sum(-1)
        power = 2 * parts / (spec.sample_rate * self.window.square().sum())
        spectrogram = (torch.log(power + spec.floor) / spec.scale)[:, None]
        similarity: Tensor = self.model(image, spectrogram)
        return similarity


def export(model: DualResNet, spec: AudioSpec, path: Path) -> None:
    """Write it the way the exporter's own documentation shows."""
    example: tuple[Any, ...] = (torch.zeros(1, 3, 224, 224), torch.zeros(1, spec.num_samples))
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(Naive(model, spec), example, str(path), dynamo=True, external_data=False)
