"""Clips that an export is calibrated and measured on: a folder of the user's own, or the drawn world from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime.drawn import NOWHERE, training_pair
from lvs_runtime.errors import ConfigError, DataError, LvsError
from lvs_runtime.image import to_network
from lvs_runtime.metrics import SIZE_PX, boxes_to_target
from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_runtime.spectrogram import fit_length
from lvs_runtime.waveform import mono, resample

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
MIN_CALIBRATION = 16
SILENT_EVERY = 8  # one drawn clip in eight is silent: the ranges must cover what a live session mostly hears


@dataclass(frozen=True)
class Clip:
    """One picture with its sound, ready for the graphs, and where the sound's source is, as far as that is known."""

    name: str
    image: npt.NDArray[np.uint8]  # (1, size, size, 3) RGB
    waveform: npt.NDArray[np.float32]  # (1, num_samples)
    box_px: tuple[int, int, int, int] | None = None  # x0, y0, x1, y1 in the network's pixels
    weights: npt.NDArray[np.float32] | None = None  # (224, 224) in [0, 1] from annotations, instead of a box

    def target(self) -> npt.NDArray[np.float32] | None:
        """(224, 224) weights in [0, 1] of the source's place, for the metrics; None where it is not known."""
        if self.box_px is None:
            return self.weights
        return boxes_to_target([self.box_px], SIZE_PX, self.image.shape[1])


@dataclass(frozen=True)
class Material:
    """Calibration clips shape an int8 graph; parity clips, never the same ones, judge every graph."""

    source: str
    calibration: tuple[Clip, ...]
    parity: tuple[Clip, ...]


def drawn(audio: AudioSpec, image: ImageSpec, seed: int = 0, calibration: int = 32, parity: int = 16) -> Material:
    """Clips of the drawn world; the same seed gives the same clips."""
    rng = np.random.default_rng(seed)
    clips = [_drawn_clip(rng, number, audio, image) for number in range(calibration + parity)]
    source = f"drawn world, seed {seed}, {calibration} calibration and {parity} parity clips"
    return Material(source, tuple(clips[:calibration]), tuple(clips[calibration:]))


def _drawn_clip(rng: np.random.Generator, number: int, audio: AudioSpec, image: ImageSpec) -> Clip:
    silent = number % SILENT_EVERY == SILENT_EVERY - 1
    pair = training_pair(rng, size_px=image.size_px, seconds=audio.seconds, silent=silent)
    waveform = np.ascontiguousarray(fit_length(pair.waveform, audio.num_samples)[None], np.float32)
    box = None if pair.box_px == NOWHERE else pair.box_px
    return Clip(f"drawn_{number:03d}_{pair.label}", np.ascontiguousarray(pair.image_rgb[None]), waveform, box)


def folder(path: str | Path, audio: AudioSpec, image: ImageSpec, limit: int = 96) -> Material:
    """The clips of `read_folder`; every third one judges, the others calibrate."""
    path, clips, found = Path(path), read_folder(path, audio, image, limit), len(_pairs(Path(path)))
    parity = tuple(clips[2::3])
    calibration = tuple(clip for number, clip in enumerate(clips) if number % 3 != 2)
    if not any(clip.waveform.any() for clip in calibration):
        raise DataError(f"--calib {path}: all {len(clips)} sounds are silent; int8 ranges need clips that sound")
    source = f"folder {path.name}, {len(calibration)} calibration and {len(parity)} parity clips of {found}"
    return Material(source, calibration, parity)


def read_folder(
    path: str | Path,
    audio: AudioSpec,
    image: ImageSpec,
    limit: int = 96,
    flag: str = "--calib",
    least: int | None = None,
) -> list[Clip]:
    """Clips `frames/<id>.jpg` with `audio/<id>.wav`, in the order of their ids, at most `limit` spread over them.

    Where the source is comes from `boxes.json` or `boxes/*.xml` beside them, any annotation that lvs-train reads.
    Raises DataError when fewer than `least` (16) have picture and sound, or one cannot be read.
    """
    least = MIN_CALIBRATION if least is None else least
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{flag} {path}: no such folder; want frames/<id>.jpg and audio/<id>.wav inside")
    pairs = _pairs(path)
    if len(pairs) < least:
        frames, sounds = (len(_files(path / name, s)) for name, s in (("frames", IMAGE_SUFFIXES), ("audio", (".wav",))))
        raise DataError(
            f"{flag} {path}: {len(pairs)} pairs ({frames} pictures in frames/, {sounds} wav in audio/); "
            f"at least {least} clips with picture and sound under the same name are needed"
        )
    names = list(pairs)
    chosen = [names[i * len(names) // min(limit, len(names))] for i in range(min(limit, len(names)))]
    targets = _targets(path)
    return [_read_clip(name, *pairs[name], targets.get(name), audio, image, flag) for name in chosen]


def _pairs(path: Path) -> dict[str, tuple[Path, Path]]:
    """(picture, sound) by id, sorted."""
    frames = {file.stem: file for file in _files(path / "frames", IMAGE_SUFFIXES)}
    sounds = {file.stem: file for file in _files(path / "audio", (".wav",))}
    return {name: (frames[name], sounds[name]) for name in sorted(frames.keys() & sounds.keys())}


def _targets(path: Path) -> Mapping[str, Any]:
    from lvs_train.data.annotations import load_targets

    found = next((path / name for name in ("boxes.json", "boxes") if (path / name).exists()), None)
    return {} if found is None else load_targets(found, SIZE_PX)


def _files(path: Path, suffixes: Sequence[str]) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and file.is_file())


def _read_clip(name: str, frame: Path, sound: Path, target: Any, audio: AudioSpec, image: ImageSpec, flag: str) -> Clip:
    try:
        waveform = fit_length(_read_sound(sound, audio.sample_rate), audio.num_samples)
        picture = to_network(_read_image(frame), image)
    except (DataError, ConfigError) as error:
        raise DataError(f"{flag}: clip {name}: {error}") from error
    weights = None if target is None else np.asarray(target, np.float32)
    return Clip(name, picture, np.ascontiguousarray(waveform[None], np.float32), weights=weights)


def _read_image(path: Path) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 BGR."""
    try:
        import cv2
    except ImportError as error:
        raise LvsError(f"--calib needs opencv for pictures: pip install 'lvs[live]' ({error})") from None
    data = np.fromfile(path, np.uint8)
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if frame is None:
        raise DataError(f"{path} is not a readable picture ({data.size} bytes)")
    return np.asarray(frame, np.uint8)


def _read_sound(path: Path, rate_hz: int) -> npt.NDArray[np.float32]:
    """(N,) float32 at `rate_hz`, channels averaged."""
    try:
        import soundfile
    except ImportError as error:
        raise LvsError(f"--calib needs soundfile for sounds: pip install 'lvs[live]' ({error})") from None
    try:
        samples, found_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(f"{path} is not a readable sound ({error})") from error
    return resample(mono(samples), int(found_hz), rate_hz)
