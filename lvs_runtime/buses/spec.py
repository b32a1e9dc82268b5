"""What the user wrote for a bus, understood without loading its library: scheme, address, topic, options.

Secrets never stand here: a password in an address is refused, so that no process list and no log shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ..errors import ConfigError

BUS_SCHEMES = ("mqtt", "mqtts", "zenoh", "zmq", "dds", "ros2", "foxglove", "mcap")
SINK_FORMS = "mqtt://[USER@]HOST[:PORT]/TOPIC, mqtts://..., zenoh:KEY, zmq:PORT, dds:/TOPIC, ros2:/TOPIC, " + (
    "foxglove:PORT, mcap:FILE.mcap"
)
_OPTIONS: dict[str, frozenset[str]] = {
    "mqtt": frozenset({"image", "map", "discovery", "ca", "name"}),
    "zenoh": frozenset({"image", "map", "connect", "listen", "mode", "rate", "channels"}),
    "zmq": frozenset({"image", "map"}),
    "dds": frozenset({"image", "map", "domain", "rate", "channels"}),
    "ros2": frozenset({"image", "map", "lifecycle", "rate", "channels"}),
    "foxglove": frozenset({"image", "map", "host"}),
    "mcap": frozenset({"image", "map"}),
}
_OPTIONS["mqtts"] = _OPTIONS["mqtt"]
_ROS_NAME = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)+")


@dataclass(frozen=True, slots=True)
class BusSpec:
    """One bus address. `text` is what may be shown."""

    scheme: str
    text: str
    topic: str = ""  # topic, key, file
    fragment: str = ""  # mcap:FILE#TOPIC
    host: str = ""
    port: int | None = None
    user: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """The option as a number within the bounds; `ConfigError` otherwise."""
        text = self.options.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ConfigError(f"{self.text}: {name}={text}: want a number from {low:g} to {high:g}")
        return value

    @property
    def image_hz(self) -> float:
        """Annotated pictures a second (option `image`); 0: none."""
        return self.number("image", 0.0, 0.0, 120.0)

    @property
    def with_map(self) -> bool:
        """Messages carry the similarity map (option `map`)."""
        return self.options.get("map", "0") not in ("0", "no", "false")


def parse_bus(text: str, flag: str) -> BusSpec:
    """Understand `text` as written after `flag`; `ConfigError` names the good forms."""
    scheme, _, rest = text.partition(":")
    shown = re.sub(r"//[^/@\s]*:[^/@\s]*@", "//***@", text)
    if scheme in ("mqtt", "mqtts"):
        return _mqtt(text, shown, flag)
    rest, _, query = rest.partition("?")
    rest, _, fragment = rest.partition("#")
    if "#" in query:
        query, _, fragment = query.partition("#")
    options = _options(scheme, query, shown, flag)
    spec = BusSpec(scheme, shown, topic=rest, fragment=unquote(fragment), options=options)
    if scheme in ("dds", "ros2"):
        if not _ROS_NAME.fullmatch(rest):
            raise ConfigError(
                f"{flag} {shown}: {rest!r} is no ROS topic; want /NAME[/NAME...] of letters, digits and _, none "
                f"beginning with a digit, e.g. {scheme}:/lvs"
            )
    elif scheme == "zenoh":
        check_zenoh_key(rest, f"{flag} {shown}")
    elif scheme == "zmq":
        return _zmq(spec, flag)
    elif scheme == "foxglove":
        port = rest or "8765"
        if not port.isdecimal() or int(port) > 65535:
            raise ConfigError(f"{flag} {shown}: the port must be a number from 0 to 65535 (0: any free)")
        return BusSpec(scheme, shown, host=options.get("host", "127.0.0.1"), port=int(port), options=options)
    elif not rest:
        raise ConfigError(f"{flag} {shown}: mcap needs a file, e.g. mcap:run.mcap")
    return spec


def secret(name: str) -> str | None:
    """The secret in the environment variable `name`, or in the file that `name`_FILE names; None when neither is."""
    if name in os.environ:
        return os.environ[name]
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_FILE: {path} cannot be read ({getattr(error, 'strerror', error)})") from None


def check_zenoh_key(key: str, what: str) -> None:
    """Raise `ConfigError` unless `key` can be published on."""
    if not key or any(c in key for c in "*$#?\0") or any(part == "" for part in key.split("/")):
        raise ConfigError(
            f"{what}: {key!r} is no Zenoh key; want words between slashes, without * $ # ?, none empty: robot/lvs"
        )


def _options(scheme: str, query: str, shown: str, flag: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS[scheme])
    if unknown:
        raise ConfigError(
            f"{flag} {shown}: unknown option {', '.join(unknown)}; {scheme} takes {', '.join(sorted(_OPTIONS[scheme]))}"
        )
    return options


def _mqtt(text: str, shown: str, flag: str) -> BusSpec:
    parts = urlsplit(text)
    form = f"want {parts.scheme}://[USER@]HOST[:PORT]/TOPIC"
    if parts.password is not None:
        raise ConfigError(
            f"{flag} {shown}: a password does not belong on the command line, where every process can read it. Put it "
            f"in the environment, LVS_MQTT_PASSWORD, or in a file, LVS_MQTT_PASSWORD_FILE"
        )
    try:
        port = parts.port
    except ValueError:
        raise ConfigError(f"{flag} {shown}: not a port; {form}") from None
    topic = unquote(parts.path)[1:]
    if parts.fragment or any(c in topic for c in "+#\0") or topic.startswith("$") or len(topic.encode()) > 60_000:
        raise ConfigError(f"{flag} {shown}: a topic to publish on may not hold + or # or begin with $; {form}")
    if not parts.hostname or not topic or topic.endswith("/"):
        raise ConfigError(f"{flag} {shown}: {'no topic' if parts.hostname else 'no host'}; {form}")
    return BusSpec(
        parts.scheme,
        shown,
        topic=topic,
        host=parts.hostname,
        port=port,
        user=unquote(parts.username) if parts.username else None,
        options=_options(parts.scheme, parts.query, shown, flag),
    )


def _zmq(spec: BusSpec, flag: str) -> BusSpec:
    address = f"tcp://127.0.0.1:{spec.topic}" if spec.topic.isdecimal() else spec.topic
    if not re.fullmatch(r"tcp://[^/\s]+:(\d{1,5}|\*)|ipc://\S+", address):
        raise ConfigError(
            f"{flag} {spec.text}: want zmq:PORT (this machine alone), zmq:tcp://ADDRESS:PORT or zmq:ipc://FILE"
        )
    return BusSpec(spec.scheme, spec.text, host=address, topic="lvs", options=spec.options)
