"""What a run took from the machine, and what the machine took from the run."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from .sensors import SensorLog

DISTURBED_SHARE = 0.02  # of the wall time waiting for a CPU


class Meter:
    """Between `start` and `stop`: CPU, memory, waiting for a CPU, other work on the machine, energy."""

    def __init__(self, sensors: SensorLog | None = None) -> None:
        self.sensors = sensors or SensorLog()
        self.start_ns = self.end_ns = 0
        self._before: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    def start(self) -> Meter:
        """Begin."""
        self._before, self.start_ns = _state(), time.monotonic_ns()
        self.sensors.start()
        return self

    def stop(self) -> None:
        """End; a second call does nothing."""
        if not self.end_ns:
            self._after, self.end_ns = _state(), time.monotonic_ns()
            self.sensors.stop()

    @property
    def disturbed(self) -> bool | None:
        """The process waited for a CPU for more than 2 % of the time; None where the system does not tell."""
        waited = self._difference("waited_ns")
        return None if waited is None else waited > DISTURBED_SHARE * (self.end_ns - self.start_ns)

    def block(self) -> dict[str, Any]:
        """The `resources` block of a report."""
        wall_ns = max(1, self.end_ns - self.start_ns)
        waited, busy, stolen = (self._difference(key) for key in ("waited_ns", "cpu_ticks", "steal_ticks"))
        energy_j, source = self.sensors.energy()
        return {
            "cpu_percent": round((self._after["cpu_ns"] - self._before["cpu_ns"]) / wall_ns * 100, 1),
            "rss_mb_start": self._before["rss_mb"],
            "rss_mb_end": self._after["rss_mb"],
            "rss_mb_peak": self._after["rss_mb_peak"],
            "runqueue_wait_ms": None if waited is None else round(waited / 1e6, 3),
            "nivcsw": self._after["nivcsw"] - self._before["nivcsw"],
            "wakeups": self._after["nvcsw"] - self._before["nvcsw"],
            "psi_some_avg10": [self._before["psi"], self._after["psi"]],
            "steal_percent": None if not busy or stolen is None else round(100 * stolen / busy, 2),
            "load_1min_start": self._before["load"],
            "load_1min_end": self._after["load"],
            "energy_j": energy_j,
            "energy_source": source,
        }

    def _difference(self, key: str) -> int | None:
        before, after = self._before[key], self._after[key]
        return None if before is None or after is None else after - before


def _state() -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    ticks = _cpu_ticks()
    return {
        "cpu_ns": time.process_time_ns(),
        "rss_mb": _rss_mb(),
        "rss_mb_peak": round(usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3), 1),
        "nivcsw": usage.ru_nivcsw,
        "nvcsw": usage.ru_nvcsw,
        "waited_ns": waited_ns(),
        "psi": _psi(),
        "cpu_ticks": sum(ticks) if ticks else None,
        "steal_ticks": ticks[7] if ticks and len(ticks) > 7 else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def waited_ns() -> int | None:
    """Time that threads of this process which live now were ready and had no CPU, ns (Linux): the worst one's."""
    found = []
    for path in Path("/proc/self/task").glob("*/schedstat"):
        text = _text(path)
        if text:
            found.append(int(text.split()[1]))
    return max(found, default=None)


def _rss_mb() -> float | None:
    text = _text(Path("/proc/self/statm"))
    return round(int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1) if text else None


def _psi() -> float | None:
    text = _text(Path("/proc/pressure/cpu"))
    return float(text.split("avg10=")[1].split()[0]) if text and "avg10=" in text else None


def _cpu_ticks() -> list[int]:
    text = _text(Path("/proc/stat"))
    return [int(field) for field in text.splitlines()[0].split()[1:]] if text else []


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
