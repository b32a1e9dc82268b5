"""What each part of the loss, each upgrade, each rival, the trunks and the amount of data are worth on composites.

    python benchmarks/training/ablation.py --recipe lvs_train/recipes/default.toml      (run where material/ lies)
        [--rows full,no_hard_negative] [--seeds 0,1,2] [--results DIR] [--table]

Material, same things under other names, and the trunks' start come from the recipe. All rows start from one warm-up
(pictures and sounds told apart by class; rows on other trunks or less data from one of their own), then train `--steps`
steps on the same pairs in the same order; a seed draws other pairs. So rows are compared pair by pair, and the spread
over seeds is that of the pairs alone. Measured on unseen photos and sounds, split by recording: peak in the right tile
of four, swap test, image-only control (chance 0.25 each), overlap with the tile.

Each run leaves one small JSON in `--results` and is not done again: stop at any time, go on in another session or on
another machine, commit what is there. `table.md` is made from them. Runs with other settings, precision or kind of
processor stand in tables of their own; rows are only compared within one.

The defaults are for CPUs (under 4 CPU-minutes a run on one AVX2 core): 96 pixels, half a second of sound, both trunks
fixed up to layer 3 (no gradients there: half the cost), few steps at a large rate. Class-paired composites, few steps:
not comparable with any published figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import shutil
import sys
import time
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ablation_rows import ROWS, Row
from ablation_table import MEASURES, write_tables

from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.checkpoint import Checkpoint, load
from lvs_train.config import as_mapping, from_mapping, load_recipe
from lvs_train.embed import of_model
from lvs_train.evaluate import CompositeSet, evaluate_composites
from lvs_train.initial import read_npz
from lvs_train.loop import Trainer
from lvs_train.model import Trunk
from lvs_train.prepare import material_of

RESULTS = Path(__file__).resolve().parents[1] / "results" / "ablation"
SETTINGS = ("steps", "batch", "px", "seconds", "freeze", "rate", "warm_up", "warm_up_batch", "number", "precision")


def recipe_of(args: argparse.Namespace, row: Row, seed: int) -> dict[str, Any]:
    """What all rows share, of the recipe and of the settings."""
    given = as_mapping(load_recipe(args.recipe))["data"]
    kept = {k: given[k] for k in ("material", "cache", "relabel", "identity", "alike")}
    layouts = {"tiles": 0.7, "whole": 0.3}
    data = kept | {"drawn_weight": 0.0, "layouts": layouts, "same_source": 0.5, "share": row.share}
    return {
        "seed": seed, "precision": args.precision, "save_every_s": 1e9, "samples": 0, "workers": 1, "data": data,
        "image": {"size_px": args.px}, "audio": {"seconds": args.seconds},
    }  # fmt: skip


def warm_up(args: argparse.Namespace, row: Row) -> Path:
    """The checkpoint that a row starts from; seed 0 for all."""
    values = recipe_of(args, row, 0) | {"init": trunks(args, row.start)}
    values["stages"] = [
        {
            "name": "classes", "kind": "classes", "steps": args.warm_up, "batch_size": args.warm_up_batch,
            "image_px": args.px // 2, "seconds": [args.seconds] * 2, "learning_rate": 1e-3,
            "image_learning_rate": 3e-4,
            "freeze_image": {"random": -1, "frozen_image": 4}.get(row.start, 1),
        }
    ]  # fmt: skip
    key = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
    out = args.work / f"warm-up-{row.start}-{row.share:g}-{key}"
    result = out / "model.safetensors"
    if not result.is_file():
        shutil.rmtree(out, ignore_errors=True)
        Trainer(from_mapping(values), out, torch.device(args.device), False).run()
        (out / "model.pt").unlink()
    return result


def trunks(args: argparse.Namespace, start: str) -> dict[str, Any]:
    """The recipe's trunks, all of them, without their layer 4, or none."""
    init = as_mapping(load_recipe(args.recipe))["init"]
    if start == "random":
        return {}
    if start == "imagenet_random_layer4":
        torch.manual_seed(0)
        fresh = {k: v for k, v in Trunk(3).state_dict().items() if k.startswith("layer4.")}
        path = args.work / "random_layer4.npz"
        np.savez(path, **{k: v.numpy() for k, v in (read_npz(init["image_npz"]) | fresh).items()})
        return {"image_npz": [str(path)], "audio_npz": [str(path)]}
    return {k: init[k] for k in ("checkpoint", "image_npz", "audio_npz", "torchvision")}


def train(args: argparse.Namespace, row: Row, seed: int, start: Path) -> Checkpoint:
    """The row's own steps."""
    stage = {
        "name": "row", "steps": args.steps, "batch_size": args.batch, "seconds": [args.seconds] * 2,
        "learning_rate": args.rate, "image_learning_rate": args.rate * 2 / 3, "warmup_steps": args.steps // 6,
        "freeze_image": args.freeze, "freeze_audio": args.freeze, "average": 0.9,
    } | row.stage  # fmt: skip
    values = recipe_of(args, row, seed + 1) | {"init": {"checkpoint": str(start)}, "loss": row.loss}
    values |= {"augment": row.augment, "stages": [stage]}
    out = args.work / "run"
    shutil.rmtree(out, ignore_errors=True)
    return load(Trainer(from_mapping(values), out, torch.device(args.device), False).run())


@lru_cache(maxsize=1)
def composites(recipe: Path, px: int, seconds: float) -> CompositeSet:
    """The same unseen pictures and sounds for all rows and seeds; `alike` things are no distractors."""
    data = load_recipe(recipe).data
    material, bank = material_of(data, AudioSpec().sample_rate)
    specs = AudioSpec(seconds=seconds), ImageSpec(size_px=px)
    return CompositeSet(material, bank, specs, same_source=True, alike=data.alike, seed=5)


def run(args: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """Train and measure one row with one seed."""
    row, start = ROWS[name], warm_up(args, ROWS[name])
    began, cpu = time.monotonic(), time.process_time()
    checkpoint = train(args, row, seed, start) if row.trains else load(start)
    embed = of_model(checkpoint, args.device)
    pictures = composites(args.recipe, args.px, args.seconds)
    report = evaluate_composites(embed.image, embed.audio, pictures, args.number)
    shares = {k: v["share"] if isinstance(v := report[k], dict) else v for k in MEASURES}
    return {
        "row": name, "seed": seed, **{k: round(float(v), 4) for k, v in shares.items()},
        "settings": settings(args), "start_weights": weights_key(load(start)),
        "wall_s": round(time.monotonic() - began, 1), "cpu_s": round(time.process_time() - cpu, 1),
        "torch": torch.__version__, "date": datetime.now(timezone.utc).date().isoformat(),
    }  # fmt: skip


def weights_key(checkpoint: Checkpoint) -> str:
    """The same for the same weights, whatever else stands in the file."""
    digest = hashlib.sha256()
    for tensor in checkpoint.model.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What two runs must share to be compared: training and measuring, the material, the processor's kind."""
    data = load_recipe(args.recipe).data
    material, _ = material_of(data, AudioSpec().sample_rate)
    names = sorted(f"{i.group}/{i.path.name} {i.split}" for i in (*material.photos, *material.sounds))
    cuda = args.device.startswith("cuda")
    kind = torch.cuda.get_device_name() if cuda else torch.backends.cpu.get_cpu_capability()
    return {k: getattr(args, k) for k in SETTINGS} | {
        "material": f"{len(material.photos)} photos, {len(material.sounds)} sounds, "
        f"sha256 {hashlib.sha256(chr(10).join(names).encode()).hexdigest()[:8]}",
        "processor": f"{platform.machine()} {kind}",
    }


def main() -> int:
    """Run what is not yet there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("lvs_train/recipes/default.toml"))
    parser.add_argument("--results", type=Path, default=RESULTS, help="one JSON a run, and table.md")
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"), help="warm-ups and the run in progress")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--px", type=int, default=96)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--freeze", type=int, default=3, help="layers up to this one stay as the warm-up left them")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--warm-up", type=int, default=280, help="steps")
    parser.add_argument("--warm-up-batch", type=int, default=24)
    parser.add_argument("--number", type=int, default=400, help="test composites")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's choice; 1 on a busy machine")
    parser.add_argument("--table", action="store_true", help="only make the table from the results")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    names = [] if args.table else args.rows.split(",")
    if unknown := [n for n in names if n not in ROWS]:
        parser.error(f"unknown rows {unknown}; possible: {', '.join(ROWS)}")
    for folder in (args.results, args.work):
        folder.mkdir(parents=True, exist_ok=True)
    if names:
        key = hashlib.sha256(json.dumps(settings(args), sort_keys=True).encode()).hexdigest()[:8]
        for name in names:
            for seed in map(int, args.seeds.split(",")):
                file = args.results / f"{name}-{seed}-{key}.json"
                if not file.is_file() and (ROWS[name].trains or seed == 0):
                    result = run(args, name, seed)
                    temporary = file.with_suffix(".tmp")
                    temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
                    temporary.replace(file)
                    print(file.name, {k: result[k] for k in MEASURES}, f"{result['cpu_s']} CPU-s", flush=True)
                    write_tables(args.results, list(ROWS))
    print(write_tables(args.results, list(ROWS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
