"""Half precision: which parts are halved at trace time, and what half cannot hold.

Half stays out of everything whose numbers it cannot hold: the spectrogram (powers below 6e-8), the audio stem (it
subtracts a large constant from a small contrast), the norm (sums of squares near 65,504) and the cosine.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lvs_runtime.errors import ParityError
from lvs_train.model import Trunk

ACTIVATION_WARN = 1e4
ACTIVATION_LIMIT = 6e4


class HalfTrunk(nn.Module):
    """A folded trunk in half precision; `float_stem` leaves conv1, pool and ReLU in float32 (19 kB)."""

    def __init__(self, trunk: Trunk, float_stem: bool) -> None:
        super().__init__()
        self.inner = copy.deepcopy(trunk)
        self.float_stem = float_stem
        for name, module in self.inner.named_children():
            if not (float_stem and name in ("conv1", "bn1")):
                module.half()

    def forward(self, x: Tensor) -> Tensor:
        """(1, C, H, W) float32 -> (1, 512, H/16, W/16) half."""
        x = self.inner.stem(x).half() if self.float_stem else self.inner.stem(x.half())
        return self.inner.layers(x)


def half_image_trunk(trunk: Trunk) -> nn.Module:
    """The image trunk at half precision throughout (its input is normalised in float32 before)."""
    return HalfTrunk(trunk, float_stem=False)


def half_audio_trunk(trunk: Trunk) -> nn.Module:
    """The audio trunk at half precision behind a float32 stem."""
    return HalfTrunk(trunk, float_stem=True)


def largest_activation(trunk: nn.Module, inputs: Iterable[Tensor]) -> float:
    """Largest absolute output of any convolution of a float32 `trunk` over `inputs`."""
    peak = 0.0

    def watch(_module: nn.Module, _args: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal peak
        peak = max(peak, float(output.abs().max()))

    hooks = [m.register_forward_hook(watch) for m in trunk.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.inference_mode():
            for x in inputs:
                trunk(x)
    finally:
        for hook in hooks:
            hook.remove()
    return peak


def check_half_range(part: str, peak: float) -> str | None:
    """A warning when activations come near half's 65,504, None when they are far from it.

    Raises ParityError when the next louder clip would overflow.
    """
    if peak > ACTIVATION_LIMIT:
        raise ParityError(
            f"{part}, fp16: activations reach {peak:.3g}, half ends at 65504; nothing written. "
            "Export with --precision fp32 or --int8, or train with weight decay"
        )
    return f"{part}: activations reach {peak:.3g}, close to half's 65504" if peak > ACTIVATION_WARN else None
