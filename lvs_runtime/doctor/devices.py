"""Where pictures and sound can come from here, and where a window can be shown."""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import isolate
from .check import Check, Status, apt, pip
from .packages import SHARED_FOLDERS, Try, try_import

LIST = """
import json
from lvs_runtime.capture.devices import list_devices
print(json.dumps(list_devices().as_dict()))
"""


def check_sources(distributions: Mapping[str, str], attempt: Try = try_import) -> Check:
    """Cameras and files need OpenCV or PyAV, one that imports."""
    readers = {name: "cv2" for name in SHARED_FOLDERS["cv2"] if name in distributions}
    readers |= {"av": "av"} if "av" in distributions else {}
    usable = []
    for name, module in readers.items():
        try:
            attempt(module)
            usable.append(name)
        except isolate.ProbeError:  # its own line among the packages says why
            continue
    found = (
        f"read by {' and '.join(usable)}" if usable else f"OpenCV or PyAV is needed; {len(readers)} installed, 0 work"
    )
    status = Status.OK if usable else Status.LACK
    repair = None if usable else pip("install 'lvs[live,video]'")
    return Check(group="devices", name="pictures", status=status, found=found, repair=repair, needed=True)


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


def ask_devices() -> Any:
    """What `lvs-live --list-devices` would say, from a process of its own: drivers can hang or crash."""
    return isolate.run(LIST, timeout_s=30.0)


def check_devices(distributions: Mapping[str, str], listed: Callable[[], Any] = ask_devices) -> list[Check]:
    """Cameras, PortAudio, microphones, display."""
    portaudio, display = check_portaudio(), check_display()
    try:
        answer = listed()
    except isolate.ProbeError as error:
        found, repair = f"looking for devices failed: {error}", "lvs-live --list-devices --debug"
        broken = Check(group="devices", name="cameras", status=Status.BROKEN, found=found, repair=repair)
        return [broken, portaudio, display]
    microphones = _microphones(answer["microphones"], distributions, portaudio)
    return [_cameras(answer["cameras"]), portaudio, microphones, display]


def bridged(libraries: Path = Path("/usr/lib")) -> bool:
    """Whether ALSA, and so PortAudio, has a way to PulseAudio or PipeWire."""
    return any(any(libraries.glob(f"*/alsa-lib/libasound_module_pcm_{name}.so")) for name in ("pulse", "pipewire"))


def _cameras(cameras: list[dict[str, Any]], usable: Callable[[str, int], bool] = os.access) -> Check:
    found = ", ".join(f"{camera['device']} ({camera['name']})" for camera in cameras)
    shut = [camera["device"] for camera in cameras if not usable(camera["device"], os.R_OK | os.W_OK)]
    if not cameras:
        repair = "lvs-live --camera clip.mp4    (or plug one in; in a container: --device /dev/video0)"
        return Check(group="devices", name="cameras", status=Status.LACK, found="none", repair=repair)
    if shut:
        found, repair = f"{found}: no right to open {', '.join(shut)}", "sudo usermod -aG video $USER    (log in again)"
        return Check(group="devices", name="cameras", status=Status.BROKEN, found=found, repair=repair)
    return Check(group="devices", name="cameras", status=Status.OK, found=found)


def _microphones(microphones: list[dict[str, Any]], distributions: Mapping[str, str], portaudio: Check) -> Check:
    if microphones:
        names = [f"{m['name']} ({m['host_api']}){' [default]' if m['is_default'] else ''}" for m in microphones]
        return Check(group="devices", name="microphones", status=Status.OK, found=", ".join(names))
    found, repair = "none: no sound card, and no sound server runs", "pulseaudio --start    (or plug one in)"
    if not bridged():
        found, repair = "none: no sound card, and no bridge to PulseAudio or PipeWire", apt("libasound2-plugins")
    if "sounddevice" not in distributions:
        found, repair = "not looked for: sounddevice is not installed", pip("install 'lvs[live]'")
    elif portaudio.repair:
        found, repair = "not looked for: PortAudio is missing", portaudio.repair
    return Check(group="devices", name="microphones", status=Status.LACK, found=found, repair=repair)
