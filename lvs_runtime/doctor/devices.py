"""Where pictures and sound can come from here, and where a window can be shown."""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Callable, Mapping

from .check import Check, Status, apt, pip
from .packages import SHARED_FOLDERS


def check_sources(distributions: Mapping[str, str]) -> list[Check]:
    """Cameras and files need OpenCV or PyAV; one of them will do."""
    owners = [name for name in SHARED_FOLDERS["cv2"] if name in distributions]
    readers = [*owners, *(["av"] if "av" in distributions else [])]
    found = f"read by {' and '.join(readers)}" if readers else "neither OpenCV nor PyAV is installed"
    status = Status.OK if readers else Status.LACK
    repair = None if readers else pip("install 'lvs[live,video]'")
    return [Check(group="devices", name="pictures", status=status, found=found, repair=repair, needed=True)]


def check_portaudio(find: Callable[[str], str | None] = ctypes.util.find_library) -> Check:
    """The system library that microphones need on Linux; elsewhere it comes with sounddevice."""
    if not sys.platform.startswith("linux"):
        return Check(group="devices", name="PortAudio", status=Status.OK, found="comes with sounddevice")
    library = find("portaudio")
    if library is None:
        repair = apt("libportaudio2", "libasound2-plugins")
        found = "the system library is missing: no microphone"
        return Check(group="devices", name="PortAudio", status=Status.LACK, found=found, repair=repair)
    return Check(group="devices", name="PortAudio", status=Status.OK, found=library)


def check_display(environment: Mapping[str, str] = os.environ) -> Check:
    """Whether a window can be shown; the page works without."""
    shown = [name for name in ("WAYLAND_DISPLAY", "DISPLAY") if environment.get(name)]
    if shown or not sys.platform.startswith("linux"):
        found = f"{shown[0]}={environment[shown[0]]}" if shown else sys.platform
        return Check(group="devices", name="display", status=Status.OK, found=found)
    found = "neither DISPLAY nor WAYLAND_DISPLAY is set: no window, the page works"
    return Check(group="devices", name="display", status=Status.LACK, found=found, repair="lvs-live --sink web")


def check_devices() -> list[Check]:
    """PortAudio and display."""
    return [check_portaudio(), check_display()]
