"""JSON of results, the same for every sink. NaN becomes null; numpy scalars become numbers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot stand in a result record")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)


def encode_json(value: Any) -> bytes:
    """One line of UTF-8 JSON, without a newline at its end."""
    return _ENCODER.encode(value)
