"""Sensors on a made-up /sys, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lvs_runtime.bench import resources, sensors


def put(root: Path, path: str, value: object) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def test_what_is_absent_is_unknown_not_fine(tmp_path: Path) -> None:
    log = sensors.SensorLog(tmp_path)
    sample = log.sample()
    assert {key: value for key, value in sample.items() if key != "ns"} == dict.fromkeys(
        ("temp_c", "mhz", "throttled", "watts")
    )
    assert log.energy() == (None, None)


def test_hottest_zone_mean_clock_throttling_and_energy_over_the_wrap(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", 41_000)
    put(tmp_path, "sys/class/thermal/thermal_zone1/temp", 67_500)
    put(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", 1_000_000)
    put(tmp_path, "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", 2_000_000)
    throttle = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    put(tmp_path, throttle, 5)
    put(tmp_path, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", 10_000_000)
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", 9_000_000)
    log = sensors.SensorLog(tmp_path)
    sample = log.sample()
    assert (sample["temp_c"], sample["mhz"], sample["throttled"]) == (67.5, 1500.0, False)
    put(tmp_path, throttle, 6)
    put(tmp_path, "sys/class/powercap/intel-rapl:0/energy_uj", 1_000_000)
    assert log.sample()["throttled"] is True
    assert log.energy() == (2.0, "RAPL package 0")


def test_power_of_a_jetson_is_integrated(tmp_path: Path) -> None:
    for rail, (millivolts, milliamperes) in enumerate([(5000, 400), (12_000, 250)], start=1):
        put(tmp_path, f"sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/in{rail}_input", millivolts)
        put(tmp_path, f"sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/curr{rail}_input", milliamperes)
    log = sensors.SensorLog(tmp_path)
    assert log.sample()["watts"] == 5.0
    log.samples = [{"ns": 0, "watts": 5.0}, {"ns": 2_000_000_000, "watts": 7.0}]
    assert log.energy() == (12.0, "INA3221, all rails it names")


def test_a_meter_tells_plain_values() -> None:
    meter = resources.Meter(sensors.SensorLog(every_s=0.01)).start()
    sum(range(200_000))
    meter.stop()
    block = meter.block()
    assert block["cpu_percent"] > 0
    assert block["rss_mb_end"] == pytest.approx(block["rss_mb_peak"], rel=0.9)
    assert len(meter.sensors.samples) >= 2
    meter.stop()  # a second call does nothing
    assert meter.block()["cpu_percent"] == block["cpu_percent"]
