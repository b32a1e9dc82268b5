"""`lvs-train finetune` as a user runs it, on a thing that no model of this project knows (see new_thing.py).

    python benchmarks/finetune/bench.py --out runs/finetune_bench --json OUT.json [--config RECIPE.toml]
        [--clips 40] [--test-clips 24] [--photos FOLDER] [--ckpt MODEL] [--steps N]

Writes `--clips` short videos, runs the documented command on their folder, and measures the start and the result on
clips that the command was never given: other individuals, backgrounds and places. What is forgotten is measured on the
drawn world and, with `--config`, on composites of that recipe's test material. `--photos` puts photos behind things.
Kill it and start it again: finished parts are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from new_thing import NAME, RATE, clip

from lvs_runtime import drawn
from lvs_runtime.drawn.pair import heard
from lvs_runtime.metrics import bootstrap_means
from lvs_train.config import load_recipe
from lvs_train.data.composite import squash
from lvs_train.data.pairs import noise_or_silence
from lvs_train.embed import Embedders, of_bundle, of_checkpoint
from lvs_train.evaluate import CompositeSet, auroc, evaluate_composites, evaluate_drawn, peak_inside, similarity
from lvs_train.finetune import SHIPPED
from lvs_train.prepare import material_of

TEST_SEED = 500_000  # clips of training have seeds from 0
MOMENTS_S = (1.5, 3.0, 4.5)


def measure_thing(embed: Embedders, clips: int, photos: list[Path] | None) -> dict[str, Any]:
    """Peaks in the thing's box with its sound, and in a known thing's with that one's; AUROC of the map's maximum."""
    size, rows, names, cells_all, sounds = embed.image_spec.size_px, [], [], [], []
    maxima: dict[str, list[float]] = {"own": [], "absent": [], "noise": []}
    for number in range(clips):
        test = clip(TEST_SEED + number, photos)
        for moment, t_s in enumerate(MOMENTS_S):
            rng = np.random.default_rng((TEST_SEED, number, moment))
            image, boxes_px = test.draw(t_s)
            boxes = {n: _scaled(b, image.shape[1], image.shape[0], size) for n, b in boxes_px.items()}
            cells = embed.image(squash(image[..., ::-1], (size, size)))
            n = embed.audio_spec.num_samples
            first = round(t_s * RATE) - n // 2
            known = next(name for name in test.names[1:] if name)
            absent = [c for c in drawn.CLASSES if c not in test.names]
            own, other, foreign, noise = (
                embed.audio(w)
                for w in (
                    test.sound[first : first + n], heard(rng, known, n),
                    heard(rng, absent[int(rng.integers(len(absent)))], n), noise_or_silence(rng, n),
                )
            )  # fmt: skip
            with_own, with_other = similarity(cells, own), similarity(cells, other)
            rows.append([
                peak_inside(with_own, boxes[NAME], size), peak_inside(with_other, boxes[known], size),
                peak_inside(with_other, boxes[NAME], size),
            ])  # fmt: skip
            names.append(str(number))
            cells_all.append((cells, boxes[NAME]))
            sounds.append(own)
            for key, audio in (("own", own), ("absent", foreign), ("noise", noise)):
                maxima[key].append(float(similarity(cells, audio).max()))
    mean = np.mean([heard_mean(embed), np.mean(sounds, 0)], 0)
    rows = [[*row, peak_inside(similarity(c, mean), box, size)] for row, (c, box) in zip(rows, cells_all, strict=True)]
    columns = np.array(rows, np.float64)
    low, high = bootstrap_means(columns, names)
    keys = ("own_sound_peak_in_thing", "known_sound_peak_in_its_thing", "known_sound_peak_in_new_thing", "image_only")
    return {
        "clips": clips, "moments": len(rows),
        **{k: {"value": float(columns[:, i].mean()), "low": float(low[i]), "high": float(high[i])}
           for i, k in enumerate(keys)},
        "box_share": float(np.mean([(b[2] - b[0]) * (b[3] - b[1]) / size**2 for _, b in cells_all])),
        "auroc_against_absent": auroc(maxima["own"], maxima["absent"]),
        "auroc_against_noise": auroc(maxima["own"], maxima["noise"]),
        "maximum_median": {k: float(np.median(v)) for k, v in maxima.items()},
    }  # fmt: skip


def heard_mean(embed: Embedders) -> np.ndarray:
    """The mean sound of the drawn classes: what can be had without listening."""
    rng = np.random.default_rng((TEST_SEED, 9))
    return np.mean([embed.audio(heard(rng, c, embed.audio_spec.num_samples)) for c in drawn.CLASSES for _ in "ab"], 0)


def _scaled(box: tuple[int, ...], width: int, height: int, size: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return x0 * size // width, y0 * size // height, x1 * size // width, y1 * size // height


def measure_old(embed: Embedders, config: Path | None, number: int) -> dict[str, Any]:
    """The drawn world and, with a recipe, composites of its test material."""
    specs = (embed.audio_spec, embed.image_spec)
    world = evaluate_drawn(embed.image, embed.audio, specs, number)
    report = {"drawn": {k: world[k] for k in ("n", "peak_in_box", "auroc_absent")}}
    if config:
        data = load_recipe(config).data
        material, bank = material_of(data, embed.audio_spec.sample_rate)
        for name, same in (("composites_same_source", True), ("composites_any_source", False)):
            tiles = CompositeSet(material, bank, specs, same_source=same, alike=data.alike)
            found = evaluate_composites(embed.image, embed.audio, tiles, number)
            report[name] = {k: found[k] for k in ("n", "peak_in_tile", "swap_follows", "auroc_absent")}
    return report


def measure(embed: Embedders, args: argparse.Namespace) -> dict[str, Any]:
    """Both."""
    start = time.monotonic()
    report = {"thing": measure_thing(embed, args.test_clips, photos_of(args))}
    report |= {"old": measure_old(embed, args.config, args.number)}
    return report | {"seconds": round(time.monotonic() - start)}


def photos_of(args: argparse.Namespace) -> list[Path] | None:
    """Background pictures, or None."""
    return (
        sorted(p for p in args.photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        if args.photos
        else None
    )


def finetune(args: argparse.Namespace) -> dict[str, Any]:
    """The documented command, with the CPU time that it took."""
    command = [
        sys.executable,
        "-m",
        "lvs_train.cli",
        "finetune",
        str(args.out / "clips"),
        "--out",
        str(args.out / "run"),
    ]
    command += ["--one-class", NAME, *(["--ckpt", str(args.ckpt)] if args.ckpt else [])]
    command += ["--steps", str(args.steps)] if args.steps else []
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    shown, printed = (t.replace(str(args.out), "OUT") for t in (" ".join(command[3:]), done.stdout))
    return {
        "command": f"lvs-train {shown}", "cpu_minutes": round(cpu_s / 60, 1),
        "wall_minutes": round((time.monotonic() - start) / 60, 1), "printed": printed.splitlines()[:-2],
    }  # fmt: skip


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--test-clips", type=int, default=24)
    parser.add_argument("--number", type=int, default=300, help="pictures of the old world, of each kind")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--ckpt", type=Path)
    parser.add_argument("--steps", type=int, default=0, help="0: the command's own")
    parser.add_argument("--bundle", type=Path, help="measure this bundle too, through lvs_runtime")
    args = parser.parse_args()
    folder = args.out / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(args.clips):
        if not (path := folder / f"{NAME}{seed:03d}.mp4").exists():
            clip(seed, photos_of(args)).write(path.with_suffix(".part.mp4"))
            path.with_suffix(".part.mp4").replace(path)
    for part in ("before", "finetune", "after", *(["bundle"] if args.bundle else [])):
        if (file := args.out / f"{part}.json").exists():
            continue
        made = {
            "before": lambda: measure(of_checkpoint(args.ckpt or SHIPPED), args),
            "finetune": lambda: finetune(args),
            "after": lambda: measure(of_checkpoint(args.out / "run" / "model.safetensors"), args),
            "bundle": lambda: measure(of_bundle(args.bundle), args),
        }[part]()
        file.write_text(json.dumps(made, indent=1), encoding="utf-8")
    parts = {p: json.loads((args.out / f"{p}.json").read_text()) for p in ("before", "finetune", "after")}
    if args.bundle:
        parts["bundle"] = json.loads((args.out / "bundle.json").read_text())
    context = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "command": " ".join(["python benchmarks/finetune/bench.py", *sys.argv[1:]]),
        "cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__,
    }  # fmt: skip
    args.json.write_text(json.dumps({"context": context, **parts}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(parts, indent=1))


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


if __name__ == "__main__":
    main()
