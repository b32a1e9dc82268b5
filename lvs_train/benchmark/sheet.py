"""The paper's Fig. 2 for any test set: image | annotation | map of one model after another; or its worst failures."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lvs_runtime import metrics
from lvs_runtime.errors import DataError
from lvs_runtime.heatmap import heatmap
from lvs_runtime.image import to_network
from lvs_runtime.view.colors import heat_colors_rgb
from lvs_runtime.view.draw import text
from lvs_runtime.view.text import font_for

from ..data.annotations import Targets
from ..data.decode import read_image, read_sound
from ..data.layouts import Clip
from ..embed import Embedders
from ..evaluate import similarity
from .maps import Progress, window_for

Image = npt.NDArray[np.uint8]
PICKS = ("spread", "worst", "best")
TILE_PX = metrics.SIZE_PX
GAP_PX, LINE_PX = 6, 22
HEAT_OPACITY = 0.55


@dataclass(frozen=True)
class Row:
    """A clip on the sheet: tiles (224, 224, 3) RGB and the words under them."""

    clip: Clip
    label: str
    tiles: tuple[Image, ...]
    captions: tuple[str, ...]


def similarity_of(embed: Embedders, clip: Clip) -> npt.NDArray[np.float32]:
    """The map of a clip with its own sound."""
    window = window_for(embed)
    sound = read_sound(clip.sound, window.sample_rate).clip(-1, 1)
    return similarity(embed.image(_picture(clip)), embed.audio(window.cut(sound)))


def pick(
    clips: Sequence[Clip], targets: Targets, embed: Embedders, how: str, number: int, progress: Progress | None = None
) -> list[Clip]:
    """`number` clips: spread evenly over the list, or the worst or best by ciou of one model."""
    if how == "spread":
        return [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, number).round().astype(int))]
    scored = []
    for n, clip in enumerate(clips):
        try:
            cells = similarity_of(embed, clip)
        except DataError:
            continue  # `evaluate` names the unreadable ones
        scored.append((float(np.nan_to_num(metrics.ciou(cells, targets[clip.id], "lvs"))), n))
        if progress:
            progress("clips", n + 1, len(clips))
    scored.sort(reverse=how == "best")
    return [clips[n] for _, n in scored[:number]]


def draw(clips: Sequence[Clip], targets: Targets, models: Sequence[Embedders]) -> tuple[list[Row], list[str]]:
    """The rows of the sheet, and what is wrong with clips that cannot be read. `DataError` when no clip can."""
    rows, unreadable = list[Row](), list[str]()
    for clip in clips:
        try:
            rows.append(_row(clip, targets, models))
        except DataError as error:
            unreadable.append(str(error))
    if not rows:
        raise DataError(f"none of {len(clips)} clips can be read: {'; '.join(unreadable[:3])}")
    return rows, unreadable


def _row(clip: Clip, targets: Targets, models: Sequence[Embedders]) -> Row:
    image, target = _picture(clip), targets[clip.id]
    tiles, captions = [image, _annotated(image, target)], ["", f"{100 * float(target.mean()):.0f} % of the frame"]
    for model in models:
        cells = similarity_of(model, clip)
        value = metrics.ciou(cells, target, "lvs")
        hit = "peak inside" if metrics.peak_in_box(cells, target) else "peak outside"
        tiles.append(_heated(image, cells))
        captions.append(f"ciou {value:.2f}, {hit}, max {cells.max():.2f}")
    label = clip.label or targets.annotation(clip.id).label or ""
    return Row(clip, label, tuple(tiles), tuple(captions))


def write(rows: Sequence[Row], names: Sequence[str], out: Path) -> list[Path]:
    """`out` with .png and with .html; returns both paths. Raises `DataError` when the folder cannot be written."""
    import cv2

    heads = ["image", "annotation", *names]
    done, png = cv2.imencode(".png", np.ascontiguousarray(_poster(rows, heads)[..., ::-1]))
    if not done:
        raise DataError(f"{out}: the sheet of {len(rows)} rows cannot be written as PNG; take fewer with --number")
    paths = []
    for suffix, data in ((".png", bytes(png)), (".html", _page(rows, heads).encode())):
        path = out.with_suffix(suffix)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror})") from error
        paths.append(path)
    return paths


def _picture(clip: Clip) -> Image:
    picture: Image = to_network(np.ascontiguousarray(read_image(clip.image)[..., ::-1]))[0]
    return picture


def _annotated(image: Image, target: npt.NDArray[np.float32]) -> Image:
    """What is no source goes dark; half agreement half so."""
    shade = 0.25 + 0.75 * target[..., None]
    return np.asarray(image * shade, np.uint8)


def _heated(image: Image, cells: npt.NDArray[np.float32]) -> Image:
    """Min to max of the map in colour, as papers show it; the caption holds the raw maximum."""
    heat = heatmap(cells, (TILE_PX, TILE_PX), "minmax")
    colors = heat_colors_rgb()[(heat * 255).astype(np.uint8)]
    return np.asarray(image * (1 - HEAT_OPACITY) + colors * HEAT_OPACITY, np.uint8)


def _poster(rows: Sequence[Row], heads: Sequence[str]) -> Image:
    step_x, step_y = TILE_PX + GAP_PX, TILE_PX + 2 * LINE_PX
    canvas = np.full((LINE_PX + step_y * len(rows) + GAP_PX, step_x * len(heads) + GAP_PX, 3), 24, np.uint8)
    font = font_for(14)
    for c, head in enumerate(heads):
        text(canvas, _short(head), GAP_PX + c * step_x, 3, font)
    for r, row in enumerate(rows):
        top = LINE_PX + r * step_y
        text(canvas, f"{row.clip.id}  {row.label}", GAP_PX, top + TILE_PX + LINE_PX, font, (170, 170, 170))
        for c, (tile, caption) in enumerate(zip(row.tiles, row.captions, strict=True)):
            left = GAP_PX + c * step_x
            canvas[top : top + TILE_PX, left : left + TILE_PX] = tile
            text(canvas, caption, left, top + TILE_PX + 3, font)
    return canvas


def _short(name: str, most: int = 30) -> str:
    """A model's file, without precision and provider; its end when long."""
    path = name.partition(" (")[0]
    return path if len(path) <= most else "..." + path[-most + 3 :]


def _page(rows: Sequence[Row], heads: Sequence[str]) -> str:
    def cell(tile: Image, caption: str) -> str:
        import cv2

        data: Any = cv2.imencode(".jpg", np.ascontiguousarray(tile[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
        code = base64.b64encode(bytes(data)).decode()
        return f'<td><img alt="" src="data:image/jpeg;base64,{code}"><br>{html.escape(caption)}</td>'

    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    body = "\n".join(
        f"<tr><th>{html.escape(r.clip.id)}<br>{html.escape(r.label)}</th>"
        + "".join(map(cell, r.tiles, r.captions)) + "</tr>"
        for r in rows
    )  # fmt: skip
    style = (
        "body{background:#181818;color:#ddd;font:14px sans-serif} th{text-align:left;font-weight:normal;padding:4px}"
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Contact sheet</title><style>{style}</style>'
        f"<table><tr><th></th>{head}</tr>\n{body}</table></html>\n"
    )
