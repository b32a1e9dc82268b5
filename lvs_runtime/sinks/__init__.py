"""Sinks: where results go. `open_sink("web:8080")` makes one from what the user wrote; `SinkQueue` runs it."""

from __future__ import annotations

import difflib
from pathlib import PurePath

from ..buses.spec import BUS_SCHEMES
from ..buses.spec import SINK_FORMS as BUS_FORMS
from ..errors import ConfigError
from .base import ResultSink, SessionInfo
from .queue import SinkQueue

__all__ = ["ResultSink", "SessionInfo", "SinkQueue", "open_sink", "SINK_FORMS"]

SINK_FORMS = "window, web[:PORT], OUT.mp4, jsonl:PATH, jsonl:-, images:FOLDER[@SECONDS]" + f", {BUS_FORMS}"
_SCHEMES = ("window", "web", "mp4", "jsonl", "images")
DEFAULT_WEB_PORT = 8080


def open_sink(spec: str, *, web_host: str = "127.0.0.1", web_token: str | None = None) -> ResultSink:
    """The sink that `spec` names (see `SINK_FORMS`), not opened yet: nothing is created before `open(info)`.

    `web_host` other than a loopback address demands `web_token`. Raises `ConfigError` on an unknown form.
    """
    scheme, _, rest = spec.partition(":")
    if scheme in BUS_SCHEMES:
        from ..buses import open_bus_sink

        return open_bus_sink(spec)
    if scheme not in _SCHEMES:
        return _by_suffix(spec)
    if scheme == "window":
        _expect(not rest, spec, "window takes nothing after it")
        from .window import WindowSink

        return WindowSink()
    if scheme == "web":
        from .web import WebSink

        return WebSink(_port(rest, spec), host=web_host, token=web_token)
    if scheme == "mp4":
        return _mp4(rest, spec)
    if scheme == "jsonl":
        _expect(bool(rest), spec, "jsonl needs a path, or - for standard output")
        from .jsonl import JsonlSink

        return JsonlSink(rest)
    folder, every_s = _folder_and_interval(rest, spec)
    from .images import ImagesSink

    return ImagesSink(folder, every_s)


def _by_suffix(spec: str) -> ResultSink:
    suffix = PurePath(spec).suffix.lower()
    if suffix == ".mp4":
        return _mp4(spec, spec)
    if suffix == ".jsonl":
        from .jsonl import JsonlSink

        return JsonlSink(spec)
    near = difflib.get_close_matches(spec.partition(":")[0], (*_SCHEMES, *BUS_SCHEMES), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigError(f"--sink {spec}: not a sink.{hint} Possible: {SINK_FORMS}")


def _mp4(path: str, spec: str) -> ResultSink:
    _expect(bool(path), spec, "mp4 needs a path")
    from .mp4 import Mp4Sink

    return Mp4Sink(path)


def _port(text: str, spec: str) -> int:
    if not text:
        return DEFAULT_WEB_PORT
    _expect(
        text.isdecimal() and 0 <= int(text) <= 65535, spec, "the port must be a number from 0 to 65535 (0: any free)"
    )
    return int(text)


def _folder_and_interval(text: str, spec: str) -> tuple[str, float]:
    folder, at, seconds = text.rpartition("@")
    if not at:
        folder, seconds = text, "1"
    _expect(bool(folder), spec, "images needs a folder")
    try:
        every_s = float(seconds)
    except ValueError:
        every_s = -1.0
    _expect(0.0 <= every_s < float("inf"), spec, "the interval after @ must be a number of seconds, 0 for every result")
    return folder, every_s


def _expect(condition: bool, spec: str, message: str) -> None:
    if not condition:
        raise ConfigError(f"--sink {spec}: {message}. Possible: {SINK_FORMS}")
