"""What a recording says about its session, and what a replay makes of it."""

from __future__ import annotations

import importlib.metadata
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...capture import SourceRef
from ...localizer import Localizer
from ...sinks import SessionInfo
from ..options import LiveOptions
from ..smoothing import KINDS
from .format import Recording, fingerprint
from .replay import AsRecorded, ReplayPump, ReplayReceiver

_ENGINE = ("provider", "precision", "lvs")


def recording_facts(
    localizer: Localizer, info: SessionInfo, options: LiveOptions, policy: str, window_s: float
) -> dict[str, Any]:
    """For recording.json."""
    return {
        **_model_facts(localizer),
        "source": info.source,
        "sound": info.audio_source,
        "policy": policy,
        "window_s": window_s,
        "smoothing": options.smoothing or KINDS[0],
        "av_offset_ms": options.av_offset_ms,
        "wall_offset_ns": info.wall_offset_ns,
    }


def _model_facts(localizer: Localizer) -> dict[str, str]:
    return {
        "bundle": localizer.bundle.name,
        "manifest_sha256": fingerprint(localizer.bundle),
        "provider": localizer.provider,
        "precision": localizer.precision,
        "lvs": importlib.metadata.version("lvs"),
    }


@dataclass(frozen=True, slots=True)
class Replay:
    """A recording about to be played."""

    recording: Recording
    rate: AsRecorded

    @classmethod
    def open(cls, folder: str | Path) -> Replay:
        """Raises `CaptureError` where there is no recording."""
        return cls(Recording(folder), AsRecorded())

    @property
    def missing(self) -> int:
        """Results so far whose frame was not recorded."""
        return self.rate.missing

    @property
    def mic_ref(self) -> SourceRef:
        """Where the sound came from."""
        text = self.recording.about["sound"]
        return SourceRef("recording" if text else "none", text, text=text)

    def options(self, asked: LiveOptions) -> LiveOptions:
        """`asked`, with what the results depend on as it was; a smoothing or window that is asked for stays."""
        about = self.recording.about
        return replace(
            asked,
            av_offset_ms=about["av_offset_ms"],
            audio_seconds=asked.audio_seconds or about["window_s"],
            smoothing=asked.smoothing or about["smoothing"],
        )

    def pump(self, receiver: ReplayReceiver, stop: threading.Event, paced: bool, seconds: float | None) -> ReplayPump:
        """What plays it."""
        return ReplayPump(self.recording, receiver, self.rate, stop, paced, seconds)

    def differences(self, localizer: Localizer) -> list[str]:
        """Why the results may not be the recorded ones, a sentence each; empty when nothing speaks against it."""
        then, now = self.recording.about, _model_facts(localizer)
        if then["manifest_sha256"] != now["manifest_sha256"]:
            return [f"replay: made with another bundle ({then['bundle']}, now {now['bundle']}): results will differ"]
        changed = [f"{name} {then[name]}, now {now[name]}" for name in _ENGINE if then[name] != now[name]]
        return [f"replay: {', '.join(changed)}: results may differ in the last digits"] if changed else []
