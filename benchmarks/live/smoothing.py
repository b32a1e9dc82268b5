"""What smoothing the map is worth, on the drawn world: is the peak in the sounding thing's box, how much does it jump
from frame to frame, and how much later does it move over when another thing takes its turn.

    python benchmarks/live/smoothing.py --scenes 20 --json benchmarks/results/smoothing_<device>_<date>.json

Each scene is run through the model once; every filter then gets the same raw maps. The true motion of the box is taken
off the jumps. The lag is counted against the raw maps: frames after a turn began until the peak is in the new box.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.live.context import context
from lvs_runtime.drawn.scene import scene
from lvs_runtime.heatmap import peak_px
from lvs_runtime.live.smoothing import OneEuro, Smoother, make_smoother
from lvs_runtime.localizer import Localizer

SIZE, RATE = (640, 360), 16_000
Step = tuple[int, np.ndarray, tuple[int, int, int, int] | None, int, float]  # stamp, map, box, turn, seconds into it


def raw_maps(localizer: Localizer, seed: int, fps: int, window_s: float) -> list[Step]:
    """Maps of one scene with the truth beside them; box None where nothing in the picture sounds."""
    made, steps = scene(seed), []
    wave = made.sound(RATE)
    for index in range(round(window_s * fps), int(made.seconds * fps)):
        t_s = index / fps
        image, truth = made.draw(t_s, SIZE)
        end = round(t_s * RATE)
        audio = localizer.embed_audio(wave[end - round(window_s * RATE) : end])
        similarity = localizer.similarity(localizer.embed_image(image), audio)
        turn = made.turn(t_s)
        box = next((item.box_px for item in truth if item.sounding), None)
        steps.append((round(t_s * 1e9), similarity, box, made.timeline.index(turn), t_s - turn.start_s))
    return steps


def judge(scenes: list[list[Step]], make: Callable[[], Smoother]) -> dict[str, float]:
    """Figures of one filter over all scenes."""
    hits, jumps, late = [], [], []
    for steps in scenes:
        smoother, before, arrived = make(), None, {}
        for stamp_ns, similarity, box, turn, into_s in steps:
            if box is None:
                smoother.reset()
                before = None
                continue
            x, y = peak_px(smoother.update(similarity, stamp_ns), SIZE)
            inside = box[0] <= x < box[2] and box[1] <= y < box[3]
            centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
            hits.append(inside)
            if before is not None and before[0] == turn and into_s > 0.7:
                jumps.append(float(np.linalg.norm(np.array([x, y]) - centre - before[1])))
            before = (turn, np.array([x, y]) - centre)
            if inside and into_s < 1.5:
                arrived.setdefault(turn, into_s)
        late.append(arrived)
    return {
        "peak_in_box": float(np.mean(hits)),
        "jump_px_mean": float(np.mean(jumps)),
        "jump_px_p95": float(np.percentile(jumps, 95)),
        "arrived": late,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--sweep", action="store_true", help="also other constants than those that ship")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    localizer = Localizer.from_bundle(threads=2)
    window_s = localizer.bundle.live_seconds
    scenes = [raw_maps(localizer, args.first + k, args.fps, window_s) for k in range(args.scenes)]
    filters = {kind: (lambda kind=kind: make_smoother(kind)) for kind in ("off", "exponential", "one-euro")}
    if args.sweep:
        for rest in (0.5, 1.0, 1.5, 2.5):
            for gain in (0.0, 0.5, 1.0, 2.0, 4.0):
                filters[f"rest {rest} gain {gain}"] = lambda rest=rest, gain=gain: OneEuro(rest, gain)
    results = {name: judge(scenes, make) for name, make in filters.items()}
    raw = results["off"]["arrived"]
    for name, figures in results.items():
        pairs = [
            (there[turn] - turns[turn]) * 1000
            for turns, there in zip(raw, figures.pop("arrived") if name != "off" else raw, strict=True)
            for turn in turns
            if turn in there
        ]
        figures["lag_ms_mean"] = float(np.mean(pairs))
        figures["lag_ms_p95"] = float(np.percentile(pairs, 95))
        print(f"{name:24}", {key: round(value, 3) for key, value in figures.items() if key != "arrived"})
    results["off"].pop("arrived", None)
    if args.json:
        facts = {"scenes": args.scenes, "first_seed": args.first, "fps": args.fps, "window_s": window_s}
        record = {**context(localizer), **facts, "filters": results}
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
