"""`lvs-train --config recipe.toml`: train; `lvs-train evaluate` and `lvs-train calibrate`: measure a checkpoint."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lvs_runtime.cli.common import run_cli


@dataclass(kw_only=True)
class Train:
    """Train the dual ResNet18 with the tri-map loss, as a recipe says."""

    config: Annotated[Path, tyro.conf.arg(metavar="RECIPE.toml")]
    """The recipe; see lvs_train/recipes."""
    out: Path = Path("runs/run")
    """Folder for model.pt, model.safetensors, metrics.jsonl."""
    resume: bool = False
    """Go on with the run in --out."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    debug: bool = False
    """Show a traceback with an error."""


def train(args: Train) -> int:
    """Run the recipe; prints where the result lies and what to do next."""
    import torch

    from .config import load_recipe
    from .loop import Trainer

    recipe = load_recipe(args.config)
    path = Trainer(recipe, args.out, pick_device(args.device), args.resume).run()
    print(f"{path} (torch {torch.__version__}). Next: lvs-export --ckpt {path}")
    return 0


def pick_device(name: str):  # type: ignore[no-untyped-def]  # torch is imported late
    """A torch device; raises DeviceError when CUDA is asked for and not there."""
    import torch

    from lvs_runtime.errors import DeviceError

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: torch {torch.__version__} sees no CUDA GPU; use --device cpu, or check lvs-doctor")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name}: {error}") from error


def main() -> None:
    """Entry point of `lvs-train`."""
    commands = {"train": (Train, train)}
    name = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] in commands else "train"
    rest = sys.argv[2:] if sys.argv[1:2] == [name] else sys.argv[1:]
    kind, function = commands[name]
    run_cli(lambda: function(tyro.cli(kind, args=rest, prog=f"lvs-train {name}")))


if __name__ == "__main__":
    main()
