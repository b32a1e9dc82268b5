"""How a session is to run, and what follows from its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..capture.base import Source
from ..errors import ConfigError
from .smoothing import KINDS

POLICIES = ("latest", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What `LiveSession` takes beside its sources; every field has the value that suits most."""

    policy: str | None = None  # "latest" | "all"; None: all for files, else latest
    paced: bool = True  # files at 1x; False: as fast as inference goes
    audio_rate_hz: float | None = None  # policy latest: audio embeddings a second; None: with each frame, time allowing
    audio_seconds: float | None = None  # window; None: what the bundle states
    size_px: tuple[int, int] | None = None  # asked of a camera or the drawn world
    fps: float | None = None
    mic_rate_hz: int | None = None
    av_offset_ms: float = 0.0  # added to every sound stamp
    seconds: float | None = None  # end after so much (of the file, or of time)
    max_reconnects: int | None = None  # tries after one loss of a live source; None: for ever
    smoothing: str | None = None  # of the map: "one-euro" (None) | "exponential" | "off"
    record: str | Path | None = None  # folder for everything that comes in, for `replay`; empty or not there yet
    replay: str | Path | None = None  # such a folder instead of sources
    quiet: bool = False  # keep ALSA's chatter off stderr while a microphone opens (redirects fd 2 for that moment)

    def check(self) -> None:
        """Raise `ConfigError` on a value out of range."""
        if self.policy not in (None, *POLICIES):
            raise ConfigError(f"policy {self.policy!r}: want one of {', '.join(POLICIES)}")
        if self.smoothing not in (None, *KINDS):
            raise ConfigError(f"smoothing {self.smoothing!r}: want one of {', '.join(KINDS)}")
        if self.record is not None and self.replay is not None:
            raise ConfigError("record: a replay is recorded already; want one of the two")
        if self.audio_rate_hz is not None and not 0.1 <= self.audio_rate_hz <= 200:
            raise ConfigError(f"audio_rate_hz {self.audio_rate_hz}: want 0.1 to 200")
        if self.audio_seconds is not None and not 0.1 <= self.audio_seconds <= 20:
            raise ConfigError(f"audio_seconds {self.audio_seconds}: want 0.1 to 20")
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError(f"seconds {self.seconds}: want more than 0")
        if not abs(self.av_offset_ms) <= 5000:
            raise ConfigError(f"av_offset_ms {self.av_offset_ms}: want -5000 to 5000")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ConfigError(f"fps {self.fps}: want more than 0, at most 1000")
        if self.size_px is not None and not all(16 <= side <= 16_384 for side in self.size_px):
            raise ConfigError(f"size {self.size_px}: want sides of 16 to 16384 px")
        if self.mic_rate_hz is not None and not 8_000 <= self.mic_rate_hz <= 384_000:
            raise ConfigError(f"mic_rate_hz {self.mic_rate_hz}: want 8000 to 384000")


def decide_policy(options: LiveOptions, sources: Sequence[Source]) -> str:
    """ "latest" or "all" for these sources; `ConfigError` where they cannot do what was asked.

    Files are run without loss and wait for inference; what is live cannot wait. No source at all means pushed data.
    """
    picture = next((source for source in sources if source.has_picture), None)
    media = picture is not None and not picture.is_live
    policy = options.policy or ("all" if media else "latest")
    if policy == "all" and picture is not None and picture.is_live:
        raise ConfigError("--policy all: a camera or stream cannot wait for inference; want latest, or a file")
    if not options.paced:
        if not media or any(source.is_live for source in sources):
            raise ConfigError("--no-pace: only files can go faster than time; here something is live")
        if policy == "latest":
            raise ConfigError("--no-pace with --policy latest would throw nearly every frame away; want all")
    return policy
