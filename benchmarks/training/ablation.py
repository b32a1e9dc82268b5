"""What each part of the loss, each upgrade and each rival is worth on composites of a material folder.

    python benchmarks/training/ablation.py MATERIAL [MATERIAL ...] --out runs/ablation [--init TRUNK.npz ...]
        [--rows full,no_hard_negative] [--seeds 0,1,2] [--steps 300] [--warm-up 200] [--px 112]

Every row starts from the same warm-up of its seed (pictures and sounds told apart by class), then trains `--steps`
steps of its own on the same pairs in the same order. Measured on unseen photos and sounds, split by recording: peak in
the right tile of four, swap test, image-only control (chance 0.25). Class-paired composites at 112 pixels: not
comparable with any published figure. Kill it and start it again: finished runs are kept (one JSON each), `table.md` and
`table.json` are written after every run.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from lvs_runtime.spec import AudioSpec, ImageSpec
from lvs_train.checkpoint import load
from lvs_train.config import from_mapping
from lvs_train.embed import of_model
from lvs_train.evaluate import CompositeSet, evaluate_composites
from lvs_train.loop import Trainer
from lvs_train.prepare import material_of

# What a row changes of "full": the tri-map loss in the released form, image anchor.
ROWS: dict[str, dict[str, Any]] = {
    "warm_up_only": {"steps": 0},
    "no_hard_negative": {"loss": {"hard_negatives": False}},
    "no_trimap": {"loss": {"tri_map": False}},
    "full": {},
    "printed_form": {"loss": {"form": "paper"}},
    "both_directions": {"loss": {"directions": "both"}},
    "attention": {"loss": {"objective": "attention"}},
    "maxmil": {"loss": {"objective": "maxmil"}},
    "coarse2fine": {"loss": {"objective": "coarse2fine"}},
    "dmc": {"loss": {"objective": "dmc"}},
    "silence_noise": {"stage": {"extra_negatives": 3}},
    "margin": {"loss": {"margin": -0.2}},
    "every_source": {"loss": {"every_source": True}},
    "appearance": {"augment": {"appearance": True}},
    "spectrogram_none": {"augment": {"spectrogram": "none"}},
    "spectrogram_tie": {"augment": {"spectrogram": "tie"}},
    "mixing": {"augment": {"mixing": 0.3}},
    "geometric": {"augment": {"geometric": True}},
    "equivariance": {"augment": {"geometric": True, "equivariance": 1.0}},
    "momentum": {"augment": {"momentum": 0.99}},
    "momentum_dropout": {"augment": {"momentum": 0.99, "visual_dropout": 0.5}},
}
MEASURES = ("peak_in_tile", "swap_follows", "control_image_only", "auroc_absent")


def base(args: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What all rows share."""
    init = {"image_npz": args.init, "audio_npz": args.init} if args.init else {}
    return {
        "seed": seed, "precision": args.precision, "save_every_s": 1e9, "samples": 0, "image": {"size_px": args.px},
        "init": init,
        "data": {
            "material": args.material, "cache": str(args.out / "cache"), "drawn_weight": 0.0,
            "layouts": {"tiles": 0.7, "whole": 0.3}, "same_source": 0.5,
        },
    }  # fmt: skip


def warm_up(args: argparse.Namespace, seed: int) -> Path:
    """The checkpoint that all rows of a seed start from."""
    out = args.out / f"warm-up-{seed}"
    result = out / "model.safetensors"
    if not result.is_file():
        shutil.rmtree(out, ignore_errors=True)
        stage = {
            "name": "classes", "kind": "classes", "steps": args.warm_up, "batch_size": args.batch,
            "image_px": args.px // 2, "seconds": [1.0, 1.0], "learning_rate": 1e-3, "image_learning_rate": 3e-4,
            "freeze_image": 1,
        }  # fmt: skip
        Trainer(from_mapping({**base(args, seed), "stages": [stage]}), out, torch.device(args.device), False).run()
        (out / "model.pt").unlink()
    return result


def run(args: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """Train and measure one row with one seed."""
    row, start, began = ROWS[name], warm_up(args, seed), time.monotonic()
    stage = {
        "name": "row", "steps": row.get("steps", args.steps), "batch_size": args.batch, "seconds": [1.0, 1.0],
        "learning_rate": 3e-4, "image_learning_rate": 2e-4, "freeze_image": 1, "average": 0.98,
    } | row.get("stage", {})  # fmt: skip
    values = {**base(args, seed), "init": {"checkpoint": str(start)}, "loss": row.get("loss", {})}
    values |= {"augment": row.get("augment", {}), "stages": [stage]}
    out = args.out / f"{name}-{seed}"
    if stage["steps"]:
        shutil.rmtree(out, ignore_errors=True)
        checkpoint = load(Trainer(from_mapping(values), out, torch.device(args.device), False).run())
        for file in ("model.pt", "model.safetensors"):
            (out / file).unlink()
    else:
        out.mkdir(exist_ok=True)
        checkpoint, values = load(start), {**values, "stages": [{**stage, "steps": 1}]}
    return {"row": name, "seed": seed, "seconds": round(time.monotonic() - began, 1)} | measure(
        args, values, checkpoint
    )


def measure(args: argparse.Namespace, values: dict[str, Any], checkpoint: Any) -> dict[str, Any]:
    """The same unseen composites for all rows and seeds."""
    audio, image = AudioSpec(seconds=1.0), ImageSpec(size_px=args.px)
    material, bank = material_of(from_mapping(values).data, audio.sample_rate)
    composites = CompositeSet(material, bank, (audio, image), same_source=True, seed=5)
    embed = of_model(checkpoint, args.device)
    report = evaluate_composites(embed.image, embed.audio, composites, args.number)
    shares = {k: v["share"] if isinstance(v := report[k], dict) else v for k in MEASURES}
    return {"n": args.number, **{k: round(float(v), 4) for k, v in shares.items()}}


def table(results: list[dict[str, Any]]) -> str:
    """Mean and spread (smallest to largest) over seeds, as markdown."""
    lines = [f"| row | seeds | {' | '.join(MEASURES)} |", f"|---|---|{'---|' * len(MEASURES)}"]
    for name in ROWS:
        rows = [r for r in results if r["row"] == name]
        if rows:
            cells = [[r[m] for r in rows] for m in MEASURES]
            shown = [f"{statistics.mean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in cells]
            lines.append(f"| {name} | {len(rows)} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def write(args: argparse.Namespace, results: list[dict[str, Any]]) -> None:
    """table.md and table.json, whole or not at all."""
    context = {
        "date": datetime.now(timezone.utc).date().isoformat(), "command": " ".join(sys.argv),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {args.device}",
        "torch": torch.__version__,
        "note": "class-paired composites of unseen photos and sounds; not comparable with published figures",
    }  # fmt: skip
    for name, text in (
        ("table.json", json.dumps({"context": context, "results": results}, indent=1) + "\n"),
        ("table.md", table(results)),
    ):
        temporary = args.out / f".{name}.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(args.out / name)


def main() -> int:
    """Run what is not yet there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("material", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--init", nargs="*", default=[], help="ResNet18 weights (.npz), later files win")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--warm-up", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--px", type=int, default=112)
    parser.add_argument("--number", type=int, default=500, help="test composites")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0: torch's choice; 1 on a busy machine")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    names = args.rows.split(",")
    if unknown := [n for n in names if n not in ROWS]:
        parser.error(f"unknown rows {unknown}; possible: {', '.join(ROWS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in map(int, args.seeds.split(",")):
        for name in names:
            file = args.out / f"{name}-{seed}.json"
            if not file.is_file():
                file.write_text(json.dumps(run(args, name, seed)) + "\n", encoding="utf-8")
            results = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(args.out.glob("*-[0-9]*.json"))]
            write(args, results)
            print(f"{name} seed {seed}: {file.read_text(encoding='utf-8').strip()}", flush=True)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
