"""Flash and beep through a camera and a microphone of the system (virtual ones): `lvs-bench loopback` or `live` there.

    python -m benchmarks.scenarios.loopback_devices [--mode live] [--seconds 30] [--json FILE] [--plot DIR]

The feeder lights the picture for 0.15 s and beeps, and writes the stamp of each; V4L2, OpenCV, PulseAudio, PortAudio
and the session lie between that and the result. Screen, lens and loudspeaker do not.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/devices"))
SIZE, FPS = (640, 480), 30
EVERY_S, FLASH_S, BEEP_S = 0.73, 0.15, 0.1  # 0.73 s: the flash wanders through the camera's period


def feed(camera: str, mic: str, stamps: str) -> None:
    """In a process of its own: picture and sound from one clock."""
    from feeder import Player, feed_camera, feed_mic

    start_s = time.monotonic() + 0.2

    class Flashes(Player):
        def frame(self, index: int) -> bytes:
            yuyv = np.full((self.size[1], self.size[0], 2), 128, np.uint8)
            lit = index / self.fps % EVERY_S < FLASH_S
            yuyv[..., 0] = 235 if lit else self.pixels[index % 64]
            return yuyv.tobytes()

        def sound(self, index: np.ndarray) -> np.ndarray:
            t = index / self.rate
            wave = np.where(t % EVERY_S < BEEP_S, 10_000 * np.cos(2 * np.pi * 1000 * (t % EVERY_S)), 0)
            return np.repeat(np.round(wave + self.noise[index % 48_000]).astype("<i2")[:, None], 2, axis=1)

    player = Flashes(SIZE, FPS, 48_000.0)
    moments = (round((start_s + k * EVERY_S) * 1e9) for k in range(5000))
    Path(stamps).write_text("".join(f"{moment}\n" for moment in moments), encoding="ascii")
    threads = [
        threading.Thread(target=feed_camera, args=(camera, player, start_s), daemon=True),
        threading.Thread(target=feed_mic, args=(mic, player, start_s), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    """Command line; `--feed` is the process it starts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--mode", choices=("loopback", "live"), default="loopback")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--feed", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.feed:
        feed(*args.feed)
        return 0
    from virtual_devices import VirtualDevices, build_shim, wait_until

    with tempfile.TemporaryDirectory() as folder:
        devices = VirtualDevices(Path(folder), build_shim(Path(folder) / "fakev4l2.so"))
        stamps = Path(folder) / "stamps.txt"
        try:
            devices.start_pulse()
            me = [sys.executable, "-m", "benchmarks.scenarios.loopback_devices", "--feed"]
            devices.spawn([*me, devices.camera_fifo, devices.mic_fifo, stamps], "feeder.log")
            wait_until("the feeder runs", lambda: stamps.exists() and stamps.stat().st_size > 0)
            command = [
                sys.executable, "-m", "lvs_runtime.cli.bench", args.mode, "--camera", "0", "--mic", "default",
                "--seconds", str(args.seconds), "--fps", str(FPS),
                *(["--emitter", str(stamps)] if args.mode == "loopback" else []),
                *(["--json", str(args.json.resolve())] if args.json else []),
                *(["--plot", str(args.plot.resolve())] if args.plot else []),
            ]  # fmt: skip
            environment = {
                **devices.environment, "LD_PRELOAD": str(devices.shim), "FAKEV4L2_SRC": str(devices.camera_fifo),
                "FAKEV4L2_SIZE": f"{SIZE[0]}x{SIZE[1]}", "FAKEV4L2_FPS": str(FPS),
            }  # fmt: skip
            return subprocess.run(command, env=environment, check=False, cwd=ROOT).returncode
        finally:
            for process in reversed(devices.processes):
                devices.end(process)


if __name__ == "__main__":
    sys.exit(main())
