"""`lvs-live`: camera and microphone, a file or a stream in; heat maps out."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ..errors import ConfigError
from .common import EXIT_LOST, EXIT_OK, run_cli

if TYPE_CHECKING:
    from ..live.session import LiveSession
    from ..results import Result
    from .live_report import Reporter


@dataclass(kw_only=True)
class Live:
    """Show what is heard, and where it is seen, live.

    Without options: camera 0 and the default microphone, in a window or on a web page. A file with its own sound into
    an annotated recording: lvs-live --camera clip.mp4 --sink out.mp4

    Ctrl-C ends it cleanly and prints the summary. Exit codes: 0 done, 1 ended by a loss, 2 something to repair
    (docs/live.md).
    """

    camera: str = "0"
    """0, /dev/video0, FILE, rtsp://..., http://..., udp://..., gst:PIPELINE, images:FOLDER@FPS, synthetic:SEED,
    mcap:FILE[#TOPIC], dds:/TOPIC, ros2:/TOPIC, zenoh:KEY."""
    mic: str | None = None
    """default, NAME, INDEX, FILE.wav, camera (own sound of a file or stream), none. Unset: own sound, else default."""
    sink: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """window, web[:PORT], OUT.mp4, jsonl:PATH, jsonl:-, images:FOLDER[@SECONDS], mqtt://HOST/TOPIC, zenoh:KEY,
    zmq:PORT, dds:/TOPIC, ros2:/TOPIC, foxglove:PORT, mcap:FILE (docs/robots.md). Unset: a window, else the web page."""
    web_host: str = "127.0.0.1"
    """Address the page listens on; one that others can reach demands LVS_WEB_TOKEN in the environment."""
    camera_info: Path | None = None
    """Calibration of the camera (ROS or OpenCV YAML): results then carry bearings and tracks."""
    hfov: float | None = None
    """Instead of a calibration: the horizontal field of view, degrees."""
    bundle: Path | None = None
    """Folder of a model bundle (default: the shipped one)."""
    device: str = "cpu"
    """cpu, openvino, cuda, tensorrt, rtx, ep:NAME[=PATH], or auto: the fastest, measured once (docs/backends.md)."""
    threads: int | None = None
    """CPU threads of one inference."""
    headless: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """No window and no page by default."""
    seconds: float | None = None
    """End after so many seconds (of the file, or of time)."""
    policy: Literal["latest", "all"] | None = None
    """latest: the newest frame, others are dropped and counted. all: every frame of a file. Unset: all for files."""
    no_pace: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Files as fast as inference goes instead of in real time."""
    audio_seconds: float | None = None
    """Length of the audio window (default: what the bundle states)."""
    audio_rate: float | None = None
    """Audio embeddings a second with policy latest. Unset: each frame its own, at least 8 where time is short."""
    resolution: str | None = None
    """Ask the camera (or the drawn world) for WIDTHxHEIGHT."""
    fps: float | None = None
    """Ask the camera (or the drawn world) for this rate."""
    mic_rate: int | None = None
    """Sample rate to open the microphone at (default: 48000, else its own)."""
    av_offset_ms: float = 0.0
    """Added to every sound stamp: positive when the sound seems to come too early."""
    smoothing: Literal["one-euro", "exponential", "off"] | None = None
    """Steadies the map over time without waiting for anything. Unset: one-euro (or as recorded)."""
    record: Path | None = None
    """Keep everything that comes in (frames, sound, stamps) in this new folder, for --replay."""
    replay: Path | None = None
    """Play what --record kept instead of a camera and microphone: the same bundle gives the same results."""
    max_reconnects: int | None = None
    """Give up a lost camera or microphone after so many tries (default: never)."""
    list_devices: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show cameras and microphones, then end."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """With --list-devices: as JSON."""
    stats: float | None = None
    """Print a line of counters every so many seconds."""
    stats_json: Path | None = None
    """Write all counters to this file at the end."""
    debug: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Show tracebacks and everything the libraries print."""


def live(args: Live) -> int:
    """Run a session as the command line says; returns the exit code."""
    if args.list_devices:
        return _list_devices(args)
    if args.json:
        raise ConfigError("--json: only with --list-devices; for results as JSON lines: --sink jsonl:-")
    from ..live.session import LiveSession
    from .live_report import Reporter, sinks_for

    _prepare_logging(args.debug)
    say = Reporter(debug=args.debug)
    session = LiveSession(
        video=args.camera,
        audio=args.mic,
        model=args.bundle,
        device=args.device,
        threads=args.threads,
        sinks=_open_sinks(sinks_for(args.sink, args.headless, os.environ, say.note), args.web_host),
        policy=args.policy,
        paced=not args.no_pace,
        audio_rate_hz=args.audio_rate,
        audio_seconds=args.audio_seconds,
        size_px=parse_resolution(args.resolution),
        fps=args.fps,
        mic_rate_hz=args.mic_rate,
        av_offset_ms=args.av_offset_ms,
        seconds=args.seconds,
        max_reconnects=args.max_reconnects,
        smoothing=args.smoothing,
        record=args.record,
        replay=args.replay,
        quiet=not args.debug,
        annotate=_geometry(args),
    )
    if args.stats is not None and not args.stats > 0:
        raise ConfigError(f"--stats {args.stats}: want a number of seconds above 0")
    with _StopOnSignals(session.stop):
        session.start()
        say.opened(session)
        try:
            while not _wait(session, args.stats):
                say.counters(session.stats())
        finally:
            closed = session.close()
            say.summary(session)
            _write_stats(args.stats_json, session, say)
    if not closed:
        say.note("a device or sink did not let go in time; leaving anyway")
        _leave(EXIT_LOST)
    return _exit_code(session)


def _wait(session: LiveSession, every_s: float | None) -> bool:
    """`session.wait`, in short steps: a signal that the kernel gives to another thread wakes no waiting main thread."""
    end_s = math.inf if every_s is None else time.monotonic() + every_s
    while not session.wait(min(0.5, max(0.0, end_s - time.monotonic()))):
        if time.monotonic() >= end_s:
            return False
    return True


def _leave(code: int) -> None:
    """End at once: a device that will not let go would hang the interpreter's own exit too. Files are closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_code(session: LiveSession) -> int:
    if session.error is not None and not session.ended_by_loss:
        raise session.error  # nothing came of it, or it was no loss: something to repair
    return EXIT_LOST if session.error is not None or session.sink_errors else EXIT_OK


def parse_resolution(text: str | None) -> tuple[int, int] | None:
    """ "640x480" to (640, 480); `ConfigError` otherwise."""
    if text is None:
        return None
    width, x, height = text.lower().partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ConfigError(f"--resolution {text}: want WIDTHxHEIGHT, e.g. 640x480")
    return int(width), int(height)


def _geometry(args: Live) -> Callable[[Result], Result] | None:
    """Bearings and tracks, where the command line says how the camera sees."""
    if args.camera_info is not None and args.hfov is not None:
        raise ConfigError("--camera-info and --hfov: both say how the camera sees; give one")
    from ..geometry import CameraModel, load_camera
    from ..tracks import SourceTracker

    if args.camera_info is not None:
        return SourceTracker(load_camera(args.camera_info)).annotate
    hfov = args.hfov
    if hfov is None:
        return None
    CameraModel.from_hfov(hfov, (640, 480))  # a wrong angle is said before anything opens
    return SourceTracker(lambda size_px: CameraModel.from_hfov(hfov, size_px)).annotate


def _open_sinks(specs: list[str], web_host: str) -> list[Any]:
    from ..sinks import open_sink

    token = os.environ.get("LVS_WEB_TOKEN")
    return [open_sink(spec, web_host=web_host, web_token=token) for spec in specs]


def _list_devices(args: Live) -> int:
    from ..capture import list_devices
    from .live_report import device_lines

    found = list_devices(quiet=not args.debug)
    if args.json:
        import json

        print(json.dumps(found.as_dict(), indent=1))
    else:
        print("\n".join(device_lines(found)))
    return EXIT_OK


def _prepare_logging(debug: bool) -> None:
    import logging

    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s", stream=sys.stderr)
    if not debug:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # its warnings repeat what our own message says


class _StopOnSignals:
    """SIGINT and SIGTERM call `stop` inside the block; a second one ends the process at once."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        self._stop()


def _write_stats(path: Path | None, session: LiveSession, say: Reporter) -> None:
    if path is None:
        return
    import json

    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(session.stats().as_dict(), indent=1) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        say.note(f"--stats-json {path}: not written ({error.strerror})")


def main() -> None:
    """Entry point of `lvs-live`."""
    run_cli(lambda: live(tyro.cli(Live, prog="lvs-live")))


if __name__ == "__main__":
    main()
