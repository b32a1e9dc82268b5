"""Lists of clips in every published form: one id a line, csv with a label or a number, VGGSound's, SLAVC's, json."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lvs_runtime.errors import DataError

from .ids import strip, vggsound_id


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. `audio_id` differs from `id` when a picture is paired with another clip's sound."""

    id: str
    label: str | None = None
    audio_id: str | None = None
    visible: bool = True  # False: the sound's source is not in the picture
    split: str | None = None


@dataclass(frozen=True)
class ClipList:
    """What a list file holds, in its order, without repetitions."""

    path: Path
    kind: str
    entries: tuple[Entry, ...]
    repeated: tuple[str, ...] = field(default=())

    @property
    def ids(self) -> list[str]:
        """Ids of the pictures."""
        return [e.id for e in self.entries]


def read_list(path: Path) -> ClipList:
    """Read `path` (.txt, .csv or .json), whatever its form; `kind` tells which was found.

    Forms: ids; `id,number` (Flickr test: the number means nothing); `id,label`; VGGSound's
    `youtube_id,start_seconds,label,split`; SLAVC's `video,audio,label` with header (negatives); VGG-SS json; json
    `{class: [id, ...]}`. Raises `DataError` when the file is missing, empty or none of these.
    """
    text = read_text(path)
    kind, entries = _of_json(path, text) if path.suffix.lower() == ".json" else _of_rows(path, text)
    if not entries:
        raise DataError(f"list {path}: no entries; want one id a line, or csv with the id first")
    seen: dict[tuple[str, str | None], Entry] = {}
    for entry in entries:
        seen.setdefault((entry.id, entry.audio_id), entry)
    counts = Counter((e.id, e.audio_id) for e in entries)
    return ClipList(path, kind, tuple(seen.values()), tuple(k[0] for k, n in counts.items() if n > 1))


def read_classes(path: Path) -> list[str]:
    """Names of classes: one a line, or the keys of a json dict, or a json list of strings."""
    text = read_text(path)
    if path.suffix.lower() != ".json":
        names = [line.strip().strip('"') for line in text.splitlines() if line.strip()]
    else:
        data = parse_json(path, text)
        names = list(data) if isinstance(data, dict | list) else []
    if not names or not all(isinstance(n, str) for n in names):
        raise DataError(f"classes {path}: want one class a line, or a json list or object of names")
    return names


def read_text(path: Path) -> str:
    """The file as text, with or without a byte-order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        near = sorted(p.name for p in path.parent.glob(f"*{path.suffix}"))[:5] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file; beside it lie {near or 'none of its kind'}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as text ({error})") from error


def parse_json(path: Path, text: str) -> Any:
    """The parsed file, or `DataError` with the place of the mistake."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON ({error})") from error


def _of_json(path: Path, text: str) -> tuple[str, list[Entry]]:
    data = parse_json(path, text)
    if isinstance(data, dict) and data and all(isinstance(v, list) for v in data.values()):
        return "classes", [Entry(strip(str(i)), label=c) for c, ids in data.items() for i in ids]
    if isinstance(data, list) and all(isinstance(e, str) for e in data):
        return "ids", [Entry(strip(e)) for e in data]
    if isinstance(data, list) and all(isinstance(e, dict) and ("file" in e or "image" in e) for e in data):
        return "annotations", [Entry(strip(str(e.get("file") or e.get("image"))), label=e.get("class")) for e in data]
    raise DataError(f"list {path}: want a json list of ids, of VGG-SS entries, or {{class: [id, ...]}}")


def _of_rows(path: Path, text: str) -> tuple[str, list[Entry]]:
    rows = [[c.strip() for c in row] for row in csv.reader(text.splitlines(), skipinitialspace=True) if any(row)]
    if not rows:
        return "ids", []
    header = [c.lower() for c in rows[0]]
    if header == ["video", "audio", "label"]:
        return "slavc_negatives", [
            Entry(strip(r[0]), audio_id=strip(r[1]), visible=False) for r in _wide(path, rows[1:], 3, 2)
        ]
    width = Counter(len(r) for r in rows).most_common(1)[0][0]
    if width == 4 and all(len(r) > 1 and r[1].isdigit() for r in rows):
        return "vggsound", [
            Entry(vggsound_id(r[0], int(r[1])), label=r[2], split=r[3]) for r in _wide(path, rows, 4, 1)
        ]
    first = 1 if header[0] in ("id", "file", "name", "youtube_id", "ytid", "filename") else 0
    if width == 1:
        return "ids", [Entry(strip(r[0])) for r in _wide(path, rows[first:], 1, first + 1)]
    if width == 2:
        return _pairs(path, rows[first:], first + 1)
    raise DataError(
        f"list {path}: {width} columns, e.g. {rows[0]}; want ids, `id,label`, `youtube_id,start_seconds,label,split` "
        f"or a header `video,audio,label`"
    )


def _pairs(path: Path, rows: Sequence[list[str]], first_line: int) -> tuple[str, list[Entry]]:
    wide = list(_wide(path, rows, 2, first_line))
    numbered = all(r[1].lstrip("-").isdigit() for r in wide)
    make: Callable[[list[str]], Entry] = lambda r: Entry(strip(r[0]), label=None if numbered else r[1])  # noqa: E731
    return "ids_with_numbers" if numbered else "labels", [make(r) for r in wide]


def _wide(path: Path, rows: Iterable[list[str]], width: int, first_line: int) -> Iterable[list[str]]:
    for number, row in enumerate(rows, first_line):
        if len(row) != width or not row[0]:
            hint = "; a label with a comma needs quotes" if len(row) > width else ""
            raise DataError(f"list {path} line {number}: {len(row)} columns {row[:4]}; want {width}{hint}")
        yield row
