"""Pictures and sound from Zenoh keys.

A picture is a JPEG or PNG file, sound is interleaved PCM. The attachment, JSON, says what the bytes cannot:
{"stamp_ns": since 1970 or any clock, "frame_id": "...", "sample_rate": 16000, "channels": 1, "format": "s16le"}.
Without a stamp in it Zenoh's own time stamp counts where there is one, else the arrival.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ..errors import CaptureError
from .cdr import RosImage
from .live_source import Heard, LiveBusSource, sound_format
from .zenoh_sink import open_session


class ZenohSource(LiveBusSource):
    """One session, a subscriber for each key."""

    _session: Any = None

    def subscribe(self) -> None:
        """Join and subscribe."""
        spec = self.picture_spec or self.sound_spec
        assert spec is not None
        try:
            import zenoh
        except ImportError as error:
            raise CaptureError(f"{spec.text}: Zenoh is not installed. Run: pip install 'lvs[zenoh]'") from error
        self._session = open_session(zenoh, spec, CaptureError)
        if self.picture_spec is not None:
            self._session.declare_subscriber(self.picture_spec.topic, lambda s: self.guarded(_picture, s))
        if self.sound_spec is not None:
            heard, form = self.sound_spec, sound_format(self.sound_spec)
            self._session.declare_subscriber(heard.topic, lambda s: self.guarded(_sound, s, form))

    def unsubscribe(self) -> bool:
        """Leave."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        return True


def _attached(sample: Any) -> dict[str, Any]:
    if sample.attachment is None:
        return {}
    found = json.loads(sample.attachment.to_bytes())
    if not isinstance(found, dict):
        raise ValueError("attachment is no object")
    return found


def _stamp_ns(sample: Any, attached: dict[str, Any]) -> int:
    if "stamp_ns" in attached:
        return int(attached["stamp_ns"])
    if sample.timestamp is not None:
        return int(sample.timestamp.get_time().timestamp() * 1e9)
    return time.time_ns()


def _picture(sample: Any) -> RosImage:
    attached = _attached(sample)
    data = memoryview(sample.payload.to_bytes())
    return RosImage(_stamp_ns(sample, attached), str(attached.get("frame_id", "")), "jpeg", data)


def _sound(sample: Any, form: tuple[int, int]) -> Heard:
    attached = _attached(sample)
    rate, channels = int(attached.get("sample_rate", form[0])), int(attached.get("channels", form[1]))
    if not (8_000 <= rate <= 384_000 and 1 <= channels <= 32):
        raise ValueError("sample rate or channels out of range")
    kind = str(attached.get("format", "s16le"))
    return Heard(_stamp_ns(sample, attached), sample.payload.to_bytes(), rate, channels, kind)
