"""Random changes that take the shortcuts away: sharpness, colour, loudness, bandwidth and background of a source.

Random ones take a numpy Generator first; all return new arrays. Pictures are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Waveform = npt.NDArray[np.float32]


def random_crop(rng: np.random.Generator, image: Image, size: tuple[int, int], min_area: float = 0.4) -> Image:
    """Resized crop of `min_area`...1 of the picture, aspect 3/4...4/3, mirrored at random, to (width, height)."""
    import cv2

    height, width = image.shape[:2]
    area, aspect = rng.uniform(min_area, 1) * height * width, np.exp(rng.uniform(np.log(0.75), np.log(4 / 3)))
    w, h = min(width, round(np.sqrt(area * aspect))), min(height, round(np.sqrt(area / aspect)))
    x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
    crop = image[y : y + h, x : x + w]
    shrink = w > size[0]
    resized = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    return np.asarray(resized[:, ::-1] if rng.random() < 0.5 else resized, np.uint8)


def degrade(rng: np.random.Generator, image: Image, strength: float = 1.0) -> Image:
    """Random sharpness (through a smaller size), colour jitter, grey, JPEG: sources must not be told by their look."""
    import cv2

    out: npt.NDArray[Any] = image
    size = (image.shape[1], image.shape[0])
    if rng.random() < 0.6 * strength:
        scale = rng.uniform(0.35, 1.0)
        small = (max(8, round(size[0] * scale)), max(8, round(size[1] * scale)))
        out = cv2.resize(cv2.resize(out, small, interpolation=cv2.INTER_AREA), size, interpolation=cv2.INTER_LINEAR)
    gain = rng.uniform(1 - 0.35 * strength, 1 + 0.35 * strength, 3) if rng.random() < 0.3 else np.ones(3)
    gain = gain * rng.uniform(1 - 0.4 * strength, 1 + 0.4 * strength)
    mixed = out.astype(np.float32)
    if rng.random() < 0.12 * strength:
        mixed[:] = mixed.mean(2, keepdims=True)
    contrast = rng.uniform(1 - 0.4 * strength, 1 + 0.4 * strength)
    middle = float(mixed.mean())
    mixed = ((mixed - middle) * contrast + middle) * gain.astype(np.float32)
    if rng.random() < 0.3 * strength:
        mixed += rng.normal(0, rng.uniform(1, 8), mixed.shape).astype(np.float32)
    return np.asarray(mixed.clip(0, 255), np.uint8)


def squash_crop(rng: np.random.Generator, image: Image, size_px: int) -> Image:
    """The paper's training picture: squash to 246 of 224 (bicubic), random crop, mirror. Never a centre crop."""
    import cv2

    large = round(size_px * 246 / 224)
    squashed = cv2.resize(image, (large, large), interpolation=cv2.INTER_CUBIC)
    x, y = rng.integers(0, large - size_px + 1, 2)
    crop = squashed[y : y + size_px, x : x + size_px]
    return np.asarray(crop[:, ::-1] if rng.random() < 0.5 else crop, np.uint8)


def appearance(rng: np.random.Generator, image: Image) -> Image:
    """SSL-TIE's look: jitter .4 .4 .4 .1 (p .8), grey (.2), blur of sigma .1-2 (.5), by torchvision's functions.

    Drawn from `rng`, not from torch's global state, so that a step's pictures depend on the seed and the step alone.
    """
    import torch
    from torchvision.transforms.v2 import functional as tv

    picture = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    if rng.random() < 0.8:
        bright, contrast, saturation = (float(v) for v in rng.uniform(0.6, 1.4, 3))
        picture = tv.adjust_brightness(picture, bright)
        picture = tv.adjust_contrast(picture, contrast)
        picture = tv.adjust_saturation(picture, saturation)
        picture = tv.adjust_hue(picture, float(rng.uniform(-0.1, 0.1)))
    if rng.random() < 0.2:
        picture = tv.rgb_to_grayscale(picture, 3)
    if rng.random() < 0.5:
        picture = tv.gaussian_blur(picture, [23, 23], [float(rng.uniform(0.1, 2.0))] * 2)
    return np.asarray(picture.permute(1, 2, 0).numpy(), np.uint8)


def cut_waveform(rng: np.random.Generator, waveform: Waveform, num_samples: int) -> Waveform:
    """A random stretch of `num_samples`; shorter sound is repeated (never padded: length would be a cue)."""
    if len(waveform) < num_samples:
        waveform = np.tile(waveform, num_samples // len(waveform) + 1)
        shift = int(rng.integers(0, len(waveform)))
        return np.roll(waveform, shift)[:num_samples]
    first = int(rng.integers(0, len(waveform) - num_samples + 1))
    return waveform[first : first + num_samples]


def band_limit(rng: np.random.Generator, waveform: Waveform, sample_rate: int) -> Waveform:
    """Low-pass at a random 3.5-8 kHz and sometimes high-pass at 40-200 Hz: sources differ in bandwidth."""
    spectrum = np.fft.rfft(waveform)
    hz = np.fft.rfftfreq(len(waveform), 1 / sample_rate)
    spectrum *= 1 / (1 + (hz / rng.uniform(3500, 8000)) ** 24)
    if rng.random() < 0.5:
        spectrum *= (hz > rng.uniform(40, 200)).astype(np.float32)
    return np.asarray(np.fft.irfft(spectrum, len(waveform)), np.float32)


def add_background(waveform: Waveform, background: Waveform, snr_db: float) -> Waveform:
    """Add `background` so that the power ratio is `snr_db`."""
    own, other = np.square(waveform).mean(), np.square(background).mean()
    if other <= 0 or own <= 0:
        return waveform
    return np.asarray(waveform + background * np.sqrt(own / other / 10 ** (snr_db / 10)), np.float32)


def set_level(rng: np.random.Generator, waveform: Waveform, low_dbfs: float = -34, high_dbfs: float = -10) -> Waveform:
    """Scale to a random RMS level, clipped to [-1, 1]: loudness must not tell the class."""
    rms = float(np.sqrt(np.square(waveform).mean()))
    if rms <= 1e-6:
        return waveform
    gain = 10 ** (rng.uniform(low_dbfs, high_dbfs) / 20) / rms
    return np.asarray((waveform * gain).clip(-1, 1), np.float32)


def mask_spectrogram(
    rng: np.random.Generator,
    spectrogram: npt.NDArray[np.float32],
    fill: float,
    max_bins: int = 35,
    max_frames: int = 24,
) -> npt.NDArray[np.float32]:
    """SpecAugment on log power, in place of a copy: masked values take the floor's value, not 0 (which is loud)."""
    out = spectrogram.copy()
    bins, frames = int(rng.integers(0, max_bins + 1)), int(rng.integers(0, min(max_frames, out.shape[1] // 4) + 1))
    low, first = int(rng.integers(0, out.shape[0] - bins + 1)), int(rng.integers(0, out.shape[1] - frames + 1))
    out[low : low + bins] = fill
    out[:, first : first + frames] = fill
    return out
