"""Home Assistant's MQTT discovery: one device with a sound sensor, its bearing, its level and the picture. Pure.

Format: Home Assistant's MQTT integration, "device discovery payload" (`dev`, `o`, `cmps`).
"""

from __future__ import annotations

import math
import re
from typing import Any

from .. import __version__
from ..results import Result
from .message import direction

PREFIX = "homeassistant"


def discovery(prefix: str, topic: str, name: str, with_image: bool) -> tuple[str, dict[str, Any]]:
    """(topic, payload) to publish retained; an empty payload on the same topic removes the device again."""
    node = re.sub(r"[^A-Za-z0-9_-]", "_", topic)
    sensor = {"p": "sensor", "state_class": "measurement"}
    components: dict[str, dict[str, Any]] = {
        "sound": {
            "p": "binary_sensor",
            "name": "Sound",
            "device_class": "sound",
            "value_template": "{{ value_json.sound }}",
            "json_attributes_topic": f"{topic}/state",
        },
        "in_view": {"p": "binary_sensor", "name": "Source in view", "value_template": "{{ value_json.in_view }}"},
        "bearing": {
            **sensor,
            "name": "Bearing",
            "unit_of_measurement": "°",
            "value_template": "{{ value_json.bearing_deg }}",
        },
        "level": {
            **sensor,
            "name": "Level",
            "unit_of_measurement": "dB",
            "device_class": "sound_pressure",
            "value_template": "{{ value_json.level_dbfs }}",
        },
    }
    if with_image:
        components["picture"] = {"p": "camera", "name": "Picture", "topic": f"{topic}/image"}
    for key, component in components.items():
        component["unique_id"] = f"lvs_{node}_{key}"
    return f"{prefix}/device/lvs_{node}/config", {
        "dev": {"ids": [f"lvs_{node}"], "name": name, "mf": "lvs", "mdl": "sound localization", "sw": __version__},
        "o": {"name": "lvs", "sw": __version__},
        "state_topic": f"{topic}/state",
        "availability_topic": f"{topic}/status",
        "payload_available": "online",
        "payload_not_available": "offline",
        "cmps": components,
    }


def state(result: Result) -> dict[str, Any]:
    """The retained state: coarse numbers, so that it changes when something changes. Bearing: left is positive."""
    ray = direction(result)
    bearing = None if ray is None else round(-math.degrees(math.atan2(ray[0], ray[2])))
    return {
        "sound": "ON" if result.audible else "OFF",
        "in_view": "ON" if result.boxes_px else "OFF",
        "bearing_deg": bearing,
        "level_dbfs": round(result.level_dbfs / 3) * 3,
    }
