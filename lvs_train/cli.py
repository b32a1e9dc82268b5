"""`lvs-train --config recipe.toml`: train. `lvs-train calibrate`, `lvs-train evaluate`: measure the result."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from lvs_runtime.cli.common import run_cli
from lvs_runtime.errors import ConfigError, DataError, DeviceError

from . import cli_benchmark, cli_finetune, cli_prepare

if TYPE_CHECKING:
    import torch

    from .config import Recipe
    from .embed import Embedders

RecipePath = Annotated[Path, tyro.conf.arg(metavar="RECIPE.toml")]


@dataclass(kw_only=True)
class Train:
    """Train the dual ResNet18 with the tri-map loss, as a recipe says.

    Also: finetune, calibrate, evaluate, sheet, prepare, leaks, clips, shrink, card.
    """

    config: RecipePath
    """The recipe; see lvs_train/recipes."""
    out: Path = Path("runs/run")
    """Folder for model.pt, model.safetensors, metrics.jsonl, recipe.json."""
    resume: bool = False
    """Go on with the run in --out."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    threads: int = 0
    """CPU threads for torch; 0: torch's choice."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Change a key of the recipe, e.g. --set 'data.clips=["clips"]' --set stages.0.steps=100. May be repeated."""
    allow_leak: bool = False
    """Train although training ids are in a test list of the recipe; the checkpoint records it."""
    lost_after_s: float = 600.0
    """Under torchrun: a process that is silent for so long counts as lost."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Calibrate:
    """Fit the thresholds of a checkpoint again, on the material of its recipe."""

    config: RecipePath
    """The recipe whose material is used."""
    ckpt: Path
    """model.pt; a model.safetensors beside it is rewritten too."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Evaluate:
    """Measure a checkpoint or a bundle on composites of unseen photos and sounds and on the drawn world.

    With --data and --annotations: on a test set with boxes (`lvs-train evaluate --data ROOT --help`).
    """

    config: Annotated[Path | None, tyro.conf.arg(metavar="RECIPE.toml")] = None
    """The recipe whose test material is used; without one only the drawn world is measured."""
    ckpt: Path | None = None
    """A checkpoint (torch, float32)."""
    bundle: Path | None = None
    """A bundle folder, through lvs_runtime; neither --ckpt nor --bundle: the bundle that ships."""
    number: int = 1000
    """Test pictures of each kind."""
    seed: int = 0
    """Which composites are drawn."""
    videos: tuple[Path, ...] = ()
    """Real videos, or .jsonl lists of them (`file`, `cls`, `split`): own sound against another clip's."""
    sheet: Path | None = None
    """Write a contact sheet of the videos with their heat maps (PNG)."""
    json: Path | None = None
    """Write all figures here."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Card:
    """Write a model card's tables from the evaluation's JSON, between its `<!-- card:NAME:start -->` marks."""

    json: Path
    """From `lvs-train evaluate --json`: the bundle that ships."""
    float: Path | None = None
    """The same figures from the float checkpoint, for the table of differences."""
    card: Path = Path("docs/model-card.md")
    """The card, rewritten in place."""
    check: bool = False
    """Write nothing; exit 1 when the card does not say what the JSON says."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Shrink:
    """Write a checkpoint's weights alone, convolutions in half precision: 45 MB, to pass on, export or start from."""

    ckpt: Path
    """The checkpoint."""
    out: Path
    """A new .safetensors file."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Clips:
    """Write what a recipe trains on as clips: to look at, to hear, to calibrate int8 with (lvs-export --calib)."""

    config: RecipePath
    """The recipe whose training pairs are written."""
    out: Path
    """New folder: frames/<id>.jpg and audio/<id>.wav."""
    number: int = 64
    """How many."""
    debug: bool = False
    """Show a traceback with an error."""


def train(args: Train) -> int:
    """Run the recipe, calibrate, and say where the result lies and what to do next. One of many under torchrun."""
    import torch

    from .checkpoint import load
    from .config import load_recipe
    from .distributed import local_device, world_of
    from .loop import Trainer

    recipe = load_recipe(args.config, [*args.set, *(["data.allow_leak=true"] if args.allow_leak else [])])
    device = local_device(pick_device(args.device))
    if args.threads:
        torch.set_num_threads(args.threads)
    with world_of(device, args.lost_after_s) as world:
        path = Trainer(recipe, args.out, device, args.resume, world).run()
        if not world.writes:
            return 0
    if "calibrated" not in load(path).meta:
        thresholds = _calibrate(recipe, path, device)
        print(f"calibrated: {thresholds}")
    print(f"{path}\nnext: lvs-export --ckpt {path}")
    return 0


def calibrate(args: Calibrate) -> int:
    """Fit and store thresholds."""
    from .config import load_recipe

    print(json.dumps(_calibrate(load_recipe(args.config), args.ckpt, pick_device(args.device)), indent=2))
    return 0


def _calibrate(recipe: Recipe, path: Path, device: torch.device) -> dict[str, float]:
    from .calibrate import calibrate as fit_thresholds
    from .checkpoint import load, save
    from .embed import of_model

    checkpoint = load(path)
    checkpoint.thresholds = fit_thresholds(recipe, of_model(checkpoint, str(device)))
    checkpoint.model.cpu()
    checkpoint.meta["calibrated"] = True
    save(path, checkpoint)
    save(path.with_suffix(".safetensors"), checkpoint)
    return checkpoint.thresholds


def shrink(args: Shrink) -> int:
    """Load, store in half precision, say how large it is."""
    from .checkpoint import load, save

    if args.out.suffix != ".safetensors":
        raise ConfigError(f"--out {args.out}: want a name that ends in .safetensors")
    save(args.out, load(args.ckpt), half=True)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")
    return 0


def clips(args: Clips) -> int:
    """Draw pairs with the full window as the last stage draws them, and write them."""
    from .config import load_recipe
    from .data.clips import write_clips

    print(f"{write_clips(load_recipe(args.config), args.out, args.number)} clips in {args.out}")
    return 0


def evaluate(args: Evaluate) -> int:
    """Print the figures, with controls, and write them as JSON."""
    from .config import load_recipe
    from .quality import quality_report

    embed = _embedders(args)
    recipe = load_recipe(args.config) if args.config else None
    say = (lambda text: print(f"  {text} ...", file=sys.stderr, flush=True)) if args.json else (lambda _: None)
    report = quality_report(embed, recipe, args.number, args.seed, args.videos, args.sheet, say)
    report["context"] = _context()
    print(json.dumps({k: _short(v) for k, v in report.items()}, indent=2))
    if args.json:
        temporary = args.json.with_name(f".{args.json.name}.tmp")
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        temporary.replace(args.json)
    return 0


def card(args: Card) -> int:
    """Fill the card, or check it."""
    from .card import fill

    def read(path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: no evaluation's JSON ({error}); lvs-train evaluate --json writes one") from error

    try:
        before = args.card.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--card {args.card}: {error.strerror}") from error
    after = fill(before, read(args.json), read(args.float) if args.float else None)
    if args.check:
        print(f"{args.card}: {'as measured' if after == before else 'differs from the JSON'}")
        return int(after != before)
    args.card.write_text(after, encoding="utf-8")
    return 0


def _context() -> dict[str, str]:
    from datetime import datetime, timezone

    return {"date": datetime.now(timezone.utc).date().isoformat(), "command": " ".join(["lvs-train", *sys.argv[1:]])}


def _embedders(args: Evaluate) -> Embedders:
    from .embed import of_bundle, of_checkpoint

    if args.ckpt and args.bundle:
        raise ConfigError("--ckpt and --bundle exclude each other: evaluate one at a time")
    return of_checkpoint(args.ckpt) if args.ckpt else of_bundle(args.bundle)


def _short(value: object) -> object:
    """Without the long tables, shares as one number."""
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if k not in ("per_class", "per_source", "rows")}
    if "value" in kept:
        return f"{kept['value']:.3f} ({kept['low']:.3f} to {kept['high']:.3f})"
    return {k: round(v["share"], 4) if isinstance(v, dict) and "share" in v else _short(v) for k, v in kept.items()}


def pick_device(name: str) -> torch.device:
    """A torch device; raises DeviceError when CUDA is asked for and not there."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError(
            f"--device {name}: torch {torch.__version__} sees no CUDA GPU; use --device cpu, or ask lvs-doctor"
        )
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name}: {str(error).splitlines()[0]}") from error


def main() -> None:
    """Entry point of `lvs-train`."""
    commands: dict[str, tuple[Any, Any]] = {
        "train": (Train, train),
        "calibrate": (Calibrate, calibrate),
        "clips": (Clips, clips),
        "shrink": (Shrink, shrink),
        "evaluate": (Evaluate, evaluate),
        "prepare": (cli_prepare.Prepare, cli_prepare.prepare),
        "leaks": (cli_prepare.Leaks, cli_prepare.leaks),
        "card": (Card, card),
        "finetune": (cli_finetune.Finetune, cli_finetune.finetune),
        "sheet": (cli_benchmark.Sheet, cli_benchmark.sheet),
    }
    if cli_benchmark.is_benchmark(sys.argv[2:]):
        commands["evaluate"] = (cli_benchmark.EvaluateBenchmark, cli_benchmark.evaluate)
    named = sys.argv[1:2] and sys.argv[1] in commands
    name = sys.argv[1] if named else "train"
    kind, function = commands[name]
    prog = f"lvs-train {name}" if named else "lvs-train"
    run_cli(lambda: function(tyro.cli(kind, args=sys.argv[2:] if named else sys.argv[1:], prog=prog)))


if __name__ == "__main__":
    main()
