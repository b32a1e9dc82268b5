"""The two front ends as modules with fixed weights: they train, they export, and they equal the numpy oracle."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvs_runtime.spec import AudioSpec, ImageSpec


def tukey(num_samples: int, alpha: float = 0.25) -> Tensor:
    """Periodic Tukey window in float64, scipy's `('tukey', 0.25)` with `fftbins=True`."""
    n = torch.arange(num_samples, dtype=torch.float64)
    edge = alpha * num_samples / 2
    rise = 0.5 * (1 + torch.cos(math.pi * (n / edge - 1)))
    fall = 0.5 * (1 + torch.cos(math.pi * (n / edge - 2 / alpha + 1)))
    return torch.where(n < edge, rise, torch.where(n <= num_samples - edge, torch.ones_like(n), fall))


def dft_kernel(spec: AudioSpec) -> Tensor:
    """(2 * num_bins, 1, n_fft) float32: window, per-frame detrend and PSD scaling folded into one convolution.

    `<R, x - mean(x)> = <R - mean(R), x>`, so the detrend of scipy is a mean taken off each kernel row.
    """
    window = tukey(spec.n_fft)
    bins = torch.arange(spec.num_bins, dtype=torch.float64)[:, None]
    angle = 2 * math.pi * torch.remainder(bins * torch.arange(spec.n_fft, dtype=torch.float64), spec.n_fft) / spec.n_fft
    one_sided = torch.full((spec.num_bins, 1), 2.0, dtype=torch.float64)
    one_sided[0] = one_sided[-1] = 1.0
    gain = torch.sqrt(one_sided / (spec.sample_rate * window.square().sum()))
    rows = torch.cat([gain * window * torch.cos(angle), -gain * window * torch.sin(angle)])
    return (rows - rows.mean(1, keepdim=True)).float()[:, None]


class LogSpectrogram(nn.Module):
    """Waveform (B, N) float in [-1, 1] at `spec.sample_rate` -> (B, 1, num_bins, frames) = log(PSD + floor) / scale.

    Equals `log(scipy.signal.spectrogram(x, 16000, nperseg=512, noverlap=274) + 1e-7) / 12` within 1e-5.
    """

    kernel: Tensor

    def __init__(self, spec: AudioSpec | None = None) -> None:
        super().__init__()
        self.spec = spec or AudioSpec()
        self.register_buffer("kernel", dft_kernel(self.spec), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """See the class. Always float32: the PSD's numbers lie far below half's range."""
        with torch.autocast(waveform.device.type, enabled=False):
            x = waveform.float().clamp(-1, 1)[:, None]
            parts = F.conv1d(x, self.kernel, stride=self.spec.hop_length).square()
            power = parts[:, : self.spec.num_bins] + parts[:, self.spec.num_bins :]
            return (torch.log(power + self.spec.floor) / self.spec.scale)[:, None]


class ImageNormalize(nn.Module):
    """uint8 RGB (B, H, W, 3) -> (B, 3, H, W) float32, ImageNet mean and deviation; cast first, then transpose.

    TensorRT refuses a transpose of uint8. The mean is never folded into conv1's bias: zero padding would turn grey.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, spec: ImageSpec | None = None) -> None:
        super().__init__()
        self.spec = spec or ImageSpec()
        mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (self.spec.mean, self.spec.std))
        self.register_buffer("scale", (1 / (255 * std)).float(), persistent=False)
        self.register_buffer("shift", (-mean / std).float(), persistent=False)

    def forward(self, image_BHWC: Tensor) -> Tensor:
        """See the class."""
        return image_BHWC.float().permute(0, 3, 1, 2) * self.scale + self.shift
