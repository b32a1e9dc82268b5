"""The drawn world: pictures and sounds made from a seed, so that demo, tests and training need nobody's data."""

from __future__ import annotations

from .pair import CLASSES, NOWHERE, SILENCE, Pair, silent_pair, training_pair

__all__ = ["CLASSES", "NOWHERE", "SILENCE", "Pair", "silent_pair", "training_pair"]
