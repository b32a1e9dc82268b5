"""A head that turns towards what it hears. The robot owns camera and microphone; lvs-live listens and answers on a bus.

    robot (this program)                        lvs-live --camera zenoh:robot/camera --mic zenoh:robot/mic
    camera, microphone  ──── Zenoh: JPEG, PCM, stamps ────►  --hfov 60 --sink zenoh:robot/lvs
    pan and tilt motors ◄─── Zenoh: tracks, same stamps ───

    pip install 'lvs[cpu,live,video,zenoh,plots]'
    python examples/robot/pan_tilt.py --seconds 40 --plot pan_tilt.png

A track is a direction relative to where the head looked when the picture was taken. The message carries the picture's
own stamp, so the pose of that moment is looked up: the head may move meanwhile.
"""

from __future__ import annotations

import argparse
import json
import math
import socket
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

import numpy as np
from world import RATE, World

TICK_S = 0.08
GAIN_HZ, MOST_RAD_S = 5.0, 1.6  # how the motors follow
LOST_S = 1.0  # heard, not seen for so long: look around


class Head:
    """Pose over time, and where it wants to look. The controller: a share of the way each tick, limited."""

    def __init__(self) -> None:
        self.pan = self.tilt = 0.0
        self.target: tuple[float, float] = (0.0, 0.0)
        self._stamps: list[int] = []
        self._poses: list[tuple[float, float]] = []

    def move(self, dt_s: float, stamp_ns: int) -> None:
        """Let the motors run for `dt_s`."""
        share = 1 - math.exp(-GAIN_HZ * dt_s)  # of the way: never beyond, however long the tick was
        most = MOST_RAD_S * dt_s
        steps = [
            max(-most, min(most, share * (want - at)))
            for want, at in zip(self.target, (self.pan, self.tilt), strict=True)
        ]
        self.pan = max(-1.0, min(1.0, self.pan + steps[0]))
        self.tilt = max(-0.4, min(0.4, self.tilt + steps[1]))
        self._stamps.append(stamp_ns)
        self._poses.append((self.pan, self.tilt))

    def pose_at(self, stamp_ns: int) -> tuple[float, float]:
        """Where it looked then."""
        return self._poses[min(bisect_left(self._stamps, stamp_ns), len(self._poses) - 1)]


class Robot:
    """Publishes what it senses, turns to what comes back."""

    def __init__(self, bus: Any, world: World) -> None:
        self.world, self.head = world, Head()
        self.rows: list[dict[str, Any]] = []
        self.latency_ms: list[float] = []
        self._latest: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._seen_s = 0.0
        self._camera, self._mic = bus.declare_publisher("robot/camera"), bus.declare_publisher("robot/mic")
        self._subscriber = bus.declare_subscriber("robot/lvs/result", self._answer)

    @property
    def answered(self) -> bool:
        """A result has come."""
        return bool(self.latency_ms)

    def _answer(self, sample: Any) -> None:
        message = json.loads(sample.payload.to_bytes())
        with self._lock:
            self._latest = message
            self.latency_ms.append((time.time_ns() - message["stamp_ns"]) / 1e6)

    def tick(self, t_s: float, dt_s: float) -> None:
        """One turn of the control loop at world time `t_s`."""
        import cv2

        stamp_ns = time.time_ns()
        self.head.move(dt_s, stamp_ns)
        image = self.world.view(t_s, self.head.pan, self.head.tilt)
        sound = self.world.heard(max(0.0, t_s - dt_s), t_s)
        where = {"stamp_ns": stamp_ns, "frame_id": "head_camera_optical_frame"}
        self._camera.put(cv2.imencode(".jpg", image)[1].tobytes(), attachment=json.dumps(where))
        heard = {"stamp_ns": stamp_ns - round(len(sound) / RATE * 1e9), "sample_rate": RATE, "format": "f32le"}
        self._mic.put(sound.tobytes(), attachment=json.dumps(heard))
        with self._lock:
            message, self._latest = self._latest, None
        if message is not None:
            self._decide(message, t_s)
        self._note(t_s)

    def _decide(self, message: dict[str, Any], t_s: float) -> None:
        seen = [track for track in message["tracks"] if track["state"] == "seen"]
        if seen:
            newest = max(seen, key=lambda track: track["track_id"])
            pan, tilt = self.head.pose_at(message["stamp_ns"])
            self.head.target = pan + newest["azimuth_rad"], tilt + newest["elevation_rad"]
            self._seen_s = t_s
        elif message["audible"] and t_s - self._seen_s > LOST_S:
            self.head.target = 0.7 * math.sin(1.2 * t_s), 0.0  # heard, not in view: look around

    def _note(self, t_s: float) -> None:
        truth = self.world.truth(t_s)
        row = {"t_s": t_s, "pan": self.head.pan, "tilt": self.head.tilt, "truth": truth, "error_deg": None}
        if truth is not None:
            row["error_deg"] = math.degrees(math.hypot(truth[0] - self.head.pan, truth[1] - self.head.tilt))
        self.rows.append(row)


def run(seconds: float, seed: int, extra: list[str]) -> Robot:
    """Start lvs-live, wait for its first answer, let the world run for `seconds`."""
    import zenoh

    world = World(seed, seconds)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp/127.0.0.1:{free.getsockname()[1]}"
    config = zenoh.Config()
    config.insert_json5("listen/endpoints", json.dumps([endpoint]))
    config.insert_json5("scouting/multicast/enabled", "false")
    command = [sys.executable, "-m", "lvs_runtime.cli.live", "--headless", "--hfov", "60"]
    command += ["--camera", f"zenoh:robot/camera?connect={endpoint}", "--mic", "zenoh:robot/mic"]
    command += ["--sink", f"zenoh:robot/lvs?connect={endpoint}", *extra]
    with zenoh.open(config) as bus:
        robot = Robot(bus, world)
        listener = subprocess.Popen(command)
        try:
            while not robot.answered:  # the world stands still until somebody listens
                if listener.poll() is not None:
                    raise SystemExit("lvs-live ended before its first result")
                robot.tick(0.0, TICK_S)
                time.sleep(TICK_S)
            robot.rows.clear()
            robot.latency_ms.clear()
            begin = last = time.monotonic()
            while (now := time.monotonic()) - begin < seconds:
                robot.tick(now - begin, now - last)
                last = now
                time.sleep(max(0.0, TICK_S - (time.monotonic() - now)))
        finally:
            listener.terminate()
            listener.wait(20)
    return robot


def summary(robot: Robot) -> dict[str, Any]:
    """Figures: error from 2 s into each turn on, and bus latency from the picture's stamp to the robot."""
    starts = {turn.start_s for turn in robot.world.scene.timeline}
    settled = [
        row["error_deg"]
        for row in robot.rows
        if row["error_deg"] is not None and row["t_s"] - max(s for s in starts if s <= row["t_s"]) > 2.0
    ]
    latency = robot.latency_ms

    def quantile(values: list[float], q: float) -> float | None:
        return round(float(np.percentile(values, q, method="inverted_cdf")), 1) if values else None

    return {
        "results": len(latency),
        "pointing_error_deg_from_2_s_into_a_turn": {
            "n": len(settled), "p50": quantile(settled, 50), "p90": quantile(settled, 90),
        },
        "stamp_to_robot_ms": {"p50": quantile(latency, 50), "p95": quantile(latency, 95)},
    }  # fmt: skip


def plot(robot: Robot, path: Path) -> None:
    """Where it looked against where the sound was; below, the error; at the right, the latency."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    t = [row["t_s"] for row in robot.rows]
    figure, axes = plt.subplot_mosaic(
        [["pan", "pan", "pan", "hist"], ["error", "error", "error", "hist"]], figsize=(11, 5)
    )
    truth = [math.degrees(row["truth"][0]) if row["truth"] else math.nan for row in robot.rows]
    axes["pan"].plot(t, truth, color="#c1440e", lw=3, alpha=0.5, label="what sounds")
    axes["pan"].plot(t, [math.degrees(row["pan"]) for row in robot.rows], color="#1f4e79", label="head")
    axes["pan"].set(ylabel="azimuth, degrees (left +)", xlim=(0, t[-1]))
    axes["pan"].legend(loc="upper center", bbox_to_anchor=(0.5, 1.17), ncols=2, frameon=False)
    errors = [row["error_deg"] if row["error_deg"] is not None else math.nan for row in robot.rows]
    axes["error"].plot(t, errors, color="#1f4e79")
    axes["error"].set(xlabel="time, s", ylabel="pointing error, degrees", xlim=(0, t[-1]), ylim=(0, None))
    for name in ("pan", "error"):
        for turn in robot.world.scene.timeline:
            if turn.actor is None:
                axes[name].axvspan(turn.start_s, turn.end_s, color="0.92")
    axes["hist"].hist(robot.latency_ms, bins=30, color="#1f4e79")
    axes["hist"].set(xlabel="picture's stamp to robot, ms", ylabel="results")
    figure.suptitle("Pan-tilt head in the drawn world (grey: silence, or a sound that is nowhere to be seen)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run, print figures, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    args, extra = parser.parse_known_args()
    robot = run(args.seconds, args.seed, extra)
    figures = summary(robot)
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        plot(robot, args.plot)


if __name__ == "__main__":
    main()
