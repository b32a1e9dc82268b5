"""What a session needs before its first frame: the model, open sources, the facts for its sinks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ..bundle import LIVE_PARTS
from ..capture import SourceInfo, SourceRef
from ..errors import CaptureError
from ..localizer import Localizer
from ..sinks import SessionInfo
from .pump import Pump

_OPEN_S = 20.0


def load_model(model: Localizer | str | Path | None, device: str, threads: int | None) -> Localizer:
    """`model` itself, or the bundle it names (None: the shipped one) on `device`; `BundleError` if it is fused only."""
    if model is None or isinstance(model, (str, Path)):
        model = Localizer.from_bundle(model, device, threads)
    for part in LIVE_PARTS:  # picture and sound have rates of their own here
        model.bundle.part(part)
    return model


def await_open(pumps: Sequence[Pump]) -> None:
    """Wait for every source; raises the first one's error, `CaptureError` where one does not answer."""
    end_s = time.monotonic() + _OPEN_S
    for pump in pumps:
        if not pump.opened.wait(max(0.0, end_s - time.monotonic())):
            raise CaptureError(f"{pump.source.info.name}: did not open within {_OPEN_S:g} s")
        if pump.error is not None:
            raise pump.error


def session_info(
    localizer: Localizer, sources: Sequence[SourceInfo], mic: SourceRef, sample_rate: int, is_live: bool
) -> SessionInfo:
    """What sinks are told; `sample_rate` is that of the sound they get."""
    picture = next((info for info in sources if info.kind != "microphone"), SourceInfo(name="push"))
    has_sound = mic.kind != "none"
    return SessionInfo(
        source=picture.name,
        audio_source=mic.text if has_sound else "",
        size_px=picture.size_px,
        fps=picture.fps,
        sample_rate=sample_rate if has_sound else None,
        provider=localizer.provider,
        precision=localizer.precision,
        device=localizer.device,
        bundle_name=localizer.bundle.name,
        is_live=is_live,
        wall_offset_ns=time.time_ns() - time.monotonic_ns(),
        thresholds=dict(localizer.thresholds),
    )
