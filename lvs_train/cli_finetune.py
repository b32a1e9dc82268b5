"""`lvs-train finetune clips/`: a trained model on one's own clips, with figures before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lvs_runtime.errors import ConfigError


@dataclass(kw_only=True)
class Finetune:
    """Fine-tune a trained model on your own clips or videos, in minutes on a CPU; measured on a tenth held out."""

    clips: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CLIPS")]
    """frames/<id>.jpg beside audio/<id>.wav (any published layout, or tar shards), or a folder of videos."""
    out: Path = Path("runs/finetune")
    """A new folder for the result."""
    ckpt: Path | None = None
    """Where to start; without it, the float weights that ship in a checkout."""
    list: Path | None = None
    """Only these clips; lines `id,label` make clips of one class no negatives of each other."""
    one_class: str = ""
    """All clips show this one thing, so none is a negative of another."""
    steps: int = 60
    """More for more clips; each step sees 16 pairs."""
    seed: int = 0
    """Which pairs are drawn."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show a traceback with an error."""


def finetune(args: Finetune) -> int:
    """Prepare, hold a tenth out, measure, train, measure again."""
    from .checkpoint import load, save
    from .cli import pick_device
    from .data.lists import read_list
    from .finetune import clips_of, measure, plan, start_of
    from .loop import Trainer

    if (args.out / "model.pt").exists():
        raise ConfigError(f"--out {args.out}: holds a run already; choose another folder")
    device, start = pick_device(args.device), start_of(args.ckpt)
    first = load(start)
    entries = read_list(args.list).entries if args.list else None
    clips = clips_of(args.clips, args.out, first, entries, print)
    recipe, held = plan(clips, args.out, start, args.one_class, args.steps, args.seed)
    before = measure(first, clips.folder, held, recipe, str(device))
    path = Trainer(recipe, args.out, device, resume=False).run()
    result = load(path)
    # Boxes and confidence were fitted on real material; clips without boxes cannot do better.
    result.thresholds = dict(first.thresholds)
    result.meta["calibrated"] = f"before fine-tuning ({start.name})"
    after = measure(result, clips.folder, held, recipe, str(device))
    result.meta["finetune"] = {"held_out": [e.id for e in held], "before": before.known(), "after": after.known()}
    result.model.cpu()
    for name in ("model.pt", "model.safetensors"):
        save(args.out / name, result)
    print("\n".join(before.lines(after)))
    print(f"{path}\nnext: lvs-export --ckpt {path}")
    return 0
