"""`lvs-train evaluate --data ROOT --annotations BOXES`: score on a test set; `lvs-train sheet`: pictures of it.

Without --data, evaluate says what a centre disc, the full image and the best ranking are worth on those boxes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lvs_runtime.errors import ConfigError
from lvs_runtime.metrics import picture_of

from .benchmark.inputs import BoxedClips, load, load_boxes, pictures_of

if TYPE_CHECKING:
    from .data.annotations import Targets
    from .data.layouts import ClipFolder
    from .embed import Embedders

FLAGS = ("--data", "--layout", "--annotations", "--test")
LINE_EVERY_S = 10.0


@dataclass(kw_only=True)
class EvaluateBenchmark(BoxedClips):
    """Score a checkpoint or a bundle on a test set, beside the controls that must not score as much."""

    ckpt: Path | None = None
    """A checkpoint (torch, float32)."""
    bundle: Path | None = None
    """A bundle folder, through lvs_runtime; neither --ckpt nor --bundle: the bundle that ships."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    protocol: str = "lvs"
    """lvs, ssl_tie, ez_vsl, fnac, slavc or slavc_fixed: how a map becomes a mask."""
    window: str = "central"
    """central or first: which part of a sound is heard (the LVS code: --window first --seconds 10)."""
    seconds: float | None = None
    """How much of it; default what the model was trained on."""
    heard: Path | None = None
    """List of classes that training heard; scored apart."""
    unheard: Path | None = None
    """List of classes that training never heard; scored apart."""
    train_list: tuple[Path, ...] = ()
    """Training lists: test clips in them stop the evaluation."""
    allow_leak: bool = False
    """Go on with test clips in the training list; recorded in the report."""
    seed: int = 0
    """Which sounds are swapped, and the noise."""
    resamples: int = 2000
    """Of the bootstrap."""
    json: Path | None = None
    """Write all figures here, those of each clip and class included."""
    debug: bool = False
    """Show a traceback with an error."""


@dataclass(kw_only=True)
class Sheet(BoxedClips):
    """Contact sheet: image | annotation | map of each model, as PNG and HTML."""

    out: Path
    """File name ending in .png or .html; the other one is written beside it."""
    ckpt: tuple[Path, ...] = ()
    """Checkpoints, a column each."""
    bundle: tuple[Path, ...] = ()
    """Bundles, a column each; none of both: the bundle that ships."""
    pick: str = "spread"
    """spread (even over the list), worst or best (by the first model's ciou)."""
    number: int = 12
    """Clips on the sheet (50 worst: a failures page)."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    debug: bool = False
    """Show a traceback with an error."""


def is_benchmark(argv: Sequence[str]) -> bool:
    """Whether `lvs-train evaluate` was asked for a test set rather than for composites."""
    return any(a.partition("=")[0] in FLAGS for a in argv)


def evaluate(args: EvaluateBenchmark) -> int:
    """Print the report, write the JSON."""
    from lvs_runtime.metrics.masks import find_protocol

    from .benchmark.maps import make_maps, window_for
    from .benchmark.report import text
    from .benchmark.scores import score
    from .embed import of_bundle, of_checkpoint

    if args.ckpt and args.bundle:
        raise ConfigError("--ckpt and --bundle exclude each other: evaluate one at a time")
    find_protocol(args.protocol)
    if args.data is None:
        return _controls(args)
    targets, folder = load(args)
    leaks = _leaks(args, folder)
    embed = of_checkpoint(args.ckpt, args.device) if args.ckpt else of_bundle(args.bundle, args.device)
    window = window_for(embed, args.window, args.seconds)
    maps = make_maps(embed, folder.clips, window, args.seed, pictures_of(folder.layout, folder.clips), Line())
    figures = score(maps, targets, args.protocol, pictures_of(folder.layout, maps.clips), _groups(args), args.resamples)
    report = _header(args, embed, folder, targets, maps.unreadable, str(window)) | leaks | figures
    print(text(report))
    _write(args.json, report)
    return 0


def _controls(args: EvaluateBenchmark) -> int:
    from .benchmark.without_media import controls, text

    if args.ckpt or args.bundle:
        raise ConfigError("--ckpt and --bundle need clips: add --data ROOT (without it only boxes are looked at)")
    targets, entries = load_boxes(args)
    ids = [e.id for e in entries]
    pictures = [picture_of(f"{i}.jpg") for i in ids] if targets.kind == "is3" else None
    report = controls(targets, ids, args.protocol, _groups(args), pictures, args.resamples)
    chosen = set(ids)
    report["data"] = {
        "annotations": f"{targets.source} ({targets.kind})",
        "list": str(args.test or "all annotated"),
        "empty_targets": len(chosen.intersection(targets.empty())),
        "clips_that_lose_boxes": len(chosen.intersection(targets.lost())),
        "mean_target": sum(float(targets[i].mean()) for i in ids) / len(ids),
    }
    print(text(report))
    _write(args.json, report)
    return 0


def _groups(args: EvaluateBenchmark) -> dict[str, list[str]]:
    from .data.lists import read_classes

    return {n: read_classes(p) for n, p in (("heard", args.heard), ("unheard", args.unheard)) if p}


def _write(path: Path | None, report: dict[str, Any]) -> None:
    if path is None:
        return
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"--json {path}: cannot be written ({error.strerror})") from error


def _leaks(args: EvaluateBenchmark, folder: ClipFolder) -> dict[str, Any]:
    from .data.leaks import check_leaks
    from .data.lists import read_list

    if not args.train_list:
        return {}
    train = [i for path in args.train_list for i in read_list(path).ids]
    name = args.test.name if args.test else "the annotated clips"
    return {"leaks": check_leaks(train, {name: [c.id for c in folder.clips]}, args.allow_leak).as_dict()}


def _header(
    args: EvaluateBenchmark,
    embed: Embedders,
    folder: ClipFolder,
    targets: Targets,
    unreadable: dict[str, str],
    window: str,
) -> dict[str, Any]:
    from lvs_runtime.metrics import PROTOCOLS

    ids = {c.id for c in folder.clips if c.visible} - set(unreadable)
    empty = [i for i in targets.empty() if i in ids]
    return {
        "what": embed.name,
        "protocol": args.protocol,
        "protocol_note": PROTOCOLS[args.protocol].note,
        "window": window,
        "seed": args.seed,
        "n": len(ids),
        "data": {
            "root": str(folder.root),
            "layout": folder.layout,
            "list": str(args.test or "all annotated"),
            "annotations": f"{targets.source} ({targets.kind})",
            "listed": folder.listed,
            "missing": dict(folder.missing),
            "unreadable": unreadable,
            "empty_targets": empty,
            "clips_that_lose_boxes": len(targets.lost()),
        },
    }


class Line:
    """A live line on a terminal, one line every 10 s elsewhere."""

    def __init__(self) -> None:
        self.tty = sys.stderr.isatty()
        self.printed = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """After each clip."""
        now = time.monotonic()
        if now - self.printed < (0.2 if self.tty else LINE_EVERY_S) and (done < total or not self.tty):
            return
        self.printed = now
        end = "" if self.tty and done < total else "\n"
        print(
            f"\r{what} {done}/{total}\x1b[K" if self.tty else f"{what} {done}/{total}",
            end=end,
            file=sys.stderr,
            flush=True,
        )


def sheet(args: Sheet) -> int:
    """Draw the sheet and say where it lies."""
    from .benchmark.sheet import PICKS, draw, pick, write
    from .embed import of_bundle, of_checkpoint

    if args.pick not in PICKS or args.out.suffix.lower() not in (".png", ".html"):
        raise ConfigError(f"--pick {args.pick} --out {args.out}: want {', '.join(PICKS)} and a name in .png or .html")
    targets, folder = load(args)
    models = [of_checkpoint(p, args.device) for p in args.ckpt] + [of_bundle(p, args.device) for p in args.bundle]
    models = models or [of_bundle(None, args.device)]
    clips = [c for c in folder.clips if c.visible]
    rows, unreadable = draw(pick(clips, targets, models[0], args.pick, args.number, Line()), targets, models)
    for reason in unreadable:
        print(f"left out: {reason}", file=sys.stderr)
    for path in write(rows, [m.name for m in models], args.out):
        print(path)
    return 0
