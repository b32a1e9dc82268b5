"""What goes over the WebSocket. Text messages are JSON (`hello`, `viewer`, `end`); binary ones begin with a type byte.

    1 picture:  01 | uint32 LE length of JSON | JSON of the result | JPEG, not annotated: the page lays the heat over it
    2 sound:    02 | float64 LE end of the column in ms | NUM_BANDS bytes, low to high          (one column)

Times are ms since `base_ns`, because a page's numbers cannot hold nanoseconds of a long uptime.
"""

from __future__ import annotations

import struct
from typing import Any

from ...results import Result
from ...sinks.base import SessionInfo
from ...sinks.encode import encode_json
from ..colors import heat_alpha, heat_colors_rgb
from ..heat import heat_stops, heat_strength, state_of
from .spectrum import COLUMNS_PER_SECOND, NUM_BANDS

PICTURE, SOUND = 1, 2


def hello(info: SessionInfo) -> str:
    """First message to each viewer: the session, and how to draw heat (the same scale as everywhere else)."""
    return encode_json(
        {
            "type": "hello",
            "info": info.as_dict(),
            "heat": {
                "colors": heat_colors_rgb().tolist(),
                "alpha": [round(float(a), 4) for a in heat_alpha()],
            },
            "sound": {"bands": NUM_BANDS, "columns_per_second": COLUMNS_PER_SECOND},
        }
    ).decode()


def viewer(skipped: int, screen_ms: float | None, viewers: int) -> str:
    """Twice a second to each viewer: pictures it missed, capture to acknowledgement in ms, how many are looking."""
    return encode_json({"type": "viewer", "skipped": skipped, "screen_ms": screen_ms, "viewers": viewers}).decode()


def end() -> str:
    """The session is over; the page stops trying to reconnect."""
    return '{"type":"end"}'


def result_fields(result: Result, base_ns: int, fps: float) -> dict[str, Any]:
    """`Result.as_dict()` and what the page would otherwise have to derive."""
    return {
        **result.as_dict(),
        "t_ms": (result.capture_ns - base_ns) / 1e6,
        "fps": round(fps, 2),
        "state": state_of(result),
        "strength": round(heat_strength(result), 4),
        "stops": [round(stop, 4) for stop in heat_stops(result.box_threshold)],
    }


def picture(fields: dict[str, Any], jpeg: bytes) -> bytes:
    """Type 1."""
    text = encode_json(fields)
    return struct.pack("<BI", PICTURE, len(text)) + text + jpeg


def sound(end_ms: float, bands: bytes) -> bytes:
    """Type 2."""
    return struct.pack("<Bd", SOUND, end_ms) + bands
