"""From raw rows to the blocks of a report: ages, stages, frames, outage, skew, minutes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .percentiles import nearest_rank, summary
from .rows import NONE_NS, STAGES, Rows

Floats = npt.NDArray[np.float64]
GRID_NS = 1_000_000  # at which moments the age of the newest result is looked at
STEADY_SHARE = 0.05  # p50 of the last third against the first: further apart is not steady
STAGES_ADD_UP_MS = 0.1


@dataclass(frozen=True, kw_only=True)
class Offered:
    """What arrived, beside the rows of what was processed."""

    total: int
    dropped_by: dict[str, int]
    in_flight: int
    start_ns: int
    end_ns: int
    deadline_ms: float


def frames_block(rows: Rows, offered: Offered) -> dict[str, Any]:
    """offered = processed + dropped + in flight; late results; the longest gap; time without a fresh result."""
    dropped = sum(offered.dropped_by.values())
    assert offered.total == len(rows) + dropped + offered.in_flight, (offered, len(rows))
    late = int((rows.age_ms > offered.deadline_ms).sum())
    moments = np.sort(rows["out_ns"])
    edges = np.concatenate([[offered.start_ns], moments, [max(offered.end_ns, offered.start_ns)]])
    consumed = age_consumed_ms(rows, offered.start_ns, offered.end_ns)
    over = float((consumed > offered.deadline_ms).mean()) if len(consumed) else None
    return {
        "offered": offered.total,
        "processed": len(rows),
        "dropped": dropped,
        "dropped_by": dict(sorted(offered.dropped_by.items())),
        "late": late,
        "in_flight_at_end": offered.in_flight,
        "max_gap_ms": round(float(np.diff(edges).max()) / 1e6, 3),
        "over_deadline_share": None if over is None else round(over, 5),
        "deadline_ms": offered.deadline_ms,
    }


def age_consumed_ms(rows: Rows, start_ns: int, end_ns: int) -> Floats:
    """Age of the newest result at every millisecond from the first result to `end_ns`: what a controller reads."""
    if not len(rows):
        return np.empty(0)
    order = np.argsort(rows["out_ns"], kind="stable")
    out = rows["out_ns"][order]
    newest_due = np.maximum.accumulate(rows["due_ns"][order])  # an older frame that comes later is no news
    moments = np.arange(max(start_ns, int(out[0])), max(end_ns, int(out[-1])) + 1, GRID_NS)
    held = np.searchsorted(out, moments, side="right") - 1
    return np.asarray((moments - newest_due[held]) / 1e6, np.float64)


def stages_block(rows: Rows, audio_encoder_ms: Floats | None = None) -> dict[str, Any]:
    """Each stage that was measured; `audio_encoder` is the encoder's own time, at its own rate."""
    block = {name: summary(values) for name in STAGES if len(values := rows.stage_ms(name))}
    if audio_encoder_ms is not None and len(audio_encoder_ms):
        block["audio_encoder"] = summary(audio_encoder_ms)
    return block


def unexplained_ms(rows: Rows) -> float | None:
    """p95 of the part of an age that no stage accounts for, ms; None where stages were not measured."""
    parts = [rows[f"{name}_ns"] for name in STAGES if name != "publish"]
    known = np.all([column != NONE_NS for column in parts], axis=0) if len(rows) else np.zeros(0, bool)
    if not known.any():
        return None
    rest = rows.age_ms[known] - np.sum(parts, axis=0)[known] / 1e6
    return round(nearest_rank(np.abs(rest), 95), 3)


def skew_block(rows: Rows) -> dict[str, Any] | None:
    """Sound's end minus the frame's stamp, signed, ms; drift is the slope over the run. None without sound."""
    heard = rows["audio_end_ns"] != NONE_NS
    if heard.sum() < 2:
        return None
    due = rows["due_ns"][heard]
    skew = (rows["audio_end_ns"][heard] - due) / 1e6
    figures = summary(skew, unit="")
    seconds = (due - due[0]) / 1e9
    slope = float(np.polyfit(seconds, skew, 1)[0]) if seconds[-1] >= 10 else None
    return {
        "n": figures["n"],
        **{key: figures[key] for key in ("p50", "p95", "p99")},
        "min": figures["min"],
        "max": figures["max"],
        "drift_ppm": None if slope is None else round(slope * 1000, 1),
    }


def minutes(rows: Rows, start_ns: int, sensors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a minute (the last may be short): ages, and what the sensors said in it."""
    if not len(rows):
        return []
    number = (rows["out_ns"] - start_ns) // 60_000_000_000
    table = []
    for minute in range(int(number.max()) + 1):
        ages = rows.age_ms[number == minute]
        seen = [s for s in sensors if (s["ns"] - start_ns) // 60_000_000_000 == minute]
        figures = summary(ages)
        table.append(
            {
                "minute": minute,
                "n": len(ages),
                "p50_ms": figures["p50_ms"],
                "p95_ms": figures["p95_ms"],
                "temp_c": _most(seen, "temp_c"),
                "mhz": _median(seen, "mhz"),
                "throttled": _any(seen, "throttled"),
            }
        )
    return table


def steadiness(values_ms: Floats) -> str | None:
    """A sentence when the last third's p50 is more than 5 % off the first third's, else None."""
    third = len(values_ms) // 3
    if third < 20:
        return None
    first, last = nearest_rank(values_ms[:third], 50), nearest_rank(values_ms[-third:], 50)
    if first > 0 and abs(last / first - 1) > STEADY_SHARE:
        return f"not steady: p50 of the last third is {last / first:.2f} times that of the first"
    return None


def missing(rows: Rows, due: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """(stream, k) -> due_ns of the offered frames that have no row."""
    done = set(zip(rows["stream"].tolist(), rows["k"].tolist(), strict=True))
    return {key: moment for key, moment in due.items() if key not in done}


def count_reasons(dropped: dict[tuple[int, int], tuple[int, str]]) -> dict[str, int]:
    """How many frames each reason took."""
    return dict(Counter(reason for _, reason in dropped.values()))


def _known(samples: list[dict[str, Any]], key: str) -> list[Any]:
    return [s[key] for s in samples if s.get(key) is not None]


def _most(samples: list[dict[str, Any]], key: str) -> float | None:
    return max(_known(samples, key), default=None)


def _median(samples: list[dict[str, Any]], key: str) -> float | None:
    found = _known(samples, key)
    return round(float(np.median(found)), 1) if found else None


def _any(samples: list[dict[str, Any]], key: str) -> bool | None:
    found = _known(samples, key)
    return any(found) if found else None
