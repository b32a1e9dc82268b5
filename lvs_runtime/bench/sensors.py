"""Temperature, clocks, throttling and energy, where the platform shows them. What is absent is None, never "fine".

All from files that anybody may read, except RAPL's energy, which most systems keep for root since 2020.
"""

from __future__ import annotations

import re
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path("/")
EVERY_S = 1.0


class SensorLog:
    """Samples the sensors once a second in a thread of its own, from `start` to `stop`."""

    def __init__(self, root: Path = ROOT, every_s: float = EVERY_S) -> None:
        """`root` stands for / in tests."""
        self.samples: list[dict[str, Any]] = []
        self._root, self._every_s = root, every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lvs-sensors", daemon=True)
        self._throttle_start = _throttle_count(root)
        self._energy_start = _rapl(root)

    def start(self) -> SensorLog:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """One last sample, then the end."""
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def energy(self) -> tuple[float | None, str | None]:
        """(joules since the start, which rail); (None, None) where nothing tells."""
        end = _rapl(self._root)
        if self._energy_start is not None and end is not None:
            (before, wrap), (after, _) = self._energy_start, end
            return round(((after - before) % wrap) / 1e6, 3), "RAPL package 0"
        watts = [(s["ns"], s["watts"]) for s in self.samples if s.get("watts") is not None]
        if len(watts) < 2:
            return None, None
        joules = sum((b[0] - a[0]) / 1e9 * (a[1] + b[1]) / 2 for a, b in pairwise(watts))
        return round(joules, 3), "INA3221, all rails it names"

    def _run(self) -> None:
        while True:
            self.samples.append(self.sample())
            if self._done.wait(self._every_s):
                self.samples.append(self.sample())
                return

    def sample(self) -> dict[str, Any]:
        """What the sensors say now."""
        count = _throttle_count(self._root)
        started = self._throttle_start
        return {
            "ns": time.monotonic_ns(),
            "temp_c": _temperature(self._root),
            "mhz": _clock_mhz(self._root),
            "throttled": None if count is None or started is None else count > started,
            "watts": _ina_watts(self._root),
        }


def _temperature(root: Path) -> float | None:
    """The hottest zone, °C."""
    files = [*root.glob("sys/class/thermal/thermal_zone*/temp"), *root.glob("sys/class/hwmon/hwmon*/temp*_input")]
    values = [value / 1000 for path in files if (value := _number(path)) is not None and value > 0]
    return round(max(values), 1) if values else None


def _clock_mhz(root: Path) -> float | None:
    """Mean clock over the cores, MHz."""
    values = [
        value / 1000
        for path in root.glob("sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq")
        if (value := _number(path)) is not None
    ]
    return round(sum(values) / len(values), 1) if values else None


def _throttle_count(root: Path) -> int | None:
    """How often cores or the package throttled (Intel), or the over-current events of a Jetson."""
    files = [
        *root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count"),
        *root.glob("sys/class/hwmon/hwmon*/oc*_event_cnt"),
    ]
    values = [value for path in files if (value := _number(path)) is not None]
    return int(sum(values)) if values else None


def _rapl(root: Path) -> tuple[float, float] | None:
    """(microjoules, value at which the counter wraps) of the CPU package, where it may be read."""
    zone = root / "sys/class/powercap/intel-rapl:0"
    energy, wrap = _number(zone / "energy_uj"), _number(zone / "max_energy_range_uj")
    return None if energy is None or not wrap else (energy, wrap)


def _ina_watts(root: Path) -> float | None:
    """Sum over the rails of an INA3221 (Jetson), W."""
    total, found = 0.0, False
    for volts in root.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/in[1-3]_input"):
        current = _number(volts.with_name(re.sub(r"^in", "curr", volts.name)))
        millivolts = _number(volts)
        if current is not None and millivolts is not None:
            total, found = total + millivolts * current / 1e6, True
    return round(total, 3) if found else None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii", errors="replace").strip())
    except (OSError, ValueError):
        return None
