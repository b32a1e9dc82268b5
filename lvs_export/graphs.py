"""The exported modules: raw input in, unit vectors or similarity out, everything between inside the graph.

Shapes (B is 1 unless the export is dynamic):

    ImageGraph   image (B, size, size, 3) uint8 RGB, or any size            -> (B, 512, grid, grid) unit vectors
    AudioGraph   waveform (B, N) float32 in [-1, 1] at the spec's rate      -> (B, 512)             unit vectors
    FusedGraph   both                                                       -> similarity (B, grid, grid)

BatchNorm is folded here, in float64 and before any halving, so each weight is rounded once and no exporter pass is
trusted with it. The mean of the picture stays an addition in front of conv1: folding it would change the padding.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.frontend import ImageNormalize, LogSpectrogram
from lvs_train.model import BasicBlock, DualResNet, Trunk, unit


class ImageGraph(nn.Module):
    """uint8 RGB picture to unit vectors a cell; see the module's text."""

    def __init__(self, trunk: nn.Module, spec: ImageSpec, resize: bool = False) -> None:
        super().__init__()
        self.normalize = ImageNormalize(spec)
        self.trunk = trunk
        self.resize = resize

    def forward(self, image: Tensor) -> Tensor:
        """(B, size, size, 3) uint8 -> (B, 512, grid, grid) float32; with `resize` (B, any, any, 3)."""
        return unit(self.trunk(self.squashed(image) if self.resize else self.normalize(image)))

    def squashed(self, image: Tensor) -> Tensor:
        """As `normalize`, after an antialiased cubic resize (a = -0.5, PIL's): (B, 3, size, size)."""
        planes = image.float().permute(0, 3, 1, 2)
        side = self.normalize.spec.size_px
        small = F.interpolate(planes, (side, side), mode="bicubic", antialias=True).clamp(0, 255)
        return small * self.normalize.scale + self.normalize.shift


class AudioGraph(nn.Module):
    """Waveform to one unit vector, the spectrogram as a convolution inside; see the module's text."""

    def __init__(self, trunk: nn.Module, spec: AudioSpec) -> None:
        super().__init__()
        self.spectrogram = LogSpectrogram(spec)
        self.trunk = trunk

    def forward(self, waveform: Tensor) -> Tensor:
        """(B, N) float32 -> (B, 512) float32."""
        return unit(self.trunk(self.spectrogram(waveform)).float().amax((2, 3)))


class FusedGraph(nn.Module):
    """Picture and sound to the similarity map in one call."""

    def __init__(self, image: nn.Module, audio: nn.Module) -> None:
        super().__init__()
        self.image = image
        self.audio = audio

    def forward(self, image: Tensor, waveform: Tensor) -> Tensor:
        """uint8 pictures and waveforms -> (B, grid, grid) float32 in [0, 1]."""
        return head(self.image(image), self.audio(waveform))


def head(image_embedding: Tensor, audio_embedding: Tensor) -> Tensor:
    """(B, 512, H, W) and (B, 512) -> (B, H, W): one matrix product."""
    flat = torch.matmul(audio_embedding[:, None], image_embedding.flatten(2))
    return flat.reshape(-1, *image_embedding.shape[2:])


def folded(trunk: Trunk) -> Trunk:
    """A float32 copy in eval mode whose convolutions carry their BatchNorm; equal to the original within rounding."""
    trunk = copy.deepcopy(trunk).float().cpu().eval()
    _fold_pair(trunk, "conv1", "bn1")
    for block in trunk.modules():
        if isinstance(block, BasicBlock):
            _fold_pair(block, "conv1", "bn1")
            _fold_pair(block, "conv2", "bn2")
            if isinstance(block.downsample, nn.Sequential):
                conv, norm = block.downsample
                assert isinstance(conv, nn.Conv2d)
                block.downsample = _fold(conv, norm)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in trunk.modules())
    return trunk.requires_grad_(False)


def reference_graph(model: DualResNet, image: ImageSpec, audio: AudioSpec) -> FusedGraph:
    """The unfolded float32 model behind the same inputs: what every export is measured against."""
    model = copy.deepcopy(model).float().cpu().eval().requires_grad_(False)
    return FusedGraph(ImageGraph(model.image, image), AudioGraph(model.audio, audio)).eval()


def _fold_pair(owner: nn.Module, conv: str, norm: str) -> None:
    """Fold `owner.norm` into `owner.conv` and leave an identity in its place, so that the forward stays the same."""
    first = getattr(owner, conv)
    assert isinstance(first, nn.Conv2d)
    setattr(owner, conv, _fold(first, getattr(owner, norm)))
    setattr(owner, norm, nn.Identity())


def _fold(conv: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    """conv followed by norm as one convolution with bias, computed in float64."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    out = nn.Conv2d(
        conv.in_channels, conv.out_channels, _pair(conv.kernel_size), _pair(conv.stride), _padding(conv), bias=True
    )
    assert out.bias is not None
    with torch.no_grad():
        out.weight.copy_(conv.weight.double() * gain[:, None, None, None])
        out.bias.copy_(norm.bias.double() - norm.running_mean.double() * gain)
    return out.eval()


def _pair(value: tuple[int, ...]) -> tuple[int, int]:
    height, width = value
    return height, width


def _padding(conv: nn.Conv2d) -> tuple[int, int]:
    assert not isinstance(conv.padding, str)
    return _pair(conv.padding)
