"""The most and the least confident recordings to look at: annotated mp4 files and one page with a picture of each."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from ..capture.demux import SAMPLE_RATE
from ..errors import ConfigError, DataError
from ..results import Result, VideoFrame
from . import tables
from .analyse import Ears, Rows, batches
from .media import Look, SegmentReader
from .results import FileResult
from .settings import HEAR_EVERY_S, Settings
from .sources import Source, find_sources, is_url
from .work import open_localizer

if TYPE_CHECKING:
    from ..localizer import Localizer

_EVERY_S = 0.08
_AROUND_S = 5.0  # seconds before and after the chosen moment
_WIDTH_PX = 480
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>lvs: most and least confident</title>
<style>body{font:15px/1.4 system-ui,sans-serif;margin:2rem;background:#111;color:#ddd}a{color:inherit}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:1rem}figure{margin:0}
img{width:100%;border-radius:6px}figcaption{overflow-wrap:anywhere;color:#aaa}h2{margin:2rem 0 .6rem}</style>
"""


@dataclass(frozen=True, slots=True)
class _Chosen:
    result: FileResult
    rank: str  # "most-01"
    at_s: float
    confidence: float


def draw_extremes(settings: Settings, count: int) -> str:
    """Draw `count` recordings of each kind from the tables in the output folder; the page's path ("" without any).

    Ranked by mean confidence; of each the stretch around its most (or least) confident audible moment.
    """
    if is_url(settings.out):
        raise ConfigError("--overlay: draws into folders of this machine; give a local --out, or leave it out")
    folder = Path(settings.out) / "overlay"
    folder.mkdir(exist_ok=True)
    figures: dict[str, list[str]] = {"most": [], "least": []}
    for chosen in _choose(settings, count):
        video = folder / f"{chosen.rank}.mp4"
        try:
            picture = _draw(chosen, settings, video)
        except DataError as error:  # gone or changed since it was analysed
            figures[chosen.rank.split("-")[0]].append(
                f"<p>{html.escape(chosen.result.path)}: {html.escape(str(error))}"
            )
            continue
        figures[chosen.rank.split("-")[0]].append(_figure(chosen, picture, video.name))
    if not any(figures.values()):
        return ""
    page = _PAGE
    for kind, title in (("most", "Most confident"), ("least", "Least confident")):
        page += f"<h2>{title}</h2><main>{''.join(figures[kind])}</main>"
    target = folder / "index.html"
    part = target.with_name(f".index-{os.getpid()}.part")
    part.write_text(page, encoding="utf-8")
    part.replace(target)
    return str(target)


def _choose(settings: Settings, count: int) -> Iterator[_Chosen]:
    found = (tables.file_result(path.read_bytes(), out=settings.out) for path in _rows(settings))
    ranked = sorted(
        (r for r in found if r is not None and r.frames and r.settings_hash == settings.hash),
        key=lambda r: (-r.confidence_mean, r.path),
    )
    most = ranked[:count]
    least = ranked[count:][::-1][:count]
    for kind, results in (("most", most), ("least", least)):
        for place, result in enumerate(results, 1):
            rows = result.table().select(["t_s", "confidence", "audible"]).to_pylist()
            audible = [row for row in rows if row["audible"]] or rows
            row = (max if kind == "most" else min)(audible, key=lambda row: row["confidence"])
            yield _Chosen(result, f"{kind}-{place:02d}", row["t_s"], row["confidence"])


def _rows(settings: Settings) -> list[Path]:
    return sorted((Path(settings.out) / "files").rglob("*.parquet"))


def _source(path: str) -> Source:
    whole, separator, member = path.partition("::")
    if not separator:
        return Source(path)
    return next(
        (s for s in find_sources([whole]) if s.member == member), Source(path, problem="no longer in its shard")
    )


def _draw(chosen: _Chosen, settings: Settings, video: Path) -> bytes:
    """Write the annotated stretch; the JPEG of the chosen moment."""
    from dataclasses import replace

    from ..sinks.base import SessionInfo
    from ..sinks.mp4 import Mp4Sink
    from ..view.jpeg import JpegEncoder
    from ..view.overlay import Overlay

    hop_s = settings.hop_s or min(HEAR_EVERY_S, settings.window_s)
    dense = replace(settings, every_s=_EVERY_S, segment_s=3600.0, hop_s=hop_s)
    localizer = open_localizer(settings)
    sink = Mp4Sink(str(video))
    sink.open(SessionInfo(source=chosen.result.path, sample_rate=SAMPLE_RATE, is_live=False))
    nearest, picture = float("inf"), b""
    try:
        for look, result in _results(chosen, dense, localizer):
            assert look.frame_bgr is not None
            frame = VideoFrame(look.frame_bgr, result.capture_ns, result.capture_ns, stamp_source="file")
            first = round(look.t_s * SAMPLE_RATE) - look.level_start
            step = look.level_sound[max(first, 0) : first + round(_EVERY_S * SAMPLE_RATE)]
            sink.write(frame, result, None)
            sink.write_audio(np.ascontiguousarray(step), SAMPLE_RATE, result.capture_ns)
            if abs(look.t_s - chosen.at_s) < nearest:
                nearest = abs(look.t_s - chosen.at_s)
                picture = JpegEncoder(80).encode(_small(Overlay().draw(look.frame_bgr, result)))
    finally:
        sink.close()
    if not picture:
        raise DataError("no picture could be decoded")
    return picture


def _results(chosen: _Chosen, dense: Settings, localizer: Localizer) -> Iterator[tuple[Look, Result]]:
    source = _source(chosen.result.path)
    first = max(0, round((chosen.at_s - _AROUND_S) / _EVERY_S))
    stop = round((chosen.at_s + _AROUND_S) / _EVERY_S) + 1
    reader: Any
    if source.suffix == ".mcap":
        from .recording import RecordingReader

        reader = RecordingReader(source, dense, localizer.prepare_image, keep_frames=True)
    else:
        reader = SegmentReader(source, dense, localizer.prepare_image, first, stop, keep_frames=True)
    ears = Ears(localizer, Rows(localizer, dense, chosen.result.file_id))
    for batch in batches(reader.looks(), 1):
        for look, result, _ in ears.results(batch):
            if first <= round(look.t_s / _EVERY_S) < stop:
                yield look, result


def _small(picture: Any) -> Any:
    step = max(1, picture.shape[1] // _WIDTH_PX)
    return np.ascontiguousarray(picture[::step, ::step])


def _figure(chosen: _Chosen, picture: bytes, video: str) -> str:
    data = base64.b64encode(picture).decode()
    name = html.escape(chosen.result.path)
    return (
        f'<figure><a href="{quote(video)}"><img alt="" src="data:image/jpeg;base64,{data}"></a><figcaption>'
        f"{chosen.confidence:.2f} at {chosen.at_s:.1f} s, mean {chosen.result.confidence_mean:.2f}<br>{name}"
        f"</figcaption></figure>"
    )
