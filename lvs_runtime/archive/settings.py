"""What an analysis is made with. What changes a row is hashed, so that rows of two kinds never pass for one."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle import MANIFEST_NAME, Bundle
from ..capture.demux import SAMPLE_RATE
from ..errors import ConfigError

ALIGNS = ("centre", "end")
HEAR_EVERY_S = 0.25  # rows closer together than this share audio windows, one for each stretch of this length
SEGMENT_S = 300.0
SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the analysis of a recording depends on. Travels to every worker."""

    out: str  # folder or URL of the results
    bundle: str | None  # folder of the bundle, None: the shipped one
    bundle_sha256: str  # of its manifest, which names the hash of every file
    bundle_name: str = ""
    device: str = "cpu"
    threads: int = 1  # CPU threads of one inference
    decode_threads: int = 1
    every_s: float = 0.5
    window_s: float = 1.0  # audio window
    hop_s: float = 0.0  # all pictures of a stretch of this length share one window; 0: each picture has its own
    align: str = "centre"  # the picture (or its stretch) lies in the middle of the window, or after it as when live
    segment_s: float = SEGMENT_S
    provider: str = ""  # what the driver's own device is, for the record

    def __post_init__(self) -> None:
        if not 0.01 <= self.every_s <= 3600:
            raise ConfigError(f"--every {self.every_s}: want 0.01 to 3600 seconds between two analysed pictures")
        if not 0.1 <= self.window_s <= 10:
            raise ConfigError(f"--audio-seconds {self.window_s}: want 0.1 to 10 seconds")
        if not 0 <= self.hop_s <= self.window_s:
            raise ConfigError(
                f"--audio-hop {self.hop_s}: want 0 (each picture its own window) to the window's {self.window_s} s; "
                f"with longer steps some sound would never be heard"
            )
        if self.align not in ALIGNS:
            raise ConfigError(f"--align {self.align}: unknown; possible: {', '.join(ALIGNS)}")
        if self.segment_s < 2 * self.every_s:
            raise ConfigError(f"segments of {self.segment_s} s hold less than two pictures at --every {self.every_s}")

    def of_rows(self) -> dict[str, Any]:
        """What the values in a row depend on (not where, nor by how many workers they are made)."""
        names = ("bundle_sha256", "every_s", "window_s", "hop_s", "align", "segment_s")
        return {"schema": SCHEMA, **{name: getattr(self, name) for name in names}}

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of `of_rows`."""
        text = json.dumps(self.of_rows(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def places(self) -> int:
        """Grid places in a segment."""
        return max(1, math.floor(self.segment_s / self.every_s))

    @property
    def lead_s(self) -> float:
        """How long before a picture its window begins at most."""
        return self.window_s + self.hop_s

    def window(self, t_s: float) -> tuple[int, int]:
        """First and end sample of the audio window for time `t_s`, counted from the recording's start.

        Of a picture's own window the picture is the middle or the end; of one that is shared, the middle or the begin
        of the stretch in which the picture lies.
        """
        if self.hop_s:
            stretch = math.floor(t_s / self.hop_s + 1e-6)
            t_s = self.hop_s * (stretch + (0.5 if self.align == "centre" else 0.0))
        length = round(self.window_s * SAMPLE_RATE)
        end = round(t_s * SAMPLE_RATE) + (length // 2 if self.align == "centre" else 0)
        return end - length, end


def bundle_hash(bundle: Bundle) -> str:
    """sha256 of the manifest."""
    return hashlib.sha256((Path(bundle.path) / MANIFEST_NAME).read_bytes()).hexdigest()
