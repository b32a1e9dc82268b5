"""What all three packages must agree on: the shape and scaling of the two network inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpec:
    """The log spectrogram of the official LVS code: `scipy.signal.spectrogram(x, 16000, nperseg=512, noverlap=274)`.

    `hop_length` 238 gives the code's 257x200 for 3 s; 159 gives the 257x299 that the paper rounds to 257x300.
    `seconds` is the window one training item sees; the encoder is fully convolutional and takes any length of at
    least `n_fft` samples.
    """

    sample_rate: int = 16_000
    n_fft: int = 512
    hop_length: int = 238
    seconds: float = 3.0
    floor: float = 1e-7
    scale: float = 12.0

    def __post_init__(self) -> None:
        if self.n_fft < 2 or self.n_fft % 2 or not 0 < self.hop_length <= self.n_fft:
            raise ConfigError(
                f"AudioSpec: n_fft={self.n_fft}, hop_length={self.hop_length}; want even n_fft >= hop > 0"
            )
        if self.sample_rate <= 0 or self.floor <= 0 or self.scale <= 0 or self.num_samples < self.n_fft:
            raise ConfigError(
                f"AudioSpec: {asdict(self)}: rate, floor, scale > 0 and at least n_fft samples are needed"
            )

    @property
    def num_samples(self) -> int:
        """Samples in one training window."""
        return round(self.seconds * self.sample_rate)

    @property
    def num_bins(self) -> int:
        """Frequency bins, `n_fft / 2 + 1`."""
        return self.n_fft // 2 + 1

    def num_spec_frames(self, num_samples: int | None = None) -> int:
        """Spectrogram frames that `num_samples` samples yield (no padding, no centring)."""
        n = self.num_samples if num_samples is None else num_samples
        return max(0, (n - self.n_fft) // self.hop_length + 1)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for manifests and checkpoints."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """The picture input: squashed to `size_px` squared (never centre-cropped), RGB, ImageNet mean and deviation."""

    size_px: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    stride_px: int = 16

    def __post_init__(self) -> None:
        if self.size_px <= 0 or self.size_px % self.stride_px:
            raise ConfigError(f"ImageSpec: size_px={self.size_px} must be a positive multiple of {self.stride_px}")
        if min(self.std) <= 0:
            raise ConfigError(f"ImageSpec: std={self.std} must be > 0")

    @property
    def grid(self) -> int:
        """Cells a side of the similarity map (14)."""
        return self.size_px // self.stride_px

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for manifests and checkpoints."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}
