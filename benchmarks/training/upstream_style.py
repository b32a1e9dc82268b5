"""A training loop as the published code of the field has it, for comparison.

Written from the description of the LVS model and of SSL-TIE's main loop (which keeps the LVS forward), not from their
files: PIL decode and bicubic resize, scipy's spectrogram in float64 for each clip, loader workers, `.float()` on the
device, NCHW float32 without autocast, both trunks in every step, the B x B x 14 x 14 cross map with three sigmoid maps
in full and the quotients of the released loss, Adam, the loss and top-k read back in every step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Clips(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """frames/<id>.jpg and audio/<id>.wav; picture squashed to 224, sound tiled or cut to `seconds`."""

    def __init__(self, root: Path, seconds: float) -> None:
        self.root, self.seconds = root, seconds
        self.ids = sorted(p.stem for p in (root / "frames").glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        import soundfile
        from PIL import Image
        from scipy.signal import spectrogram

        name = self.ids[index]
        with Image.open(self.root / "frames" / f"{name}.jpg") as picture:
            image = np.asarray(picture.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC), np.float32) / 255
        image = (image - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        samples, rate = soundfile.read(self.root / "audio" / f"{name}.wav")
        wanted = int(rate * self.seconds)
        samples = np.tile(samples, wanted // len(samples) + 1)[:wanted].clip(-1, 1)
        power = spectrogram(samples, rate, nperseg=512, noverlap=274)[2]
        return torch.from_numpy(image.transpose(2, 0, 1)), torch.from_numpy(np.log(power + 1e-7) / 12)[None]


def released_logits(cells: Tensor, sound: Tensor) -> Tensor:
    """The released forward behind the trunks: (B, 512, 14, 14), (B, 512) normalised -> (B, B + 2) logits."""
    own = torch.einsum("nchw,nc->nhw", cells, sound)[:, None]
    cross = torch.einsum("nchw,kc->nkhw", cells, sound)
    positive = torch.sigmoid((own - 0.65) / 0.03)
    negative = 1 - torch.sigmoid((own - 0.4) / 0.03)
    everything = torch.sigmoid((cross - 0.65) / 0.03)
    pos = (positive * own).flatten(1).sum(1) / positive.flatten(1).sum(1)
    hard = (negative * own).flatten(1).sum(1) / negative.flatten(1).sum(1)
    easy = (everything * cross).flatten(2).sum(2) / everything.flatten(2).sum(2)
    easy = easy * (1 - 100 * torch.eye(len(cells), device=cells.device))
    return torch.cat([pos[:, None], easy, hard[:, None]], 1) / 0.07


def step(model: Any, optimiser: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], device: torch.device) -> float:
    """One step; returns the loss, read back at once as the original does."""
    images, sounds = (x.to(device).float() for x in batch)
    cells = nn.functional.normalize(model.image(images), dim=1)
    sound = nn.functional.normalize(nn.functional.adaptive_max_pool2d(model.audio(sounds), 1).flatten(1), dim=1)
    logits = released_logits(cells, sound)
    loss = nn.functional.cross_entropy(logits, torch.zeros(len(images), dtype=torch.long, device=device))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    logits.topk(min(5, logits.shape[1]), 1).indices.eq(0).sum().item()
    return float(loss.item())
