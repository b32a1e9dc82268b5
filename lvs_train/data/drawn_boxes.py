"""Boxes drawn by your own annotators in VIA, CVAT or Label Studio, as a benchmark made the way VGG-SS was.

Give each annotator's export as one file, or one file in which they are told apart; `merge` makes a consensus of them: a
pixel's weight is min(annotators who marked it / `agree`, 1). Classes without a visible source can be dropped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lvs_runtime.errors import DataError
from lvs_runtime.metrics import SIZE_PX

from .annotations import Annotation, Box, Targets, _targets
from .ids import strip
from .lists import read_text

LABELS = ("class", "label", "name", "type")
KINDS = frozenset({"via", "cvat", "label_studio", "consensus"})
_STUDIO_CLASSES = ("choices", "labels")
_STUDIO_WORDS = frozenset({*_STUDIO_CLASSES, "taxonomy", "textarea", "rating", "number", "datetime"})  # no shapes
_CVAT_SHAPES = frozenset({"polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton"})


def json_targets(path: Path, data: Any, size_px: int = SIZE_PX) -> Targets:
    """VIA 2/3 or Label Studio json, told apart by their keys; `DataError` names what would be read."""
    if isinstance(data, dict) and "_via_img_metadata" in data:
        return _targets(_via2(path, data["_via_img_metadata"]), "via", path, size_px)
    if isinstance(data, dict) and {"project", "file", "metadata"} <= set(data):
        return _targets(_via3(path, data), "via", path, size_px)
    if isinstance(data, dict) and data and all(isinstance(v, dict) and "regions" in v for v in data.values()):
        return _targets(_via2(path, data), "via", path, size_px)
    if isinstance(data, list) and data and all(isinstance(e, dict) and "annotations" in e for e in data):
        return _targets(_label_studio(path, data), "label_studio", path, size_px)
    keys = (
        sorted(data)[:6]
        if isinstance(data, dict)
        else sorted(data[0])[:6]
        if data and isinstance(data[0], dict)
        else []
    )
    raise DataError(
        f"{path}: json with {keys} is none of VGG-SS (file, bbox), IS3 (image, gt_box), VIA project or annotations, "
        f"Label Studio (full JSON export, not JSON-MIN)"
    )


def cvat_targets(path: Path, size_px: int = SIZE_PX) -> Targets:
    """CVAT's "CVAT for images 1.1" xml."""
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not valid XML ({error})") from error
    if root.tag != "annotations":
        raise DataError(f"{path}: root is <{root.tag}>; want CVAT for images 1.1, or a folder of the Flickr set's xml")
    found = []
    for image in root.iter("image"):
        boxes = image.findall("box")
        other = next((e.tag for e in image if e.tag in _CVAT_SHAPES), None)
        turned = any(float(b.get("rotation") or 0) for b in boxes)
        if other or turned:
            raise _not_upright(path, image.get("name") or "?", other or "a turned box")
        corners = tuple(_numbers(path, [b.get(k) for k in ("xtl", "ytl", "xbr", "ybr")]) for b in boxes)
        frame = _frame(path, image.get("width"), image.get("height"))
        label = next((e.get("label") for e in (*image.findall("tag"), *boxes) if e.get("label")), None)
        found.append(Annotation(strip(image.get("name") or ""), (corners,), frame, label))
    return _targets(found, "cvat", path, size_px)


def without_classes(targets: Targets, drop: Collection[str]) -> Targets:
    """The same without the clips of some classes (those whose source cannot be seen)."""
    kept = {name: a for name, a in targets.annotations.items() if a.label not in drop}
    if not kept:
        raise DataError(f"{len(targets)} annotated clips, none left after dropping {sorted(drop)}")
    return Targets(kept, targets.kind, targets.source, targets.size_px)


def merge(parts: Sequence[Targets], agree: int = 2) -> Targets:
    """Several annotators' files as one: weights min(votes / `agree`, 1).

    A clip that only one annotator saw keeps his boxes at weight 1 / `agree`. `agree` above the number of files makes
    no sense and is refused.
    """
    if (
        not 1
        <= agree
        <= max(len(parts), max((len(a.annotators) for p in parts for a in p.annotations.values()), default=1))
    ):
        raise DataError(f"agree {agree}: {len(parts)} files of annotations; want 1 to their number")
    merged: dict[str, Annotation] = {}
    for part in parts:
        for name, annotation in part.annotations.items():
            before = merged.get(name)
            votes = tuple(_unit(boxes, annotation.frame) for boxes in annotation.annotators)
            votes = (before.annotators if before else ()) + votes
            label = (before.label if before else None) or annotation.label
            merged[name] = Annotation(name, votes, (1.0, 1.0), label, agree)
    return Targets(merged, "consensus", ", ".join(p.source for p in parts), parts[0].size_px)


def with_agreement(targets: Targets, agree: int) -> Targets:
    """The same for one file that tells several annotators apart: `agree` of them make a weight of 1."""
    if agree < 1:
        raise DataError(f"agree {agree}: want at least 1")
    new = {i: replace(a, agree=min(agree, len(a.annotators))) for i, a in targets.annotations.items()}
    return Targets(new, targets.kind, targets.source, targets.size_px)


def without_empty(targets: Targets) -> tuple[Targets, list[str]]:
    """The same without the pictures in which nobody drew a box, and their ids. `DataError` when none is left."""
    empty = [i for i, a in targets.annotations.items() if not a.boxes]
    if len(empty) == len(targets):
        raise DataError(f"{targets.source}: {len(empty)} pictures, and not one box; was the export made of the work?")
    kept = {i: a for i, a in targets.annotations.items() if a.boxes}
    return Targets(kept, targets.kind, targets.source, targets.size_px), empty


def _not_upright(path: Path, name: str, what: str) -> DataError:
    return DataError(f"{path}: {name}: {what}; want upright rectangles alone, as the published sets have")


def _unit(boxes: Iterable[Box], frame: tuple[float, float]) -> tuple[Box, ...]:
    w, h = frame
    return tuple((x0 / w, y0 / h, x1 / w, y1 / h) for x0, y0, x1, y1 in boxes)


def _via2(path: Path, images: Mapping[str, Any]) -> list[Annotation]:
    """VIA 2 keeps pixels, but not the frame's size: it must stand in the file's attributes."""
    found = []
    for image in images.values():
        attributes = image.get("file_attributes") or {}
        regions = image["regions"].values() if isinstance(image["regions"], dict) else image["regions"]
        rects = list(regions)
        other = next((n for r in rects if (n := r["shape_attributes"].get("name")) != "rect"), None)
        if other:
            raise _not_upright(path, str(image.get("filename", "?")), str(other))
        by_annotator: dict[str, list[Box]] = {}
        for region in rects:
            s = region["shape_attributes"]
            x, y, w, h = _numbers(path, [s.get("x"), s.get("y"), s.get("width"), s.get("height")])
            who = str((region.get("region_attributes") or {}).get("annotator", ""))
            by_annotator.setdefault(who, []).append((x, y, x + w, y + h))
        frame = _frame(path, attributes.get("width"), attributes.get("height"), image.get("filename", "?"))
        label = next((str(attributes[k]) for k in LABELS if attributes.get(k)), None) or next(
            (
                str(r["region_attributes"][k])
                for r in rects
                for k in LABELS
                if (r.get("region_attributes") or {}).get(k)
            ),
            None,
        )
        found.append(_by_annotator(strip(image["filename"]), by_annotator, frame, label))
    return found


def _via3(path: Path, data: Mapping[str, Any]) -> list[Annotation]:
    """VIA 3: xy = [2, x, y, w, h] for a rectangle; the frame's size as a file's `width`, `height`."""
    found = []
    for number, file in data["file"].items():
        shapes = [m for m in data["metadata"].values() if str(m.get("vid")) == str(number) and m.get("xy")]
        other = next((m["xy"][0] for m in shapes if m["xy"][0] != 2), None)
        if other:
            raise _not_upright(path, str(file.get("fname", "?")), f"VIA shape {other}")
        boxes = [(x, y, x + w, y + h) for x, y, w, h in (_numbers(path, m["xy"][1:5]) for m in shapes)]
        frame = _frame(path, file.get("width"), file.get("height"), file.get("fname", "?"))
        label = next((str(v) for m in shapes for v in (m.get("av") or {}).values() if v), None)
        found.append(Annotation(strip(file["fname"]), (tuple(boxes),), frame, label))
    return found


def _label_studio(path: Path, tasks: Sequence[Mapping[str, Any]]) -> list[Annotation]:
    """Percent of the frame, one list of results for each annotator."""
    found = []
    for task in tasks:
        source = next(
            (str(v) for v in (task.get("data") or {}).values() if isinstance(v, str)), task.get("file_upload", "")
        )
        by_annotator: dict[str, list[Box]] = {}
        label = None
        for number, annotation in enumerate(task["annotations"]):
            if annotation.get("was_cancelled"):
                continue  # skipped by the annotator, which is no vote
            boxes = by_annotator.setdefault(str(annotation.get("completed_by", number)), [])
            for result in annotation.get("result", []):
                value, kind = result.get("value", {}), str(result.get("type"))
                if kind in _STUDIO_WORDS:
                    label = label or next(iter(value.get(kind) or []), None) if kind in _STUDIO_CLASSES else label
                elif kind not in ("rectanglelabels", "rectangle") or value.get("rotation"):
                    raise _not_upright(path, source, "a turned box" if value.get("rotation") else kind)
                else:
                    x, y, w, h = _numbers(path, [value.get(k) for k in ("x", "y", "width", "height")])
                    boxes.append((x, y, x + w, y + h))
                    label = label or next(iter(value.get("rectanglelabels", [])), None)
        found.append(_by_annotator(_uploaded(source), by_annotator, (100.0, 100.0), label))
    return found


def _uploaded(source: str) -> str:
    """Label Studio puts eight hexadecimal digits before the name of an uploaded file."""
    name = strip(source.partition("?")[0])
    return re.sub(r"^[0-9a-f]{8}-", "", name) if "upload/" in source else name


def _by_annotator(
    name: str, boxes: Mapping[str, Sequence[Box]], frame: tuple[float, float], label: str | None
) -> Annotation:
    annotators = tuple(tuple(b) for b in boxes.values()) or ((),)
    return Annotation(name, annotators, frame, label, agree=min(2, len(annotators)))


def _numbers(path: Path, values: Sequence[Any]) -> Box:
    try:
        x0, y0, x1, y1 = (float(v) for v in values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: box {list(values)}; want four numbers") from error
    return x0, y0, x1, y1


def _frame(path: Path, width: Any, height: Any, name: str = "?") -> tuple[float, float]:
    try:
        frame = (float(width), float(height))
    except (TypeError, ValueError):
        frame = (0.0, 0.0)
    if min(frame) <= 0:
        raise DataError(
            f"{path}: {name}: width and height of the picture are not stated, and boxes are in pixels; add "
            f"file attributes `width` and `height`"
        )
    return frame
