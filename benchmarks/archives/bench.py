"""Hours of video per core-hour: `lvs-localize`'s work against a plain loop and against the live path.

    python benchmarks/archives/bench.py CLIPS --weights lvs_train/weights/default.safetensors --float FP32_BUNDLE \
        --files 12 --rounds 3 --json benchmarks/results/archives_DEVICE_DATE.json

plain   the official code's way over files: every frame decoded to BGR, each analysed picture by itself through torch
        in float32 (eager), its own audio window through scipy's spectrogram and torch. One process, one thread.
live    LiveSession, policy `all`, not paced, no sink but one that collects: every frame of the file.
ours    one worker of lvs-localize, one thread of inference, the shipped bundle.

Outputs are compared before anything is timed. All three get the same pictures (our resize) and the same 16 kHz sound.
CPU seconds of the whole process (decoding threads too), interleaved rounds, medians: on a shared machine wall time
says little, so core-hours are CPU time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import av
import numpy as np

from lvs_runtime import Localizer
from lvs_runtime.archive import localize_files
from lvs_runtime.archive.sound import Decoded
from lvs_runtime.bench import machine
from lvs_runtime.image import to_network

EVERY_S = 0.5  # --every


class Plain:
    """The loop that one writes first."""

    def __init__(self, weights: Path, window_s: float) -> None:
        import torch

        from lvs_train.checkpoint import load
        from lvs_train.frontend import ImageNormalize

        torch.set_num_threads(1)
        self._torch, checkpoint = torch, load(weights)
        self._model = checkpoint.model.eval()
        self._normalize = ImageNormalize(checkpoint.image)
        self.window_s, self._window = window_s, round(window_s * 16_000)

    def maps(self, path: Path) -> list[np.ndarray]:
        """Similarity maps of one file, one each half second."""
        sound = whole_sound(path)
        out, shown, k, now_s = [], None, 0, 0.0
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            start_s, length_s = (container.start_time or 0) / 1e6, 1 / float(video.average_rate)
            for picture in container.decode(video):
                frame = picture.to_ndarray(format="bgr24")
                now_s = picture.time - start_s
                while k * EVERY_S < now_s - 1e-6:
                    out.append(self._one(frame if shown is None else shown, sound, k))
                    k += 1
                shown = frame
        while shown is not None and k * EVERY_S < now_s + length_s - 1e-6:
            out.append(self._one(shown, sound, k))
            k += 1
        return out

    def _one(self, frame: np.ndarray, sound: np.ndarray, k: int) -> np.ndarray:
        from scipy.signal import spectrogram

        torch = self._torch
        end = round(k * EVERY_S * 16_000) + self._window // 2
        window = sound[max(0, end - self._window) : end]
        window = np.resize(window, max(len(window), 8000))
        _, _, power = spectrogram(window, 16_000, nperseg=512, noverlap=274)
        log = np.log(power + 1e-7).astype(np.float32) / 12
        with torch.inference_mode():
            image = self._model.embed_image(self._normalize(torch.from_numpy(to_network(frame))))[0]
            audio = self._model.embed_audio(torch.from_numpy(log)[None, None])[0]
            return torch.einsum("chw,c->hw", image, audio).numpy()


def whole_sound(path: Path) -> np.ndarray:
    """All of a file's sound, mono at 16 kHz, from time 0."""
    with av.open(str(path)) as container:
        decoded = Decoded(av, container.streams.audio[0], (container.start_time or 0) / 1e6)
        packets = [p for p in container.demux(audio=0) if p.size]
        blocks = [block for packet in [*packets, None] for block in decoded.blocks(packet)]
    start = max(0, blocks[0][0])
    return np.concatenate([np.zeros(start, np.float32), *(samples for _, samples in blocks)])


def ours(paths: list[Path], bundle: Path | None, window_s: float) -> tuple[list[Any], dict[str, float]]:
    """Results and CPU seconds by stage, of one worker in this process; tables are written to a temporary folder."""
    with tempfile.TemporaryDirectory() as out:
        results = list(
            localize_files(paths, bundle=bundle, out=out, every_s=EVERY_S, workers=0, audio_seconds=window_s)
        )
        stages: dict[str, float] = {}
        for result in results:
            assert result.error is None, (result.path, result.error)
            for name, value in result.stages_s.items():
                stages[name] = stages.get(name, 0.0) + value
        return [(result, result.table()) for result in results], stages


class Collect:
    """A sink that counts."""

    name, queue_size, wants_stop = "collect", 64, False

    def __init__(self) -> None:
        self.frames = 0

    def open(self, info: Any) -> None:
        """Nothing to do."""

    def write(self, frame: Any, result: Any, audio: Any) -> None:
        """One more."""
        self.frames += 1

    def write_audio(self, samples: Any, sample_rate: int, start_ns: int) -> None:
        """Not wanted."""

    def close(self) -> None:
        """Nothing to do."""


def live(paths: list[Path]) -> int:
    """Frames that the live path analysed."""
    from lvs_runtime.live.session import LiveSession

    total = 0
    for path in paths:
        sink = Collect()
        session = LiveSession(video=str(path), audio="camera", threads=1, sinks=[sink], policy="all", paced=False)
        session.start()
        while not session.wait(None):
            pass
        session.close()
        total += sink.frames
    return total


def compare(plain: Plain, paths: list[Path], bundle: Path | None) -> dict[str, Any]:
    """How far our maps are from the plain loop's."""
    tables = {Path(result.path): table for result, table in ours(paths, bundle, plain.window_s)[0]}
    differences, same_cell, rows = [], 0, 0
    for path in paths:
        theirs = plain.maps(path)
        mine = [np.asarray(row, np.float32).reshape(14, 14) for row in tables[path]["similarity"].to_pylist()]
        for a, b in zip(theirs, mine, strict=False):
            differences.append(np.abs(a - b))
            same_cell += int(a.argmax() == b.argmax())
            rows += 1
    every = np.stack(differences)
    return {
        "rows": rows,
        "max_abs": round(float(every.max()), 5),
        "mean_abs": round(float(every.mean()), 5),
        "p99_abs": round(float(np.percentile(every, 99)), 5),
        "same_strongest_cell": round(same_cell / rows, 4),
    }


def bare(paths: list[Path]) -> dict[str, float]:
    """CPU seconds of the stages by themselves: decoding alone, and the encoders on ready pictures and windows."""
    from lvs_runtime.archive.media import SegmentReader
    from lvs_runtime.archive.settings import Settings
    from lvs_runtime.archive.sources import Source

    localizer = Localizer.from_bundle(threads=1)
    settings = Settings(out="", bundle=None, bundle_sha256="", every_s=EVERY_S, window_s=localizer.bundle.live_seconds)

    def looks() -> Iterator[Any]:
        for path in paths:
            yield from SegmentReader(Source(str(path)), settings, localizer.prepare_image, 0, None).looks()

    begin = time.process_time()
    ready = list(looks())
    read_s = time.process_time() - begin
    begin = time.process_time()
    for look in ready:
        localizer.embed_prepared(look.prepared)
    image_s = time.process_time() - begin
    begin = time.process_time()
    for look in ready:
        localizer.embed_audio(look.sound)
    return {"read": read_s, "image": image_s, "audio": time.process_time() - begin, "rows": len(ready)}


def timed(function: Callable[[], Any]) -> tuple[float, float, Any]:
    """(CPU seconds, wall seconds, what came)."""
    cpu, wall = time.process_time(), time.perf_counter()
    value = function()
    return time.process_time() - cpu, time.perf_counter() - wall, value


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--float", type=Path, help="float32 bundle of the same weights, for the comparison")
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", type=float, default=EVERY_S)
    parser.add_argument("--skip-live", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--note", default="", help="what else the machine did")
    asked = parser.parse_args()
    globals()["EVERY_S"] = asked.every
    found = sorted(p for p in asked.clips.rglob("*") if p.suffix in (".mp4", ".mkv"))
    paths = found[:: max(1, len(found) // asked.files)][: asked.files]
    localizer = Localizer.from_bundle(threads=1)
    window_s = localizer.bundle.live_seconds
    plain = Plain(asked.weights, window_s)
    verified = {"shipped bundle": compare(plain, paths, None)}
    if asked.float:
        verified["float32 bundle"] = compare(plain, paths, asked.float)
    print(json.dumps(verified, indent=1), flush=True)
    rounds: list[dict[str, Any]] = []
    for _ in range(asked.rounds):
        one: dict[str, Any] = {}
        cpu, wall, _ = timed(lambda: [plain.maps(path) for path in paths])
        one["plain"] = {"cpu_s": cpu, "wall_s": wall}
        cpu, wall, (made, stages) = timed(lambda: ours(paths, None, window_s))
        one["ours"] = {"cpu_s": cpu, "wall_s": wall, "stages_cpu_s": stages}
        if not asked.skip_live:
            cpu, wall, frames = timed(lambda: live(paths))
            one["live"] = {"cpu_s": cpu, "wall_s": wall, "frames": frames}
        one["bare"] = bare(paths)
        rounds.append(one)
        print({name: round(value["cpu_s"], 2) for name, value in one.items() if "cpu_s" in value}, flush=True)
    seconds = sum(result.seconds for result, _ in made)
    rows = sum(result.frames for result, _ in made)
    report = summary(rounds, seconds, rows)
    git_commit, dirty = machine.commit()
    report = {
        "schema": "lvs-bench/1",
        "topic": "archives",
        "started_utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *(a for a in sys.argv[1:] if "/" not in a or a.startswith("--"))],
        "git_commit": git_commit,
        "dirty": dirty,
        "machine": machine.machine(),
        "software": machine.software(),
        "note": asked.note,
        "load_1min_end": machine.load_1min(),
        "run": {
            "files": len(paths),
            "video_s": round(seconds, 2),
            "rows": rows,
            "every_s": EVERY_S,
            "window_s": window_s,
        },
        "verified_against_plain": verified,
        **report,
        "rounds": rounds,
    }
    text = json.dumps(report, indent=1)
    print(text if not asked.json else json.dumps({k: v for k, v in report.items() if k != "rounds"}, indent=1))
    if asked.json:
        asked.json.write_text(text + "\n", encoding="utf-8")


def summary(rounds: list[dict[str, Any]], seconds: float, rows: int) -> dict[str, Any]:
    """Medians over the rounds; ratios within each round first."""

    def median(value: Callable[[dict[str, Any]], float]) -> float:
        return round(statistics.median(value(one) for one in rounds), 3)

    live_too = "live" in rounds[0]
    names = ("ours", "plain", "live") if live_too else ("ours", "plain")
    stages = {
        name: median(lambda one, n=name: one["ours"]["stages_cpu_s"][n] / one["ours"]["cpu_s"])
        for name in ("decode", "resize", "image", "audio", "post", "write")
    }
    limit = lambda one: one["bare"]["read"] + one["bare"]["image"] + one["bare"]["audio"]  # noqa: E731
    return {
        "hours_of_video_per_core_hour": {name: median(lambda one, n=name: seconds / one[n]["cpu_s"]) for name in names},
        "cpu_ratio_plain_to_ours": median(lambda one: one["plain"]["cpu_s"] / one["ours"]["cpu_s"]),
        "cpu_ratio_live_to_ours": median(lambda one: one["live"]["cpu_s"] / one["ours"]["cpu_s"]) if live_too else None,
        "cpu_ms_per_analysed_picture": {
            "ours": median(lambda one: 1e3 * one["ours"]["cpu_s"] / rows),
            "plain": median(lambda one: 1e3 * one["plain"]["cpu_s"] / rows),
            "live": median(lambda one: 1e3 * one["live"]["cpu_s"] / one["live"]["frames"]) if live_too else None,
        },
        "share_of_cpu": stages,
        "cpu_over_bare_stages": median(lambda one: one["ours"]["cpu_s"] / limit(one)),
        "bare_cpu_s": {name: median(lambda one, n=name: one["bare"][n]) for name in ("read", "image", "audio")},
    }


if __name__ == "__main__":
    main()
