"""What `evaluate` and `sheet` are given: boxes, a list, and the folder of pictures and sounds that it names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lvs_runtime.errors import ConfigError, DataError
from lvs_runtime.metrics import picture_of

from ..data.annotations import Targets, load_targets
from ..data.drawn_boxes import KINDS, merge, with_agreement, without_classes, without_empty
from ..data.layouts import ClipFolder, read_clips
from ..data.lists import Entry, read_classes, read_list


class UndrawnWarning(UserWarning):
    """Nobody drew a box in some pictures: they cannot be scored."""


@dataclass(kw_only=True)
class BoxedClips:
    """Clips with boxes."""

    data: Path | None = None
    """Root folder of pictures and sounds, or of tar shards of them. `evaluate` without it: what the boxes alone are
    worth (the controls)."""
    annotations: tuple[Path, ...]
    """VGG-SS json, IS3 json, folder of Flickr or SSL-TIE xml, or boxes drawn in VIA, CVAT, Label Studio (several files:
    several annotators, made one by --agree)."""
    layout: str = "auto"
    """auto, lvs, ez_vsl, slavc, fnac, ssl_tie, ssl_tie_train, ssl_tie_flickr, acl, vssl_eval, is3, several_frames,
    shards."""
    test: Path | None = None
    """List of ids (txt, csv, json); without one, every annotated clip."""
    negatives: Path | None = None
    """SLAVC's *_plus_silent.csv: pictures with sounds from elsewhere, on top of the list."""
    agree: int = 2
    """Annotators whose agreement makes a full weight, in boxes drawn by several (one file each, or one of all)."""
    drop: Path | None = None
    """List of classes that have no visible source: left out."""
    limit: int | None = None
    """Only the first so many clips of the list (for a trial)."""


def load(args: BoxedClips) -> tuple[Targets, ClipFolder]:
    """Annotations and the clips that both they and the list name."""
    if args.data is None:
        raise ConfigError("--data: want the root folder of pictures and sounds")
    targets, entries = load_boxes(args)
    if args.negatives:
        entries += [e for e in read_list(args.negatives).entries if not e.visible][: args.limit]
    return targets, read_clips(args.data, args.layout, entries)


def load_boxes(args: BoxedClips) -> tuple[Targets, list[Entry]]:
    """Annotations and the listed clips that have some. Raises `DataError` when the list names others."""
    parts = [load_targets(p) for p in args.annotations]
    if not parts:
        raise ConfigError("--annotations: want at least one file or folder of boxes")
    targets = merge(parts, args.agree) if len(parts) > 1 else parts[0]
    if targets.kind in KINDS:
        targets = targets if len(parts) > 1 else with_agreement(targets, args.agree)
        targets, undrawn = without_empty(targets)
        if undrawn:
            text = f"{targets.source}: {len(undrawn)} pictures without any box are left out, e.g. {undrawn[:3]}"
            warnings.warn(text, UndrawnWarning, stacklevel=2)
    entries = list(read_list(args.test).entries) if args.test else [Entry(i) for i in targets]
    if args.drop:
        targets = without_classes(targets, frozenset(read_classes(args.drop)))
        entries = [e for e in entries if e.id in targets]
    lacking = [e.id for e in entries if e.visible and e.id not in targets]
    if lacking:
        raise DataError(
            f"{len(lacking)} of {len(entries)} listed clips have no boxes in {targets.source}, e.g. {lacking[:3]}; "
            f"is it the right list?"
        )
    entries = [replace(e, label=e.label or targets.annotation(e.id).label) if e.visible else e for e in entries]
    return targets, entries[: args.limit] if args.limit else entries


def pictures_of(layout: str, clips: Sequence[Any]) -> list[str] | None:
    """The picture of each clip, where a layout keeps one picture for several sounds."""
    return [picture_of(f"{c.id}.jpg") for c in clips] if layout == "is3" else None
