"""What cameras and microphones there are, found without opening (and lighting) any."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .quiet import quiet_stderr


@dataclass(frozen=True, slots=True)
class CameraEntry:
    """A node that can stream. `stable` is a name that survives a reboot or a replug, "" when there is none."""

    device: str
    name: str
    stable: str = ""


@dataclass(frozen=True, slots=True)
class MicrophoneEntry:
    """An input as PortAudio sees it; give its name to --mic, the index moves."""

    index: int
    name: str
    host_api: str
    channels: int
    sample_rate_hz: float
    is_default: bool


@dataclass(slots=True)
class DeviceList:
    """Everything found; `problems` says why a list may be empty, with the repair."""

    cameras: list[CameraEntry] = field(default_factory=list)
    microphones: list[MicrophoneEntry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def list_devices(root: str | Path = "/", quiet: bool = True) -> DeviceList:
    """Cameras from /sys/class/video4linux under `root`, microphones from PortAudio. Never raises for a lack.

    `quiet` keeps ALSA's own lines off stderr while PortAudio looks around.
    """
    found = DeviceList(cameras=list_cameras(root))
    if not found.cameras:
        found.problems.append("no camera found: plug one in; in a container, pass --device /dev/video0")
    try:
        with quiet_stderr(quiet):
            found.microphones = list_microphones()
        if not found.microphones:
            found.problems.append(
                "no microphone found: no sound card, or no bridge to PulseAudio or PipeWire (apt install "
                "libasound2-plugins)"
            )
    except ImportError:
        found.problems.append("microphones need sounddevice: pip install sounddevice")
    except OSError:
        found.problems.append("microphones need PortAudio: apt install libportaudio2")
    return found


def list_cameras(root: str | Path = "/") -> list[CameraEntry]:
    """Nodes with `index` 0: a USB camera's second node carries metadata and cannot stream."""
    base = Path(root)
    stable = _stable_names(base / "dev/v4l/by-id")
    found = []
    for node in (base / "sys/class/video4linux").glob("video*"):
        if _text(node / "index") not in ("0", ""):
            continue
        device = f"/dev/{node.name}"
        found.append(CameraEntry(device, _text(node / "name") or node.name, stable.get(node.name, "")))
    return sorted(found, key=lambda c: int(re.sub(r"\D", "", c.device) or 0))


def list_microphones() -> list[MicrophoneEntry]:
    """Inputs of PortAudio; raises `ImportError` without sounddevice and `OSError` without PortAudio."""
    import sounddevice

    apis = [api["name"] for api in sounddevice.query_hostapis()]
    default = sounddevice.default.device[0]
    return [
        MicrophoneEntry(
            index=index,
            name=device["name"],
            host_api=apis[device["hostapi"]],
            channels=device["max_input_channels"],
            sample_rate_hz=device["default_samplerate"],
            is_default=index == default,
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


def _stable_names(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    links = sorted(p for p in folder.iterdir() if p.is_symlink() and p.name.endswith("index0"))
    return {p.readlink().name: f"/dev/v4l/by-id/{p.name}" for p in links}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
