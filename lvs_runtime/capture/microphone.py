"""A microphone through PortAudio. The callback stamps and copies; everything else happens in the reader's thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

from ..errors import CaptureError
from .base import SoundBlock, SourceInfo, SourceLost
from .mono import MonoMix
from .quiet import quiet_stderr

NATIVE_HZ = 48_000
_LATENCY_S = 0.05  # PortAudio's "low" leaves no slack on a loaded machine; 0.2 bunches the blocks
_MOST_WAITING = 6_000  # blocks, a minute; whatever is pushed out shows up as a gap in the clock
_CLOSE_S = 2.0
_LEFT_BEHIND: list[Any] = []  # streams that would not close: freeing them under PortAudio's thread would crash


class Microphone:
    """Opened at its native rate in 10 ms blocks; blocks carry arrivals only, the session's clock makes the stamps.

    PortAudio's own ADC time is not used: on ALSA over PulseAudio it is wrong by milliseconds to years.
    """

    is_live = True
    has_picture = False
    has_sound = True

    def __init__(self, device: str = "default", sample_rate: int | None = None, quiet: bool = False) -> None:
        """`device`: "default", a name or a unique part of it, or an index. `quiet`: no ALSA chatter on stderr."""
        self._device, self._rate, self._quiet = device, sample_rate, quiet
        self._stream: Any = None
        self._blocks: deque[tuple[Any, int, bool]] = deque(maxlen=_MOST_WAITING)
        self._ready = threading.Event()
        self._finished = False
        self._mix = MonoMix()
        self.info = SourceInfo(name=device, kind="microphone", stamp_source="arrival")

    def open(self) -> None:
        """Open and start; raises `CaptureError` with the repair."""
        with quiet_stderr(self._quiet):
            sounddevice = import_sounddevice()
            device = self._resolve(sounddevice)
            rate, channels = self._settings(sounddevice, device)
            self._blocks, self._ready, self._finished = deque(maxlen=_MOST_WAITING), threading.Event(), False
            self._mix = MonoMix()
            try:
                self._stream = self._make_stream(sounddevice, device, rate, channels)
                self._stream.start()
            except sounddevice.PortAudioError as error:
                self._stream = None
                raise CaptureError(self._cannot_open(sounddevice, str(error))) from error
        facts = sounddevice.query_devices(device, "input")
        self.info.sample_rate, self.info.channels = rate, channels
        self.info.details = {"device": facts["name"], "api": sounddevice.query_hostapis(facts["hostapi"])["name"]}

    def read(self, timeout_s: float) -> SoundBlock | None:
        """The next block, None when none came in time, `SourceLost` when PortAudio ended the stream."""
        if not self._blocks:
            self._ready.wait(timeout_s)
            self._ready.clear()
        try:
            data, arrival_ns, overflow = self._blocks.popleft()
        except IndexError:
            if self._finished:
                raise SourceLost(f"--mic {self._device}: lost (unplugged, or the sound server ended)") from None
            return None
        return SoundBlock(
            samples=self._mix.mix(data),
            sample_rate=self.info.sample_rate or NATIVE_HZ,
            arrival_ns=arrival_ns,
            overflow=overflow,
        )

    def close(self) -> bool:
        """Abort and close in a thread with a deadline: with a frozen sound server both hang, and stop() always may."""
        stream, self._stream = self._stream, None
        if stream is None:
            return True

        def shut() -> None:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)

        thread = threading.Thread(target=shut, name="lvs-mic-close", daemon=True)
        thread.start()
        thread.join(_CLOSE_S)
        if thread.is_alive():
            _LEFT_BEHIND.append((stream, thread, self))
            return False
        return True

    def _make_stream(self, sounddevice: Any, device: int | None, rate: int, channels: int) -> Any:
        blocks, ready, now_ns = self._blocks, self._ready, time.monotonic_ns

        def on_block(indata: Any, frames: int, times: Any, status: Any) -> None:  # noqa: ARG001
            arrival_ns = now_ns()
            blocks.append((indata.copy(), arrival_ns, bool(status.input_overflow)))
            ready.set()

        def on_finished() -> None:
            self._finished = True
            ready.set()

        return sounddevice.InputStream(
            device=device,
            samplerate=rate,
            channels=channels,
            dtype="float32",
            blocksize=rate // 100,
            latency=_LATENCY_S,
            callback=on_block,
            finished_callback=on_finished,
        )

    def _resolve(self, sounddevice: Any) -> int | None:
        """Index of the device, None for PortAudio's default."""
        devices = list(sounddevice.query_devices())
        inputs = {i: d["name"] for i, d in enumerate(devices) if d["max_input_channels"] > 0}
        if self._device.isdecimal():
            if int(self._device) not in inputs:
                raise CaptureError(f"--mic {self._device}: no input with this number. {_found(inputs)}")
            return int(self._device)
        wanted = self._device.casefold()
        exact = [i for i, name in inputs.items() if name.casefold() == wanted]
        if exact:
            return exact[0]
        if wanted == "default" and inputs:
            return None
        partly = [i for i, name in inputs.items() if wanted in name.casefold()]
        if len(partly) == 1:
            return partly[0]
        what = "several inputs match" if partly else "no such input"
        raise CaptureError(f"--mic {self._device}: {what}. {_found(inputs)}")

    def _settings(self, sounddevice: Any, device: int | None) -> tuple[int, int]:
        """(rate, channels) that the device takes, native first."""
        facts = sounddevice.query_devices(device, "input")
        rates = [self._rate] if self._rate else [NATIVE_HZ, round(facts["default_samplerate"])]
        error: Exception | None = None
        for rate in rates:
            for channels in (2, 1):
                if channels <= facts["max_input_channels"]:
                    try:
                        sounddevice.check_input_settings(device, channels, "float32", None, rate)
                        return rate, channels
                    except sounddevice.PortAudioError as refused:
                        error = refused
        raise CaptureError(self._cannot_open(sounddevice, str(error))) from error

    def _cannot_open(self, sounddevice: Any, reason: str) -> str:
        inputs = {i: d["name"] for i, d in enumerate(sounddevice.query_devices()) if d["max_input_channels"] > 0}
        return (
            f"--mic {self._device}: cannot be opened ({reason}). {_found(inputs)} Is the sound server running "
            f"(pactl info)? Is its bridge installed (apt install libasound2-plugins)? Without a microphone: --mic none"
        )


def import_sounddevice() -> Any:
    """sounddevice with PortAudio behind it, or a `CaptureError` that says what to install."""
    try:
        import sounddevice
    except ImportError as error:
        raise CaptureError(
            "--mic: microphones need sounddevice, which is not installed. Install it: pip install sounddevice (Linux: "
            "also apt install libportaudio2 libasound2-plugins), or go on without: --mic none"
        ) from error
    except OSError as error:
        raise CaptureError(
            "--mic: microphones need the PortAudio library, which is missing. apt install libportaudio2 "
            "libasound2-plugins (brew install portaudio), or go on without: --mic none"
        ) from error
    return sounddevice


def _found(inputs: dict[int, str]) -> str:
    names = ", ".join(f"{i}: {name}" for i, name in inputs.items()) or "no microphone at all"
    return f"Found: {names}. See lvs-live --list-devices."
