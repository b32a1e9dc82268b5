"""The two tables as Parquet: their columns, and how parts are named, written and read."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from .results import FileResult, PartSummary

if TYPE_CHECKING:
    import pyarrow as pa

_NOT_STORED = ("done_before", "stages_s", "out", "tables")
_META = b"lvs"


def import_pyarrow() -> Any:
    """pyarrow with its Parquet module, or a `ConfigError` that says how to get it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("result tables need pyarrow, which is not installed: pip install 'lvs[archive]'") from error
    return pyarrow


def frames_schema(cells: int = 196) -> Any:
    """One row for each analysed picture."""
    pa = import_pyarrow()
    box = pa.struct([(name, pa.int32()) for name in ("x0", "y0", "x1", "y1")])
    return pa.schema(
        [
            ("file_id", pa.string()),
            ("t_s", pa.float64()),  # place on the grid of --every
            ("picture_s", pa.float64()),  # stamp of the picture on screen then
            ("similarity", pa.list_(pa.float16(), cells)),  # rows from top to bottom, each from left to right
            ("similarity_max", pa.float32()),
            ("peak_x_px", pa.int32()),
            ("peak_y_px", pa.int32()),
            ("width_px", pa.int32()),
            ("height_px", pa.int32()),
            ("boxes", pa.list_(box)),  # x1, y1 exclusive
            ("audible", pa.bool_()),
            ("level_dbfs", pa.float32()),
            ("confidence", pa.float32()),
            ("skew_s", pa.float32()),  # end of the audio window minus t_s
            ("bundle_sha256", pa.string()),
            ("lvs_version", pa.string()),
        ]
    )


def files_schema() -> Any:
    """One row for each recording."""
    pa = import_pyarrow()
    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "str | None": pa.string()}
    kinds["float | None"] = pa.float64()
    return pa.schema([(f.name, kinds[str(f.type)]) for f in fields(FileResult) if f.name not in _NOT_STORED])


def part_name(key: str, index: int) -> str:
    """Where a segment's rows lie in the output folder."""
    return f"frames/{key[:2]}/{key}-{index:05d}.parquet"


def row_name(key: str, path: str) -> str:
    """Where a recording's row lies: by content and path, since copies of one recording are rows of their own."""
    where = hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
    return f"files/{key[:2] or '00'}/{key or 'unread'}-{where}.parquet"


def frames_table(columns: dict[str, Any], maps: np.ndarray[Any, Any]) -> pa.Table:
    """Rows from plain columns and the maps (rows, cells) float16."""
    pa = import_pyarrow()
    schema = frames_schema(maps.shape[1])
    flat = pa.array(np.ascontiguousarray(maps, np.float16).reshape(-1), pa.float16())
    similarity = pa.FixedSizeListArray.from_arrays(flat, maps.shape[1])
    arrays = [
        similarity if field.name == "similarity" else pa.array(columns[field.name], field.type) for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def as_bytes(table: pa.Table, note: dict[str, Any] | None = None) -> bytes:
    """A Parquet file; `note` is kept in its footer."""
    pa = import_pyarrow()
    if note is not None:
        table = table.replace_schema_metadata({_META: json.dumps(note).encode()})
    sink = io.BytesIO()
    # Half-precision cosines hardly repeat: a dictionary of them would only cost.
    repeated = ["file_id", "bundle_sha256", "lvs_version", "width_px", "height_px"]
    named = [name for name in repeated if name in table.column_names] if "similarity" in table.column_names else True
    pa.parquet.write_table(table, sink, compression="zstd", use_dictionary=named)
    return sink.getvalue()


def read(data: bytes) -> pa.Table:
    """The rows of a Parquet file."""
    pa = import_pyarrow()
    return pa.parquet.read_table(pa.BufferReader(data)).replace_schema_metadata(None)


def read_note(data: bytes) -> dict[str, Any] | None:
    """The footer's note; None when the file is no part of ours, or damaged."""
    pa = import_pyarrow()
    try:
        metadata = pa.parquet.read_schema(pa.BufferReader(data)).metadata or {}
        note = json.loads(metadata[_META])
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def part_note(summary: PartSummary, settings_hash: str) -> dict[str, Any]:
    """What a part says of itself."""
    return {"settings_hash": settings_hash, **asdict(summary)}


def summary_of(note: dict[str, Any]) -> PartSummary:
    """The other way round."""
    return PartSummary(**{f.name: note[f.name] for f in fields(PartSummary)})


def file_row(result: FileResult) -> pa.Table:
    """A recording's row."""
    pa = import_pyarrow()
    schema = files_schema()
    values = {name: [getattr(result, name)] for name in schema.names}
    values["path"] = [printable(result.path)]
    return pa.table(values, schema=schema)


def file_result(data: bytes, **more: Any) -> FileResult | None:
    """A recording's row as a result; None when the file is damaged."""
    pa = import_pyarrow()
    try:
        (row,) = read(data).to_pylist()
        return FileResult(**row, **more)
    except (pa.ArrowException, OSError, ValueError, TypeError):
        return None


def printable(path: str) -> str:
    """A file name as valid text: bytes that are not UTF-8 are shown as \\xNN."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows in order."""
    pa = import_pyarrow()
    return pa.concat_tables(tables) if tables else frames_schema().empty_table()
