"""A session as it came in, kept whole: every frame and block with its stamps, and what each result was made from."""

from __future__ import annotations

from .facts import Replay, recording_facts
from .format import Recording
from .recorder import Recorder

__all__ = ["Recorder", "Recording", "Replay", "recording_facts"]
