"""The dual ResNet18 and its similarity map (LVS, CVPR 2021, section 3.1; official code: models/, model.py).

Shapes: B images, K audio clips, C = 512 channels, H = W = 14 cells, T spectrogram frames.

    image       (B, 3, 224, 224)  normalised        ->  image embedding  (B, C, H, W)  unit vectors over C
    spectrogram (K, 1, 257, T)    log power / 12    ->  audio embedding  (K, C)        unit vectors
    similarity  S[b, k, h, w] = <image[b, :, h, w], audio[k]>   in [0, 1]: both trunks end in a ReLU

Against torchvision's ResNet18 the one computational difference is layer4's stride of 1 (stride 16 in all). The stem
pools before its ReLU: the same values bit for bit, since ReLU is monotone, and much faster once quantised.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDING_SIZE = 512
NORM_EPS = 1e-12


class BasicBlock(nn.Module):
    """ResNet's basic block, torchvision's names."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.downsample: nn.Module | None = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:
        """(B, cin, H, W) -> (B, cout, H / stride, W / stride)."""
        identity = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + identity)


class Trunk(nn.Module):
    """ResNet18 up to layer4's ReLU with layer4 at stride 1: (B, cin, H, W) -> (B, 512, H/16, W/16)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 1)]
        for number, (cin, cout, stride) in enumerate(widths, start=1):
            setattr(self, f"layer{number}", nn.Sequential(BasicBlock(cin, cout, stride), BasicBlock(cout, cout, 1)))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stem(self, x: Tensor) -> Tensor:
        """conv1, bn1, max-pool, ReLU (in that order: see the module's text)."""
        return F.relu(F.max_pool2d(self.bn1(self.conv1(x)), 3, 2, 1))

    def layers(self, x: Tensor) -> Tensor:
        """layer1 ... layer4."""
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Spatial features, all >= 0."""
        return self.layers(self.stem(x))


def unit(x: Tensor, dim: int = 1) -> Tensor:
    """L2-normalise over `dim` in float32; an all-zero vector stays zero (torch's own eps underflows in half).

    The floor stands below the root: a root of zero has an infinite slope, and its gradient is NaN.
    """
    x = x.float()
    return x / x.square().sum(dim, keepdim=True).clamp_min(NORM_EPS**2).sqrt()


class Heads(nn.Module):
    """What stands between the trunks' outputs and the shared space. Plain here: nothing; rivals have layers of theirs.

    A map is always `<image(x), audio(y)>`, so every objective is trained, stored and evaluated by the same code.
    """

    objective = "trimap"

    def image(self, cells: Tensor) -> Tensor:
        """Trunk output (B, 512, H, W) -> image embedding (B, C, H, W), float32."""
        return unit(cells)

    def audio(self, cells: Tensor) -> Tensor:
        """Trunk output (K, 512, h, w) -> audio embedding (K, C), float32; max over time and frequency."""
        return unit(cells.float().amax((2, 3)))

    def options(self) -> dict[str, Any]:
        """What the constructor needs to build these heads again (plain values)."""
        return {}


class DualResNet(nn.Module):
    """Image and audio trunk, and heads; see the module's text for shapes."""

    def __init__(self, heads: Heads | None = None) -> None:
        super().__init__()
        self.image = Trunk(in_channels=3)
        self.audio = Trunk(in_channels=1)
        self.heads = heads or Heads()

    def embed_image(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, 512, H/16, W/16) unit vectors, float32."""
        return self.heads.image(self.image(image))

    def embed_audio(self, spectrogram: Tensor) -> Tensor:
        """(K, 1, 257, T) -> (K, 512) unit vectors, float32; max over time and frequency."""
        return self.heads.audio(self.audio(spectrogram))

    def forward(self, image: Tensor, spectrogram: Tensor) -> Tensor:
        """Own-pair similarity maps: B images, B spectrograms -> (B, H, W)."""
        return torch.einsum("bchw,bc->bhw", self.embed_image(image), self.embed_audio(spectrogram))

    def cross(self, image: Tensor, spectrogram: Tensor) -> Tensor:
        """All pairs: B images, K spectrograms -> (B, K, H, W), axis order (image, audio)."""
        return cross_similarity(self.embed_image(image), self.embed_audio(spectrogram))


def cross_similarity(image_embedding_BCHW: Tensor, audio_embedding_KC: Tensor) -> Tensor:
    """Cosine of every cell with every audio: (B, C, H, W), (K, C) -> (B, K, H, W), float32."""
    with torch.autocast(image_embedding_BCHW.device.type, enabled=False):
        return torch.einsum("bchw,kc->bkhw", image_embedding_BCHW.float(), audio_embedding_KC.float())
