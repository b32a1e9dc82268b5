"""Where the sources are, as the public test sets say it: VGG-SS json, Flickr xml, SSL-TIE's xml, IS3 json.

    targets = vggss_targets("vggss.json")        # targets["-abc_000030"] is (224, 224) in [0, 1]
    weights = flickr_target("Annotations/123.xml")

Targets are drawn when asked for: all of VGG-SS at once would be a gigabyte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from lvs_runtime.errors import ConfigError, DataError
from lvs_runtime.metrics import SIZE_PX, boxes_to_target, consensus_target
from lvs_runtime.metrics.targets import pixels_of

from .ids import clip_key, strip
from .lists import parse_json, read_text

Target = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
FLICKR_FRAME_PX = 256.0
IS3_FRAME_PX = 224.0


@dataclass(frozen=True, slots=True)
class Annotation:
    """The boxes (x0, y0, x1, y1) of one clip, by annotator, in units of `frame` = (width, height)."""

    id: str
    annotators: tuple[tuple[Box, ...], ...]
    frame: tuple[float, float] = (1.0, 1.0)
    label: str | None = None
    agree: int = 1  # annotators whose agreement makes a weight of 1
    union_first: bool = True  # False: every box is a vote, as in the Flickr evaluation

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Boxes of all annotators."""
        return tuple(box for boxes in self.annotators for box in boxes)

    def target(self, size_px: int = SIZE_PX) -> Target:
        """Weights (size, size) in [0, 1]."""
        if self.agree == 1 and len(self.annotators) <= 1:
            return boxes_to_target(self.boxes, size_px, self.frame)
        return consensus_target(self.annotators, size_px, self.frame, self.agree, self.union_first)

    def lost_boxes(self, size_px: int = SIZE_PX) -> int:
        """Boxes of which nothing is left on the target's grid (VGG-SS: overflows, slivers)."""
        grid = (pixels_of(box, size_px, self.frame) for box in self.boxes)
        return sum(x1 <= x0 or y1 <= y0 for x0, y0, x1, y1 in grid)


@dataclass(frozen=True)
class Targets(Mapping[str, Target]):
    """id -> target, drawn when asked for. Ids are found in any spelling."""

    annotations: Mapping[str, Annotation]
    kind: str
    source: str
    size_px: int = SIZE_PX
    _by_key: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_key.update({clip_key(i): i for i in self.annotations})

    def annotation(self, clip: str) -> Annotation:
        """The boxes of a clip; KeyError when it has none."""
        found = self.annotations.get(clip)
        return found if found is not None else self.annotations[self._by_key[clip_key(clip)]]

    def __getitem__(self, clip: str) -> Target:
        return self.annotation(clip).target(self.size_px)

    def __contains__(self, clip: object) -> bool:
        return isinstance(clip, str) and (clip in self.annotations or clip_key(clip) in self._by_key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.annotations)

    def __len__(self) -> int:
        return len(self.annotations)

    def lost(self) -> dict[str, int]:
        """Clips that lose boxes on the grid -> how many."""
        lost = {i: a.lost_boxes(self.size_px) for i, a in self.annotations.items()}
        return {i: n for i, n in lost.items() if n}

    def empty(self) -> list[str]:
        """Clips of which no box is left: they stay in the set and count as failures."""
        return [i for i, n in self.lost().items() if n == len(self.annotations[i].boxes)] + [
            i for i, a in self.annotations.items() if not a.boxes
        ]


def vggss_targets(path: str | Path, size_px: int = SIZE_PX) -> Targets:
    """VGG-SS: a json list of {file, class, bbox: [[x0, y0, x1, y1], ...]}, normalised; boxes unite.

    Coordinates below 0 become 0 (the published overflows of -2.88e16), as in the released evaluator.
    """
    path = Path(path)
    data = parse_json(path, read_text(path))
    if not _is_vggss(data):
        raise DataError(f"{path}: want a json list of {{file, class, bbox}} as VGG-SS publishes it{_instead(data)}")
    found = [
        Annotation(strip(str(e["file"])), (_boxes(path, n, e["bbox"]),), label=e.get("class"))
        for n, e in enumerate(data)
    ]
    return _targets(found, "vggss", path, size_px)


def is3_targets(path: str | Path, size_px: int = SIZE_PX) -> Targets:
    """IS3, VPO, AVS lists: json list of {image, audio, gt_box [x0, y0, x1, y1]} in pixels of 224 x 224."""
    path = Path(path)
    data = parse_json(path, read_text(path))
    if not _is_is3(data):
        raise DataError(f"{path}: want a json list of {{image, audio, gt_box}} as IS3 publishes it{_instead(data)}")
    found = []
    for n, e in enumerate(data):
        boxes = e["gt_box"] if e["gt_box"] and isinstance(e["gt_box"][0], list) else [e["gt_box"]] * bool(e["gt_box"])
        frame = (IS3_FRAME_PX, IS3_FRAME_PX)
        found.append(Annotation(strip(str(e["image"])), (_boxes(path, n, boxes),), frame, e.get("class")))
    return _targets(found, "is3", path, size_px)


def flickr_target(path: str | Path, size_px: int = SIZE_PX) -> Target:
    """Flickr SoundNet xml: one child an annotator, integer pixels of a 256 x 256 frame -> weights 0, 0.5, 1.

    Every box is a vote and two votes make 1, as released.
    """
    annotation = read_xml(path)
    if annotation.agree == 1:
        raise DataError(f"{path}: boxes stand directly under the root: this is SSL-TIE's VGG-SS xml, not Flickr's")
    return annotation.target(size_px)


def xml_targets(folder: str | Path, size_px: int = SIZE_PX) -> Targets:
    """A folder of <id>.xml, Flickr's or SSL-TIE's."""
    files = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() == ".xml" and p.name[0] != ".")
    if not files:
        raise DataError(f"{folder}: no *.xml in it")
    found = [read_xml(p) for p in files]
    return _targets(found, "flickr_xml" if found[0].agree > 1 else "tie_xml", Path(folder), size_px)


def read_xml(path: str | Path) -> Annotation:
    """One xml file: root -> annotators -> bbox (Flickr, pixels of 256), or root -> bbox (SSL-TIE, normalised)."""
    path = Path(path)
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: not valid XML ({error})") from error
    direct = [e for e in root if e.tag == "bbox"]
    if direct:
        return Annotation(strip(path.name), (tuple(_xml_box(path, e) for e in direct),))
    annotators = tuple(tuple(_xml_box(path, e) for e in child if e.tag == "bbox") for child in root)
    if not any(annotators):
        raise DataError(f"{path}: no bbox under <{root.tag}> or its children")
    frame = (FLICKR_FRAME_PX, FLICKR_FRAME_PX)
    return Annotation(strip(path.name), annotators, frame, None, agree=2, union_first=False)


def load_targets(path: str | Path, size_px: int = SIZE_PX) -> Targets:
    """Any annotation this project reads, by its content: json or xml, published or drawn in VIA, CVAT, Label Studio."""
    from . import drawn_boxes

    path = Path(path)
    if path.is_dir():
        return xml_targets(path, size_px)
    if path.suffix.lower() == ".xml":
        return drawn_boxes.cvat_targets(path, size_px)
    data = parse_json(path, read_text(path))
    if _is_vggss(data):
        return vggss_targets(path, size_px)
    if _is_is3(data):
        return is3_targets(path, size_px)
    return drawn_boxes.json_targets(path, data, size_px)


def _is_vggss(data: Any) -> bool:
    return (
        isinstance(data, list) and bool(data) and all(isinstance(e, dict) and {"file", "bbox"} <= set(e) for e in data)
    )


def _is_is3(data: Any) -> bool:
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(e, dict) and {"image", "gt_box"} <= set(e) for e in data)
    )


def _instead(data: Any) -> str:
    entry = data[0] if isinstance(data, list) and data else data
    keys = sorted(entry)[:6] if isinstance(entry, dict) else type(entry).__name__
    return f"; found {type(data).__name__} with {keys}"


def _targets(found: list[Annotation], kind: str, path: Path, size_px: int) -> Targets:
    by_id: dict[str, Annotation] = {}
    for annotation in found:
        if annotation.id in by_id:
            raise DataError(f"{path}: {annotation.id} is annotated twice; merge its boxes")
        by_id[annotation.id] = annotation
        try:
            annotation.lost_boxes(size_px)
        except ConfigError as error:
            raise DataError(f"{path}: {annotation.id}: {error}") from error
    return Targets(by_id, kind, str(path), size_px)


def _boxes(path: Path, number: int, boxes: Any) -> tuple[Box, ...]:
    try:
        return tuple(_four([float(v) for v in box]) for box in boxes)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} entry {number}: boxes {boxes!r}; want lists of x0, y0, x1, y1") from error


def _xml_box(path: Path, element: ElementTree.Element) -> Box:
    values = [(child.text or "").strip() for child in element]
    try:
        return _four([float(v) for v in (values[1:] if len(values) == 5 else values)])
    except ValueError as error:
        raise DataError(
            f"{path}: bbox {values}; want xmin, ymin, xmax, ymax (after a name, in Flickr's files)"
        ) from error


def _four(values: list[float]) -> Box:
    if len(values) != 4:
        raise ValueError(values)
    return (values[0], values[1], values[2], values[3])
