"""From --camera and --mic on buses to the source that delivers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError
from .spec import BusSpec, parse_bus

if TYPE_CHECKING:
    from ..capture.base import Source

SOURCE_SCHEMES = ("dds", "ros2", "zenoh", "mcap")


def make_bus_sources(camera: str | None, mic: str | None, own_sound: bool) -> list[Source]:
    """The source of a picture address, a sound address, or both on one bus; `own_sound`: the recording's own.

    Picture and sound on one bus come from one source: then one clock stands for both.
    """
    picture = parse_bus(camera, "--camera") if camera is not None else None
    sound = parse_bus(mic, "--mic") if mic is not None else None
    if own_sound:
        if picture is None or picture.scheme != "mcap":
            raise ConfigError(f"--mic camera: {camera} has no sound of its own; name its topic, e.g. --mic dds:/audio")
        sound = picture
    if picture is not None and sound is not None and _place(picture) != _place(sound):
        if "mcap" in (picture.scheme, sound.scheme):
            raise ConfigError(
                f"--camera {camera} --mic {mic}: picture and sound must come from one recording, else nothing says how "
                f"their times belong together"
            )
        return [_make(picture, None), _make(None, sound)]
    return [_make(picture, sound)]


def _place(spec: BusSpec) -> tuple[str, str]:
    return spec.scheme, spec.topic if spec.scheme == "mcap" else ""


def _make(picture: BusSpec | None, sound: BusSpec | None) -> Source:
    scheme = (picture or sound or BusSpec("", "")).scheme
    if scheme == "mcap":
        from .mcap_source import McapSource

        return McapSource(picture, sound)
    if scheme == "zenoh":
        from .zenoh_source import ZenohSource

        return ZenohSource(picture, sound)
    if scheme == "ros2":
        from .ros2_source import Ros2Source

        return Ros2Source(picture, sound)
    from .dds_source import DdsSource

    return DdsSource(picture, sound)
