"""What `lvs-live` says: what was opened, counters while it runs, five lines at the end. All on stderr."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ..capture import DeviceList, SourceInfo
    from ..live.session import LiveSession
    from ..live.stats import SessionStats


def sinks_for(
    asked: Sequence[str], headless: bool, environment: Mapping[str, str], note: Callable[[str], None]
) -> list[str]:
    """The sinks to open: those asked for; else window, else page, with a line that says why; none when headless."""
    if asked or headless:
        return list(asked)
    shown = environment.get("WAYLAND_DISPLAY") or environment.get("DISPLAY") or not sys.platform.startswith("linux")
    if not shown:
        note("no display (DISPLAY and WAYLAND_DISPLAY are unset): showing the web page instead of a window")
        return ["web"]
    if not _opencv_has_windows():
        note("this OpenCV cannot show windows: showing the web page instead")
        return ["web"]
    return ["window"]


def _opencv_has_windows() -> bool:
    try:
        import cv2
    except ImportError:
        return False
    lines = [line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")]
    return bool(lines) and "NONE" not in lines[0]


_BOLD, _YELLOW, _RED = "1", "33", "31"


class Reporter:
    """Lines on stderr, so that results on stdout stay clean. Colours on a terminal only, and not with NO_COLOR."""

    def __init__(self, debug: bool = False, out: TextIO | None = None) -> None:
        self._debug, self._out = debug, out

    def note(self, text: str, colour: str = "") -> None:
        """One line; `colour` is an ANSI code."""
        out = self._out or sys.stderr
        painted = colour and out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        print(f"\x1b[{colour}m{text}\x1b[0m" if painted else text, file=out, flush=True)

    def opened(self, session: LiveSession) -> None:
        """What was asked for against what is delivered, and what runs."""
        o = session.options
        asked_size = f"{o.size_px[0]}x{o.size_px[1]}" if o.size_px else "any size"
        asked_fps = f"{o.fps:g} fps" if o.fps else "any rate"
        for info in session.sources:
            self.note(f"{info.kind:<10} {info.name}: {_delivered(info)}{_details(info)}")
            if info.kind in ("camera", "synthetic"):
                self.note(f"{'':<10} asked for {asked_size}, {asked_fps}")
            if info.kind == "microphone" and o.mic_rate_hz:
                self.note(f"{'':<10} asked for {o.mic_rate_hz} Hz")
        if session.mic_ref.kind == "none":
            self.note("sound      none: everything will count as inaudible")
        model = session.localizer
        if model is not None:
            how = f"all: every frame, each with its own {session.window_s:g} s of sound"
            if session.policy != "all":
                rate = f"{o.audio_rate_hz:g} times a second" if o.audio_rate_hz else "as often as time allows with"
                how = f"latest: the newest frame, {rate} {session.window_s:g} s of sound up to it"
            if session.options.replay is not None:
                how = f"as recorded, {session.window_s:g} s of sound"
            self.note(f"model      {model.bundle.name}, {model.precision} on {model.provider}; policy {how}")
            if model.device == "auto":
                self.note(f"{'':<10} {model.backend.describe().get('why')}")
        for text in session.notes:
            self.note(text, _YELLOW)

    def counters(self, stats: SessionStats) -> None:
        """One line while it runs."""
        flags = f"  [{' '.join(stats.flags)}]" if stats.flags else ""
        self.note(
            f"{stats.seconds:7.1f} s  {stats.processed} of {stats.offered} frames  {_num(stats.results_hz)} fps  "
            f"age p50 {_num(stats.age_p50_ms)} p95 {_num(stats.age_p95_ms)} ms  skew {_num(stats.skew_p50_ms)} ms  "
            f"sound {_num(stats.audio_rate_hz)} /s{flags}",
            _YELLOW if flags else "",
        )

    def summary(self, session: LiveSession) -> None:
        """The five lines: frames, age, sound, what ran, what was found; then losses and errors, if any."""
        s = session.stats()
        for line in summary_lines(s, session):
            self.note(line, _BOLD if line.startswith("found:") else "")
        if s.slipped_s > 0.5:
            self.note(f"the file was played {s.slipped_s:.1f} s slower than 1x: this machine was too busy for it")
        if session.options.record is not None:
            self.note(
                f"recorded in {session.options.record}; play it again: lvs-live --replay {session.options.record}"
            )
        if session.not_replayed:
            self.note(f"replay: {session.not_replayed} results could not be made again: their frames were not recorded")
        for name, count in sorted(s.reconnects.items()):
            self.note(f"{name} was lost and opened again {count} times", _YELLOW)
        for error in session.sink_errors:
            self.note(str(error), _RED)
        if session.ended_by_loss:
            self.note(f"ended by: {session.error}", _RED)


def summary_lines(stats: SessionStats, session: LiveSession) -> list[str]:
    """Exactly five lines."""
    model = session.localizer
    drops = ", ".join(f"{count} {name}" for name, count in sorted(stats.drops.items())) or "no losses"
    ran = f"{model.provider}, {model.precision}" if model else "no model was loaded"
    if session.policy == "all":
        sound = f"{stats.audio_embeddings} audio windows, one for each frame, {_num(stats.audio_rate_hz)} /s"
    else:
        sound = f"{stats.audio_embeddings} audio windows, {_num(stats.audio_rate_hz)} /s"
    since = {"driver": "driver's stamp", "arrival": "arrival", "file": "moment a frame was due"}
    rate = f"{stats.seconds:.1f} s, {_num(stats.results_hz)} fps"
    return [
        f"frames:   {stats.processed} of {stats.offered} in {rate} ({drops})",
        f"age:      p50 {_num(stats.age_p50_ms)} ms, p95 {_num(stats.age_p95_ms)} ms from the "
        f"{since.get(stats.stamp_source, 'stamp')} to the result",
        f"sound:    {sound}, |skew| p95 {_num(stats.skew_abs_p95_ms)} ms, {stats.audio_gaps} gaps",
        f"ran on:   {ran}",
        f"found:    {_found(stats)}",
    ]


def _found(stats: SessionStats) -> str:
    if not stats.processed:
        return "nothing: no frame was processed"
    text = f"something audible in {stats.audible_share:.0%} of the results, seen in {stats.located_share:.0%}"
    if stats.finding is not None:
        f = stats.finding
        text += f"; surest at {f.at_s:.1f} s: x {f.peak_px[0]}, y {f.peak_px[1]} (confidence {f.confidence:.2f})"
    return text


def _delivered(info: SourceInfo) -> str:
    parts = []
    if info.size_px:
        parts.append(f"{info.size_px[0]}x{info.size_px[1]}")
    if info.fps:
        parts.append(f"{info.fps:.4g} fps")
    if info.sample_rate:
        parts.append(f"{info.sample_rate} Hz sound, {info.channels} channel{'s' if (info.channels or 1) > 1 else ''}")
    if info.duration_s:
        parts.append(f"{info.duration_s:.1f} s long")
    return ", ".join(parts) or "opened"


def _details(info: SourceInfo) -> str:
    return f" ({', '.join(info.details.values())})" if info.details else ""


def _num(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}"


def device_lines(found: DeviceList) -> list[str]:
    """`--list-devices` as text: what to give to --camera and --mic."""
    lines = ["cameras (--camera):"]
    lines += [f"  {c.device}  {c.name}{f'  also {c.stable}' if c.stable else ''}" for c in found.cameras] or ["  none"]
    lines.append("microphones (--mic NAME):")
    lines += [
        f"  {m.name}  ({m.host_api}, {m.channels} channels{', default' if m.is_default else ''})"
        for m in found.microphones
    ] or ["  none"]
    return lines + [f"note: {problem}" for problem in found.problems]
