"""What a session has done so far, counted so that nothing can hide. Pure: every moment is an argument."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..results import DropReason, Result

KEPT = 36_000  # newest results that percentiles rest on: 20 minutes at 30 fps, so that memory stays flat
FRAME_REASONS = (
    DropReason.SUPERSEDED,
    DropReason.CORRUPT_FRAME,
    DropReason.DUPLICATE,
    DropReason.OUT_OF_ORDER,
    DropReason.STOPPED,
)


def percentile(values: Iterable[float], p: float) -> float:
    """Nearest rank: the smallest value that at least `p` (0...1) of all do not exceed; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(p * len(ordered))) - 1] if ordered else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The most confident result so far."""

    confidence: float
    peak_px: tuple[int, int]
    at_s: float  # after the first frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """A snapshot. `offered = processed + dropped (by reason) + in flight`; percentiles stand over processed results.

    NaN where there is nothing to measure yet.
    """

    seconds: float = 0.0  # first result to last
    offered: int = 0
    processed: int = 0
    in_flight: int = 0
    drops: dict[str, int] = field(default_factory=dict)  # every DropReason that occurred; sinks' own losses included
    age_p50_ms: float = math.nan
    age_p95_ms: float = math.nan
    age_max_ms: float = math.nan
    skew_p50_ms: float = math.nan
    skew_abs_p95_ms: float = math.nan
    stages_p50_ms: dict[str, float] = field(default_factory=dict)
    results_hz: float = math.nan
    longest_gap_ms: float = math.nan  # between two results: the one number that shows an outage
    audio_embeddings: int = 0
    audio_encoder_p50_ms: float = math.nan
    audio_rate_hz: float = math.nan
    audible_share: float = math.nan  # of results
    located_share: float = math.nan  # of results: audible and confidence >= 0.5
    finding: Finding | None = None
    stamp_source: str = ""
    reconnects: dict[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()  # on now
    flags_seen: dict[str, int] = field(default_factory=dict)
    audio_gaps: int = 0
    clock_settled: bool = False
    drift_ppm: float = 0.0
    slipped_s: float = 0.0  # files at 1x: seconds that playing took longer, because inference or decoding was slower
    sinks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, NaN as null."""
        frames = {
            "offered": self.offered,
            "processed": self.processed,
            "in_flight": self.in_flight,
            "dropped": {r.value: self.drops[r.value] for r in FRAME_REASONS if self.drops.get(r.value)},
        }
        plain = {
            "seconds": self.seconds,
            "frames": frames,
            "drops": self.drops,
            "age_ms": {"p50": self.age_p50_ms, "p95": self.age_p95_ms, "max": self.age_max_ms},
            "av_skew_ms": {"p50": self.skew_p50_ms, "abs_p95": self.skew_abs_p95_ms},
            "stages": {name: {"p50_ms": value} for name, value in self.stages_p50_ms.items()},
            "results_hz": self.results_hz,
            "longest_gap_ms": self.longest_gap_ms,
            "audio": {
                "embeddings": self.audio_embeddings,
                "rate_hz": self.audio_rate_hz,
                "encoder_p50_ms": self.audio_encoder_p50_ms,
                "gaps": self.audio_gaps,
                "clock_settled": self.clock_settled,
                "drift_ppm": self.drift_ppm,
            },
            "audible_share": self.audible_share,
            "located_share": self.located_share,
            "stamp_source": self.stamp_source,
            "reconnects": self.reconnects,
            "flags": list(self.flags),
            "flags_seen": self.flags_seen,
            "slipped_s": self.slipped_s,
            "sinks": self.sinks,
        }
        rounded: dict[str, Any] = _without_nan(plain)
        return rounded


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value


class StatsCollector:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offered = self._processed = 0
        self._drops: Counter[str] = Counter()
        self._ages: deque[float] = deque(maxlen=KEPT)
        self._skews: deque[float] = deque(maxlen=KEPT)
        self._stages: dict[str, deque[float]] = {}
        self._first_ns = self._last_ns = self._first_capture_ns = 0
        self._longest_gap_ns = 0
        self._embedded = 0
        self._encoder_ms: deque[float] = deque(maxlen=KEPT)
        self._first_embedded_ns = self._last_embedded_ns = 0
        self._audible = self._located = 0
        self._finding: Finding | None = None
        self._stamp_source = ""
        self._reconnects: Counter[str] = Counter()

    def offer(self) -> None:
        """A frame arrived."""
        with self._lock:
            self._offered += 1

    def drop(self, reason: DropReason, count: int = 1) -> None:
        """Something did not go on."""
        if count:
            with self._lock:
                self._drops[reason.value] += count

    def lose_frames(self, reason: DropReason, count: int = 1) -> None:
        """Frames that arrived unusable: offered and dropped at once."""
        with self._lock:
            self._offered += count
            self._drops[reason.value] += count

    def embed(self, now_ns: int, took_ms: float) -> None:
        """One audio embedding was made, ready at `now_ns`."""
        with self._lock:
            self._embedded += 1
            self._encoder_ms.append(took_ms)
            self._first_embedded_ns = self._first_embedded_ns or now_ns
            self._last_embedded_ns = now_ns

    def reconnect(self, role: str) -> None:
        """A lost source is back."""
        with self._lock:
            self._reconnects[role] += 1

    def process(self, result: Result, now_ns: int, has_sound: bool) -> None:
        """One result went out at `now_ns` (the real moment, also for files)."""
        with self._lock:
            if self._processed == 0:
                self._first_ns, self._first_capture_ns = now_ns, result.capture_ns
            else:
                self._longest_gap_ns = max(self._longest_gap_ns, now_ns - self._last_ns)
            self._last_ns = now_ns
            self._processed += 1
            self._ages.append(result.age_ms)
            if has_sound:
                self._skews.append(result.av_skew_ms)
            for name, value in result.stages_ms.items():
                self._stages.setdefault(name, deque(maxlen=KEPT)).append(value)
            self._stamp_source = result.stamp_source
            self._find(result)

    def _find(self, result: Result) -> None:
        self._audible += result.audible
        self._located += result.audible and result.confidence >= 0.5
        if result.audible and (self._finding is None or result.confidence > self._finding.confidence):
            at_s = (result.capture_ns - self._first_capture_ns) / 1e9
            self._finding = Finding(confidence=result.confidence, peak_px=result.peak_px, at_s=at_s)

    def drops(self) -> dict[str, int]:
        """Losses so far by reason."""
        with self._lock:
            return dict(self._drops)

    def snapshot(self) -> SessionStats:
        """Everything so far, except what sinks, flags and the sound track know."""
        with self._lock:
            n = self._processed
            seconds = (self._last_ns - self._first_ns) / 1e9
            heard_s = (self._last_embedded_ns - self._first_embedded_ns) / 1e9
            gone = sum(self._drops[reason.value] for reason in FRAME_REASONS)
            return SessionStats(
                seconds=seconds,
                offered=self._offered,
                processed=n,
                in_flight=self._offered - n - gone,
                drops=dict(self._drops),
                age_p50_ms=percentile(self._ages, 0.5),
                age_p95_ms=percentile(self._ages, 0.95),
                age_max_ms=max(self._ages, default=math.nan),
                skew_p50_ms=percentile(self._skews, 0.5),
                skew_abs_p95_ms=percentile((abs(s) for s in self._skews), 0.95),
                stages_p50_ms={name: percentile(values, 0.5) for name, values in self._stages.items()},
                results_hz=(n - 1) / seconds if seconds > 0 else math.nan,
                longest_gap_ms=self._longest_gap_ns / 1e6 if n > 1 else math.nan,
                audio_embeddings=self._embedded,
                audio_encoder_p50_ms=percentile(self._encoder_ms, 0.5),
                audio_rate_hz=(self._embedded - 1) / heard_s if heard_s > 0 else math.nan,
                audible_share=self._audible / n if n else math.nan,
                located_share=self._located / n if n else math.nan,
                finding=self._finding,
                stamp_source=self._stamp_source,
                reconnects=dict(self._reconnects),
            )
