"""Archives: many recordings in, tables out. Throughput instead of real time; nothing lost when something is killed.

sources ──► items ──► engine (local processes | Ray) ──► work: decode ─► resize ─► encoders ─► Parquet part ──► results
"""

from __future__ import annotations

from .job import localize_files
from .results import FileResult

__all__ = ["FileResult", "localize_files"]
