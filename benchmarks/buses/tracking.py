"""Bearings and tracks on the drawn world with the model that ships: errors in degrees, id switches, cost, added age.

    python benchmarks/buses/tracking.py --scenes 20 --json benchmarks/results/tracking_<device>_<date>.json

Per frame one window of sound that ends at the frame's stamp, as policy `all` does. The first second of each turn is
counted apart: the window still holds the sound before.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))
import drawn_tracking

from lvs_runtime.bench import machine
from lvs_runtime.localizer import Localizer

FIRST_SEED = 500  # scenes that no test and no demo shows
NEAR_RAD = np.radians(10)


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    load = machine.load_1min()
    localizer = Localizer.from_bundle()
    steps = [list(drawn_tracking.run(localizer, FIRST_SEED + k, fps=args.fps)) for k in range(args.scenes)]
    figures = evaluate(steps)
    record = {
        "schema": "lvs-bench/1",
        "topic": "tracking",
        "started_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": ["benchmarks/buses/tracking.py", *sys.argv[1:]],
        "git_commit": machine.commit()[0],
        "machine": machine.machine(),
        "software": machine.software(),
        "run": {
            "scenes": args.scenes,
            "first_seed": FIRST_SEED,
            "fps": args.fps,
            "hfov_deg": 70,
            "size_px": [640, 360],
        },
        "resources": {"load_1min_start": load, "load_1min_end": machine.load_1min()},
        "figures": figures,
    }
    print(json.dumps(figures, indent=1))
    if args.json:
        args.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def evaluate(scenes: list[list[drawn_tracking.Step]]) -> dict[str, Any]:
    """Errors, identities and cost over all scenes."""
    raw, tracked, raw_early, nees, nees_raw, cost_ms, age_ns = [], [], [], [], [], [], []
    switches = covered = turns = sounding = false_tracks = settled = 0
    for steps in scenes:
        ids: dict[int, list[int]] = {}
        for step in steps:
            result = step.result
            cost_ms.append(result.stages_ms["track"])
            if step.truth is None:
                false_tracks += any(t.state == "seen" for t in result.tracks) and step.turn_age_s > 1.0
                continue
            sounding += 1
            late = step.turn_age_s >= 1.0
            settled += late
            if result.bearings:
                (raw if late else raw_early).append(drawn_tracking.off_rad(result.bearings[0], step.truth))
                if late and raw[-1] < NEAR_RAD:
                    nees_raw.append(_nees(result.bearings[0], step.truth, result.bearings[0].covariance_rad2))
            near = [(drawn_tracking.off_rad(t, step.truth), t) for t in result.tracks if t.state == "seen"]
            best = min(near, default=None, key=lambda pair: pair[0])
            if best is not None and best[0] < NEAR_RAD:
                covered += late
                ids.setdefault(step.turn, []).append(best[1].track_id)
                if late:
                    tracked.append(best[0])
                    c = best[1].covariance
                    nees.append(_nees(best[1], step.truth, (c[0], c[1], c[4], c[5])))
        turns += len(ids)
        switches += sum(sum(a != b for a, b in itertools.pairwise(s)) for s in ids.values())
        owners = Counter(i for s in ids.values() for i in set(s))
        age_ns.append(sum(n - 1 for n in owners.values()))
    return {
        "frames": sum(len(s) for s in scenes),
        "frames_with_a_sounding_object": sounding,
        "of_these_a_second_or_more_into_the_turn": settled,
        "bearing_error_deg": _degrees(raw),
        "bearing_error_deg_first_second_of_turn": _degrees(raw_early),
        "share_with_track_within_10_deg": round(covered / max(1, settled), 4),
        "track_error_deg_when_within_10": _degrees(tracked),
        "turns_with_a_track": turns,
        "id_switches_within_turns": switches,
        "ids_that_went_on_to_another_object": sum(age_ns),
        "frames_with_a_seen_track_and_nothing_in_view_sounding": false_tracks,
        "normalized_error_bearing": _chi(nees_raw),
        "normalized_error_track": _chi(nees),
        "cost_ms": {f"p{q}": round(float(np.percentile(cost_ms, q, method="inverted_cdf")), 3) for q in (50, 95)},
        "frames_held_back": 0,
    }


def _nees(found: Any, truth: Any, covariance: tuple[float, ...]) -> float:
    off = np.array([found.azimuth_rad - truth.azimuth_rad, found.elevation_rad - truth.elevation_rad])
    return float(off @ np.linalg.solve(np.reshape(covariance, (2, 2)), off)) / 2


def _degrees(values: list[float]) -> dict[str, Any]:
    at = np.degrees(values)
    return {
        "n": len(values),
        **{f"p{q}": round(float(np.percentile(at, q, method="inverted_cdf")), 2) for q in (50, 90, 95)},
    } if values else {"n": 0}  # fmt: skip


def _chi(values: list[float]) -> dict[str, Any]:
    """Mean squared error over its own covariance, per axis: 1 when the covariance tells the truth."""
    at = np.array(values)
    return {"n": len(values), "mean": round(float(at.mean()), 3), "share_within_95": round(float((at < 3.0).mean()), 3)}


if __name__ == "__main__":
    main()
