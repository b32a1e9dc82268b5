"""One picture and one sound in, one `Result` out. No threads, no clock but for stamps, no state: share it freely.

frame ──► 224 x 224 RGB ──► image graph ──► (512, 14, 14) ┐
                                                          ├─► similarity (14, 14) ──► peak, boxes, confidence
waveform ──► mono 16 kHz ──► audio graph ──► (512,) ──────┘
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .backends import Backend, open_backend
from .bundle import LIVE_PARTS, Bundle
from .errors import ConfigError
from .gate import level_dbfs
from .heatmap import boxes_px, peak_px
from .image import check_frame, to_network
from .results import Box, Result
from .spectrogram import fit_length
from .waveform import mono, resample

BOX_CONFIDENCE = 0.5  # boxes are shown from here on
MIN_DYNAMIC_SAMPLES = 8_000
MAX_DYNAMIC_SECONDS = 10.0  # the longest window the official evaluation uses; bounds time and memory
MAX_BATCH = 32  # pictures that a graph of variable batch sees at once: bounds memory, more gains nothing


class Localizer:
    """Runs a bundle. Every method may be called from several threads at once.

    Of a bundle that holds only the fused graph (`lvs-export --fused`) `localize` works in one call, and methods that
    give embeddings raise `BundleError`.
    """

    def __init__(self, bundle: Bundle, backend: Backend, device: str = "cpu") -> None:
        """Of a checked bundle and a back end that runs it; `from_bundle` makes both."""
        self.bundle = bundle
        self.backend = backend
        self.device = device
        self.thresholds: Mapping[str, float] = bundle.thresholds
        samples = bundle.manifest.sound_input.shape[1]
        self.num_samples: int | None = samples if isinstance(samples, int) else None

    @classmethod
    def from_bundle(cls, path: str | Path | None = None, device: str = "cpu", threads: int | None = None) -> Localizer:
        """Open the bundle in folder `path` (None: the one shipped with this package) on `device`.

        `device`: "cpu", "openvino", "cuda", "tensorrt", "rtx", "ep:NAME[=PATH]", or "auto" for the fastest here.
        `threads`: CPU threads of one inference; default physical cores, at most 4. Raises `BundleError`,
        `DeviceError`, `ConfigError`.
        """
        bundle = Bundle.open(path)
        return cls(bundle, open_backend(bundle, device, threads), device)

    def close(self) -> None:
        """Let the engine's sessions go; nothing can be run from here on."""
        self.backend.close()

    @property
    def provider(self) -> str:
        """What really runs, e.g. "CPUExecutionProvider"."""
        return self.backend.provider

    @property
    def precision(self) -> str:
        """Effective: "fp32", "fp16" or "int8"; "fp16 as fp32" where half weights are widened; see `Backend`."""
        return self.backend.precision

    @property
    def nodes(self) -> dict[str, int] | None:
        """Graph nodes by what runs them, None where the runtime does not tell; see `Backend`."""
        return self.backend.nodes

    def localize(self, frame_bgr: npt.NDArray[np.uint8], waveform: npt.NDArray[Any], sample_rate: int) -> Result:
        """Where in the frame (H, W, 3) uint8 BGR is the source of the sound?

        `waveform`: float in [-1, 1], (N,) or (N, channels), at `sample_rate` Hz (not 16000: needs soxr). A sound
        shorter than the network's window is repeated, a longer one cut at its end. Raises `ConfigError`, `DataError`.
        """
        start_ns = time.monotonic_ns()
        frame = check_frame(frame_bgr)
        sound = resample(mono(waveform), sample_rate, self.bundle.audio.sample_rate)[: self._longest]
        picture = self.prepare_image(frame)
        marks = [start_ns, time.monotonic_ns()]
        if self.bundle.live_parts == LIVE_PARTS:
            image_embedding = self.embed_prepared(picture)
            marks.append(time.monotonic_ns())
            audio_embedding = self.embed_audio(sound)
            marks.append(time.monotonic_ns())
            similarity_map = self.similarity(image_embedding, audio_embedding)
        else:
            similarity_map = self._fused(picture, sound)
        marks.append(time.monotonic_ns())
        stages = ("pre", "image", "audio", "head") if len(marks) == 5 else ("pre", "fused")
        spans = zip(stages, marks[:-1], marks[1:], strict=True)
        length_ns = round(len(sound) / self.bundle.audio.sample_rate * 1e9)
        return self.result(
            similarity_map,
            (frame.shape[1], frame.shape[0]),
            level_dbfs(sound, self.bundle.audio.sample_rate),
            capture_ns=start_ns,
            arrival_ns=start_ns,
            audio_start_ns=start_ns - length_ns,
            audio_end_ns=start_ns,
            stages_ms={name: (end - begin) / 1e6 for name, begin, end in spans},
        )

    def prepare_image(self, frame_bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Frame (H, W, 3) uint8 BGR -> the image graph's input (1, 224, 224, 3) uint8 RGB."""
        return to_network(frame_bgr, self.bundle.image)

    def embed_prepared(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """(1, 224, 224, 3) uint8 RGB from `prepare_image` -> (512, 14, 14) float32, unit vectors over axis 0."""
        embedding: npt.NDArray[np.float32] = self._run("image", picture)[0]
        return embedding

    def embed_image(self, frame_bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Frame (H, W, 3) uint8 BGR -> (512, 14, 14) float32, unit vectors over the first axis."""
        return self.embed_prepared(self.prepare_image(frame_bgr))

    def embed_images(
        self, frames_bgr: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.float32]:
        """N frames, each (H, W, 3) uint8 BGR of any size (or one array (N, H, W, 3)) -> (N, 512, 14, 14) float32.

        A graph of variable batch sees up to 32 pictures at once, one of batch 1 sees each by itself; the values are
        those of `embed_image` but for rounding. N = 0 gives an empty array.
        """
        spec = self.bundle.part("image")
        shape = tuple(n for n in spec.output.shape[1:] if isinstance(n, int))
        batch = spec.only_input.shape[0]
        step = batch if isinstance(batch, int) else MAX_BATCH
        embeddings = np.empty((len(frames_bgr), *shape), np.float32)
        for start in range(0, len(frames_bgr), step):
            chosen = [self.prepare_image(frame) for frame in frames_bgr[start : start + step]]
            embeddings[start : start + len(chosen)] = self._run("image", np.concatenate(chosen))
        return embeddings

    def embed_audio(self, waveform_16k: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(N,) float in [-1, 1] at the bundle's rate -> (512,) float32, a unit vector.

        A graph of fixed length gets the sound repeated or cut to it; another takes 8,000 samples to 10 s as they are.
        """
        embedding: npt.NDArray[np.float32] = self._run("audio", self._fitted(waveform_16k))[0]
        return embedding

    def similarity(
        self, image_embedding: npt.NDArray[np.float32], audio_embedding: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Cosine of every cell with the sound: (512, 14, 14), (512,) -> (14, 14) float32."""
        channels, rows, columns = image_embedding.shape
        cosine: npt.NDArray[np.float32] = audio_embedding @ image_embedding.reshape(channels, rows * columns)
        return np.clip(cosine.reshape(rows, columns), -1.0, 1.0)  # unit vectors: only rounding can lead outside

    def result(
        self,
        similarity_map: npt.NDArray[np.float32],
        image_size_px: tuple[int, int],
        level_dbfs: float,
        audible: bool | None = None,
        **stamps: Any,
    ) -> Result:
        """Apply the bundle's thresholds to a map. `stamps` are further fields of `Result` (`capture_ns=...`).

        `audible` None: the level reaches `audible_on_dbfs`. `output_ns` is now unless given.
        """
        start_ns = time.monotonic_ns()
        if not np.isfinite(similarity_map).all():
            raise ConfigError("similarity map has NaN or infinity: the bundle's weights or the device are faulty")
        if audible is None:
            audible = level_dbfs >= self.thresholds["audible_on_dbfs"]
        strongest = float(similarity_map.max())
        confidence = self._confidence(strongest) if audible else 0.0
        box_threshold = max(self.thresholds["box_similarity"], self.thresholds["box_relative"] * strongest)
        boxes: tuple[Box, ...] = ()
        if confidence >= BOX_CONFIDENCE:
            boxes = boxes_px(similarity_map, image_size_px, box_threshold)
        peak = peak_px(similarity_map, image_size_px)
        end_ns = time.monotonic_ns()
        stamps.setdefault("output_ns", end_ns)
        stamps["stages_ms"] = {**stamps.get("stages_ms", {}), "post": (end_ns - start_ns) / 1e6}
        return Result(
            similarity_map=similarity_map,
            image_size_px=image_size_px,
            audible=audible,
            level_dbfs=level_dbfs,
            confidence=confidence,
            peak_px=peak,
            boxes_px=boxes,
            box_threshold=box_threshold,
            provider=self.provider,
            precision=self.precision,
            nodes=self.nodes,
            **stamps,
        )

    def _fused(self, picture: npt.NDArray[np.uint8], waveform_16k: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """(1, 224, 224, 3) uint8 RGB and (N,) -> (14, 14): one call of the fused graph."""
        cosine: npt.NDArray[np.float32] = self.backend.run("fused", picture, self._fitted(waveform_16k))[0]
        return cosine.clip(-1.0, 1.0)

    def _run(self, part: str, array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """One inference of a split graph; `BundleError` where the bundle has none."""
        self.bundle.part(part)
        return self.backend.run(part, array)

    def _fitted(self, waveform_16k: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(N,) -> (1, M) of a length that the graph takes; see `embed_audio`."""
        sound = mono(waveform_16k)
        wanted = self.num_samples or min(max(len(sound), MIN_DYNAMIC_SAMPLES), self._longest)
        return np.ascontiguousarray(fit_length(sound, wanted))[None]

    @property
    def _longest(self) -> int:
        return self.num_samples or round(MAX_DYNAMIC_SECONDS * self.bundle.audio.sample_rate)

    def _confidence(self, strongest: float) -> float:
        """Calibrated chance that the source is in the picture, a logistic curve of the strongest cell."""
        x = self.thresholds["confidence_slope"] * (strongest - self.thresholds["confidence_similarity"])
        return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
