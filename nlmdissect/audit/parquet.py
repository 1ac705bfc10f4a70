"""The door to pyarrow: tables of the dataset as bytes of Parquet, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nlmdissect.audit.columns import TABLES
from nlmdissect.audit.rows import Row, Rows
from nlmdissect.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

INSTALL = "pip install 'nlmdissect[audit]'"
MAGIC = b"PAR1"  # how a Parquet file ends that was written to its end


def encode(found: Rows) -> dict[str, bytes]:
    """Each table as the bytes of one file."""
    return {name: _encode(name, rows) for name, rows in found.items()}


def _encode(name: str, rows: Sequence[Row]) -> bytes:
    pa, pq = arrow()
    columns = TABLES[name]
    arrays = [
        pa.array([_plain(row[place], column.dtype) for row in rows], _type(column.dtype))
        for place, column in enumerate(columns)
    ]
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, names=[column.name for column in columns]), out, compression="zstd")
    return bytes(out.getvalue())


def rows(name: str, files: Sequence[tuple[str, str, str]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of one table from (run, recording, path of its file), with ``recording`` in each. Raises UsageError."""
    found: list[dict[str, Any]] = []
    for _, recording, path in files:
        found += [{"recording": recording, **row} for row in _read(path, columns).to_pylist()]
    return found


def frame(name: str, files: Sequence[tuple[str, str, str]]) -> pd.DataFrame:
    """One table of several recordings, with the columns ``run`` and ``recording`` first. Raises UsageError."""
    pa, _ = arrow()
    schema = _schema(name)
    parts = []
    for run, recording, path in files:
        part = _read(path, schema.names)
        names = [pa.array([text] * len(part), pa.string()) for text in (run, recording)]
        parts.append(pa.table([*names, *part.columns], names=["run", "recording", *schema.names]))
    empty = pa.schema([("run", pa.string()), ("recording", pa.string()), *schema]).empty_table()
    found: pd.DataFrame = pa.concat_tables([empty, *parts]).to_pandas(
        types_mapper=_pandas_type, date_as_object=False, coerce_temporal_nanoseconds=False
    )
    return found


def _read(path: str, columns: Sequence[str]) -> Any:
    pa, pq = arrow()
    try:
        return pq.ParquetFile(path).read(columns=list(columns))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UsageError(f"{path} is missing or broken: {error}", "Remove its folder and audit again.") from error


@cache
def _schema(name: str) -> Any:
    pa, _ = arrow()
    return pa.schema([(column.name, _type(column.dtype)) for column in TABLES[name]])


@cache
def _type(dtype: str) -> Any:
    pa, _ = arrow()
    match dtype:
        case "time":
            return pa.timestamp("us", "UTC")
        case "bool" | "boolean":
            return pa.bool_()
        case "int64" | "Int64":
            return pa.int64()
        case "evidence":
            parts = [("capture", pa.int64()), ("frame", pa.int64()), ("time", _type("time")), ("what", pa.string())]
            return pa.list_(pa.struct(parts))
        case _:
            return pa.string()


def _plain(value: Any, dtype: str) -> Any:
    match value:
        case None:
            return None
        case str():  # names of files may be no Unicode
            return value.encode("utf-8", "backslashreplace").decode()
        case list():
            parts = ("capture", "frame", "time", "what")
            return [dict(zip(parts, (c, f, t // 1000, _plain(w, "")), strict=True)) for c, f, t, w in value]
        case _:
            return value // 1000 if dtype == "time" else value


def _pandas_type(kind: Any) -> Any:
    """Whole numbers and yes-or-no may be missing; the rest is what pandas takes it for."""
    from nlmdissect.tables import nullable

    return nullable(str(kind))


def arrow() -> tuple[ModuleType, ModuleType]:
    """pyarrow, and its Parquet. Raises UsageError with the line that installs it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("an audit needs pyarrow, which is not here", INSTALL) from error
    return pyarrow, pyarrow.parquet
