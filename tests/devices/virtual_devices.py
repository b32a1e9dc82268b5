"""Devices that the system shows as real ones: a V4L2 camera (a preloaded shim) and a PulseAudio source (a pipe).

Used by the device tests and by benchmarks/devices.py. Debian packages: see APT.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

DEVICES = Path(__file__).parent
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
APT = "apt install pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins gcc libc6-dev"


def build_shim(path: Path) -> Path:
    """Compile the camera shim; raises RuntimeError when the compiler complains."""
    done = subprocess.run(
        ["gcc", "-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-o", str(path), str(DEVICES / "fakev4l2.c")],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return path


def wait_until(what, done, process=None, log=None):
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        said = f"\n{log.read_text()}" if log is not None else ""
        assert process is None or process.poll() is None, f"ended with {process.returncode} before: {what}{said}"
        assert time.monotonic() < end_s, f"waited {PATIENCE_S} s for: {what}{said}"
        time.sleep(0.05)


class VirtualDevices:
    """A private sound server, a fake camera, and what feeds them. Everything it starts it ends, by its id."""

    def __init__(self, folder: Path, shim: Path) -> None:
        self.folder, self.shim = folder, shim
        self.camera_fifo, self.mic_fifo = folder / "cam.fifo", folder / "mic.fifo"
        self.processes: list[subprocess.Popen] = []
        socket = folder / "run/pulse/native"
        (folder / "home").mkdir()
        self.environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "HOME": str(folder / "home"),
            "PULSE_SERVER": f"unix:{socket}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
        }
        self.pulse: subprocess.Popen | None = None
        os.mkfifo(self.camera_fifo)

    def spawn(self, command, log, **environment) -> subprocess.Popen:
        with (self.folder / log).open("ab") as out:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**self.environment, **environment},
                stdout=out,
                stderr=out,
                cwd=ROOT,
            )
        self.processes.append(process)
        return process

    def start_pulse(self) -> None:
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self.mic_fifo.unlink(missing_ok=True)
        (self.folder / "run/pulse").mkdir(parents=True)
        socket = self.folder / "run/pulse/native"
        self.pulse = self.spawn(
            [
                "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
                "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
                "-L", f"module-pipe-source source_name=fakemic file={self.mic_fifo} format=s16le rate=48000 channels=2",
                "-L", "module-always-sink",
            ],
            "pulse.log",
        )  # fmt: skip
        wait_until("PulseAudio answers", lambda: self.pactl("info").returncode == 0, self.pulse)
        assert self.pactl("set-default-source", "fakemic").returncode == 0

    def pactl(self, *command) -> subprocess.CompletedProcess:
        return subprocess.run(["pactl", *command], env=self.environment, capture_output=True, timeout=30, check=False)

    def feed(self, *options) -> subprocess.Popen:
        return self.spawn([sys.executable, DEVICES / "feeder.py", *options], "feeder.log")

    def live(self, *options, opencv=True) -> subprocess.Popen:
        """lvs-live on these devices; without `opencv` as the lean installation has it (cameras by PyAV)."""
        absent = self.folder / "absent"
        if not opencv:
            absent.mkdir(exist_ok=True)
            (absent / "cv2.py").write_text("raise ModuleNotFoundError('absent here', name='cv2')\n")
        return self.spawn(
            [sys.executable, "-m", "lvs_runtime.cli.live", *options],
            "live.log",
            LD_PRELOAD=str(self.shim),
            FAKEV4L2_SRC=str(self.camera_fifo),
            **({} if opencv else {"PYTHONPATH": str(absent)}),
        )

    def end(self, process: subprocess.Popen, number=signal.SIGKILL) -> int:
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # each thread's traceback goes to its log
            process.wait(PATIENCE_S)
            raise AssertionError(f"it hung\n{self.log.read_text()}") from None

    @property
    def log(self) -> Path:
        return self.folder / "live.log"

    def results(self) -> list[dict]:
        path = self.folder / "results.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]
