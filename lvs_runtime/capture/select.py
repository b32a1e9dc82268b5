"""From what the user asked to the sources that deliver it."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ConfigError
from .base import Source
from .camera import Camera
from .camera_av import AvCamera
from .gstreamer import GstPipeline
from .images import ImageFolder
from .media import MediaFile
from .merged import MergedSource
from .microphone import Microphone
from .stream import MediaStream, PtsClock
from .synthetic import SyntheticSource
from .uri import SourceRef


def make_sources(
    camera: SourceRef,
    mic: SourceRef,
    *,
    make_clock: Callable[[], PtsClock],
    size_px: tuple[int, int] | None = None,
    fps: float | None = None,
    mic_rate_hz: int | None = None,
    quiet: bool = False,
) -> list[Source]:
    """One source, or a picture source and a sound source, none opened yet. `push` yields nothing.

    Two media sources become one, so that sound and picture stay together whatever the pace.
    """
    own_sound = mic.kind == "camera"
    if camera.kind == "bus" and (own_sound or mic.kind in ("bus", "none")):
        from ..buses.sources import make_bus_sources

        return make_bus_sources(camera.value, mic.value or None, own_sound)
    picture = _picture(camera, own_sound, make_clock, size_px, fps)
    sound: Source | None = None
    if mic.kind == "device":
        sound = Microphone(mic.value, mic_rate_hz, quiet)
    elif mic.kind == "file":
        sound = MediaFile(mic.value, picture=False)
    elif mic.kind == "bus":
        sound = _bus(None, mic.value)
    if picture is not None and sound is not None and not picture.is_live and not sound.is_live:
        return [MergedSource(picture, sound)]
    return [source for source in (picture, sound) if source is not None]


def _picture(
    camera: SourceRef,
    own_sound: bool,
    make_clock: Callable[[], PtsClock],
    size_px: tuple[int, int] | None,
    fps: float | None,
) -> Source | None:
    if camera.kind == "device":
        return _camera(camera.value, size_px, fps)
    if camera.kind == "gst":
        return GstPipeline(camera.value)
    if camera.kind == "stream":
        return MediaStream(camera.value, make_clock, sound=own_sound)
    if camera.kind == "file":
        return MediaFile(camera.value, sound=own_sound)
    if camera.kind == "synthetic":
        return SyntheticSource(int(camera.value), size_px, fps, sound=own_sound)
    if camera.kind == "images":
        return ImageFolder(camera.value, camera.fps or 15.0)
    if camera.kind == "bus":
        return _bus(camera.value, None)
    if camera.kind != "push":
        raise ConfigError(f"camera: unknown kind {camera.kind}")
    return None


def _camera(device: str, size_px: tuple[int, int] | None, fps: float | None) -> Source:
    """OpenCV where it imports: it also knows macOS and Windows. The lean installation has PyAV alone."""
    try:
        import cv2  # noqa: F401
    except ImportError:
        return AvCamera(device, size_px, fps)
    return Camera(device, size_px, fps)


def _bus(camera: str | None, mic: str | None) -> Source:
    from ..buses.sources import make_bus_sources

    return make_bus_sources(camera, mic, own_sound=False)[0]
