"""Training pairs as files, in the layout that every reader of this field knows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from lvs_runtime.errors import ConfigError
from lvs_runtime.spec import AudioSpec, ImageSpec

from ..config import Recipe
from ..prepare import stage_data


def write_clips(recipe: Recipe, out: Path, number: int) -> int:
    """Write `number` pairs of the recipe's last stage as frames/<id>.jpg and audio/<id>.wav; returns how many.

    Raises ConfigError when `out` holds clips already or cannot be written.
    """
    import cv2
    import soundfile

    audio, image = AudioSpec(), ImageSpec()
    stage = msgspec.structs.replace(recipe.stages[-1], kind="trimap", seconds=(audio.seconds, audio.seconds))
    data = stage_data(recipe, stage, audio, image, len(recipe.stages))
    if (out / "frames").exists():
        raise ConfigError(f"--out {out}: holds clips already; choose a new folder")
    try:
        (out / "frames").mkdir(parents=True)
        (out / "audio").mkdir()
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot be written ({error.strerror})") from error
    written = step = 0
    while written < number:
        batch = data.batch(step)
        for picture, waveform, label in zip(batch.images, batch.waveforms, batch.labels, strict=False):
            if written == number:
                break
            name = f"{written:05d}_{label}"
            cv2.imwrite(str(out / "frames" / f"{name}.jpg"), np.ascontiguousarray(picture[..., ::-1]), [1, 95])
            soundfile.write(out / "audio" / f"{name}.wav", waveform, audio.sample_rate)
            written += 1
        step += 1
    return written
