"""Stable identities over time for what sounds: pure, small, time is an argument. numpy alone."""

from __future__ import annotations

from .annotate import SourceTracker
from .assignment import assign
from .tracker import Track, Tracker, TrackRules

__all__ = ["SourceTracker", "Track", "TrackRules", "Tracker", "assign"]
