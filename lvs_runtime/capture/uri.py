"""What the user wrote after --camera and --mic, understood without touching a device."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from ..buses.spec import parse_bus
from ..errors import ConfigError

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp")
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac")
CAMERA_FORMS = "0, /dev/video0, FILE, rtsp://..., http://..., udp://..., " + (
    "gst:PIPELINE, images:FOLDER@FPS, synthetic:SEED, mcap:FILE[#TOPIC], dds:/TOPIC, ros2:/TOPIC, zenoh:KEY"
)
MIC_FORMS = "default, NAME, INDEX, none, camera (the file's or stream's own sound), FILE.wav" + (
    ", mcap:FILE#TOPIC, dds:/TOPIC, ros2:/TOPIC, zenoh:KEY"
)
BUS_SOURCES = ("mcap", "dds", "ros2", "zenoh")
_OWN_SCHEMES = ("synthetic", "images", "gst", *STREAM_SCHEMES, *BUS_SOURCES)
_WORDS = ("default", "none", "camera")


@dataclass(frozen=True, slots=True)
class SourceRef:
    """A parsed source: its `kind` and the `value` that the kind needs."""

    kind: str  # camera: device | file | stream | synthetic | images | bus | push; mic: device | file | bus | camera...
    value: str
    fps: float | None = None  # images:FOLDER@FPS
    text: str = ""  # as written, secrets removed


def redact(text: str) -> str:
    """`text` with what is secret in the URLs of it replaced: user and password, and values such as `?password=`."""
    text = re.sub(r"(\w+://)[^/\s'\"]+@", r"\1***@", text)  # up to the last @: a password may hold one
    return re.sub(r"(?i)([?&;](?:\w*pass\w*|pwd|token|\w*key|secret|auth)=)[^&;\s'\"]+", r"\1***", text)


def parse_camera(text: str) -> SourceRef:
    """The camera, file, stream or drawn world that `text` names; `ConfigError` on an unknown form."""
    if not text:
        raise ConfigError(f"--camera: nothing given. Possible: {CAMERA_FORMS}")
    shown = redact(text)
    if text == "push":
        return SourceRef("push", "", text=shown)
    if text.isdecimal() or text.startswith("/dev/"):
        return SourceRef("device", text, text=shown)
    scheme, colon, rest = text.partition(":")
    if colon and scheme in STREAM_SCHEMES:
        if not rest.startswith("//") or len(rest) < 3:
            raise ConfigError(f"--camera {shown}: not a full address, want {scheme}://HOST[:PORT]/PATH")
        return SourceRef("stream", text, text=shown)
    if colon and scheme == "synthetic":
        return _synthetic(rest, shown)
    if colon and scheme == "images":
        return _images(rest, shown)
    if colon and scheme in BUS_SOURCES:
        parse_bus(text, "--camera")
        return SourceRef("bus", text, text=shown)
    if colon and scheme == "gst":
        if not rest.strip():
            raise ConfigError(f"--camera {shown}: want a pipeline, e.g. gst:videotestsrc is-live=true")
        return SourceRef("gst", rest.strip(), text=shown)
    if _looks_like_scheme(text):
        near = difflib.get_close_matches(scheme, _OWN_SCHEMES, n=1)
        hint = f" Did you mean {near[0]}:?" if near else ""
        raise ConfigError(f"--camera {shown}: {scheme}: is not supported.{hint} Possible: {CAMERA_FORMS}")
    return SourceRef("file", text, text=shown)


def parse_mic(text: str | None, camera: SourceRef) -> SourceRef:
    """The microphone that `text` names. None: the own sound of a file or drawn world, else the default microphone."""
    if text is None:
        own = camera.kind in ("file", "synthetic") or camera.value.startswith("mcap:")
        text = "camera" if own else {"push": "push", "images": "none", "stream": "camera"}.get(camera.kind, "default")
    if text == "camera" and camera.kind in ("device", "gst", "images", "push"):
        raise ConfigError(f"--mic camera: {camera.text} has no sound of its own. Possible: {MIC_FORMS}")
    if not text:
        raise ConfigError(f"--mic: nothing given. Possible: {MIC_FORMS}")
    if text in ("none", "camera", "push"):
        return SourceRef(text, "", text=text)
    if text.partition(":")[0] in BUS_SOURCES and ":" in text:
        parse_bus(text, "--mic")
        return SourceRef("bus", text, text=text)
    if Path(text).suffix.lower() in SOUND_SUFFIXES or "/" in text or Path(text).is_file():
        return SourceRef("file", text, text=text)
    if text not in _WORDS and (near := difflib.get_close_matches(text, _WORDS, n=1, cutoff=0.8)):
        raise ConfigError(f"--mic {text}: did you mean {near[0]}? Possible: {MIC_FORMS}")
    return SourceRef("device", text, text=text)


def _looks_like_scheme(text: str) -> bool:
    # Everything FFmpeg would take for a protocol (concat:, subfile,, data:) is refused unless it is a file that exists.
    return bool(re.match(r"[a-zA-Z][\w+.-]*[:,]", text)) and not Path(text).exists()


def _synthetic(rest: str, shown: str) -> SourceRef:
    if not (rest or "0").isdecimal():
        raise ConfigError(f"--camera {shown}: the seed must be a whole number, e.g. synthetic:7")
    return SourceRef("synthetic", rest or "0", text=shown)


def _images(rest: str, shown: str) -> SourceRef:
    folder, at, rate = rest.rpartition("@")
    if not at:
        folder, rate = rest, "15"
    try:
        fps = float(rate)
    except ValueError:
        fps = 0.0
    if not folder or not 0.0 < fps <= 1000.0:
        raise ConfigError(f"--camera {shown}: want images:FOLDER@FPS with 0 < FPS <= 1000, e.g. images:frames@15")
    return SourceRef("images", folder, fps=fps, text=shown)
