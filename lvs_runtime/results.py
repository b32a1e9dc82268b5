"""What travels between the parts: a captured frame, an audio window, a result. Stamps are `time.monotonic_ns`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .heatmap import heatmap, mask

if TYPE_CHECKING:
    from .geometry.bearing import Bearing
    from .tracks.tracker import Track

Box = tuple[int, int, int, int]


class DropReason(str, Enum):
    """Why a frame, a stretch of sound or a result did not go on. Every loss has exactly one of these."""

    SUPERSEDED = "superseded"  # a newer frame came before inference was free (policy `latest`)
    CORRUPT_FRAME = "corrupt_frame"  # the driver or decoder gave no usable picture
    AUDIO_GAP = "audio_gap"  # sound was lost; zeros stand in its place (counted in windows that miss sound)
    NO_AUDIO = "no_audio"  # no sound was there yet to pair with this frame
    SINK_BUSY = "sink_busy"  # a sink's own queue was full; only that sink loses
    STOPPED = "stopped"  # in flight when the session ended
    NOT_RECORDED = "not_recorded"  # a frame, block or result that --record had no room for, or no disk
    DUPLICATE = "duplicate"  # a bus or camera delivered the same picture twice
    OUT_OF_ORDER = "out_of_order"  # a bus or camera delivered a picture older than one that was already used


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One captured picture, before any scaling."""

    image_bgr: npt.NDArray[np.uint8]  # (H, W, 3)
    capture_ns: int  # when the picture was taken, as well as the source knows
    arrival_ns: int  # when this process held it
    index: int = 0
    stamp_source: str = "arrival"  # "driver" | "arrival" | "file" | "caller" | "header" | "other_clock"
    frame_id: str = ""  # coordinate frame, as a bus names it; carried to the result unchanged
    source_stamp_ns: int | None = None  # as the source wrote it, on its own clock; carried unchanged


@dataclass(frozen=True, slots=True, eq=False)
class AudioWindow:
    """The waveform that one inference sees, mono float32 in [-1, 1]."""

    waveform: npt.NDArray[np.float32]  # (num_samples,)
    sample_rate: int
    start_ns: int
    end_ns: int
    gap_samples: int = 0  # zeros inserted where sound was lost


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """What is heard, and where it is seen.

    `similarity_map` is the cosine in every cell, in [0, 1]. `audible` says that something sounds (level gate);
    `confidence` in [0, 1] that its source is in the picture; `boxes_px` holds regions only when both say so.
    `peak_px` is always where the strongest cell looks: read it together with `audible` and `confidence`.
    """

    similarity_map: npt.NDArray[np.float32]  # (14, 14)
    image_size_px: tuple[int, int]  # width, height
    audible: bool
    level_dbfs: float
    confidence: float
    peak_px: tuple[int, int]  # x, y
    boxes_px: tuple[Box, ...]  # x0, y0, x1, y1 (x1, y1 exclusive)
    box_threshold: float = 0.6  # similarity from which a cell belongs to a box; colours are scaled by it
    provider: str  # as the running session reports it, e.g. "CPUExecutionProvider"
    precision: str  # effective: "fp32" | "fp16" | "int8" | "fp16 as fp32" ...
    nodes: Mapping[str, int] | None = None  # graph nodes by what runs them; None: the runtime does not tell
    frame_index: int = 0
    capture_ns: int = 0
    arrival_ns: int = 0
    audio_start_ns: int = 0
    audio_end_ns: int = 0
    output_ns: int = 0
    stamp_source: str = "caller"
    gap_samples: int = 0
    stages_ms: Mapping[str, float] = field(default_factory=dict)  # wait, pre, image, audio, head (or fused), post
    drops: Mapping[str, int] = field(default_factory=dict)  # so far, by DropReason value
    flags: tuple[str, ...] = ()  # visible conditions, e.g. "mic_digital_silence"
    frame_id: str = ""  # the frame's, or the calibration's
    source_stamp_ns: int | None = None  # the frame's
    bearings: tuple[Bearing, ...] = ()  # one for each box, where the camera's geometry is known
    tracks: tuple[Track, ...] = ()  # identities over time, where the camera's geometry is known

    @property
    def age_ms(self) -> float:
        """Time from capture to output of this result, ms."""
        return (self.output_ns - self.capture_ns) / 1e6

    @property
    def av_skew_ms(self) -> float:
        """End of the audio window minus frame capture, ms (negative: the sound is older than the picture)."""
        return (self.audio_end_ns - self.capture_ns) / 1e6

    def heatmap(self, size: tuple[int, int] | None = None, scaling: str = "raw") -> npt.NDArray[np.float32]:
        """The similarity map resized to `size` = (width, height), default the frame's: (height, width) float32.

        `scaling` "raw" keeps cosines; "minmax" stretches this one map to 0...1 (a map of nothing then looks hot).
        """
        return heatmap(self.similarity_map, size or self.image_size_px, scaling)

    def mask(self, size: tuple[int, int] | None = None) -> npt.NDArray[np.bool_]:
        """Pixels that belong to what is heard and seen: (height, width) bool, all False where `boxes_px` is empty.

        The raw heat map at or above `box_threshold`, for `size` = (width, height), default the frame's.
        """
        width, height = size or self.image_size_px
        if not self.boxes_px:
            return np.zeros((height, width), bool)
        return mask(self.similarity_map, (width, height), self.box_threshold)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: one line of a JSONL record. What only some sources know stands in it when it is known."""
        known: dict[str, Any] = {"frame_id": self.frame_id} if self.frame_id else {}
        if self.source_stamp_ns is not None:
            known["source_stamp_ns"] = self.source_stamp_ns
        if "track" in self.stages_ms:
            known["bearings"] = [bearing.as_dict() for bearing in self.bearings]
            known["tracks"] = [track.as_dict() for track in self.tracks]
        return {
            "frame_index": self.frame_index,
            "capture_ns": self.capture_ns,
            "arrival_ns": self.arrival_ns,
            "audio_start_ns": self.audio_start_ns,
            "audio_end_ns": self.audio_end_ns,
            "output_ns": self.output_ns,
            "age_ms": round(self.age_ms, 3),
            "av_skew_ms": round(self.av_skew_ms, 3),
            "audible": self.audible,
            "level_dbfs": round(self.level_dbfs, 2),
            "confidence": round(self.confidence, 4),
            "peak_px": list(self.peak_px),
            "boxes_px": [list(box) for box in self.boxes_px],
            "box_threshold": round(self.box_threshold, 4),
            "image_size_px": list(self.image_size_px),
            "similarity_map": np.round(self.similarity_map.astype(np.float64), 4).tolist(),
            "provider": self.provider,
            "precision": self.precision,
            "nodes": None if self.nodes is None else dict(self.nodes),
            "stamp_source": self.stamp_source,
            "gap_samples": self.gap_samples,
            "stages_ms": {k: round(v, 3) for k, v in self.stages_ms.items()},
            "drops": dict(self.drops),
            "flags": list(self.flags),
            **known,
        }
