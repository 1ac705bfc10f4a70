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
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [_array(pa, of, column.dtype) for of, column in zip(values, columns, strict=True)]
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


def _array(pa: ModuleType, values: Sequence[Any], dtype: str) -> Any:
    kind = _type(dtype)
    match dtype:
        case "time":
            return pa.array([None if time is None else time // 1000 for time in values], kind)
        case "evidence":
            return pa.array([[_evidence(*one) for one in of] for of in values], kind)
        case _:
            try:
                return pa.array(values, kind)
            except UnicodeEncodeError:  # names of files may be no Unicode
                return pa.array([None if text is None else _unicode(text) for text in values], kind)


def _evidence(capture: int, frame: int, time: int, what: str) -> dict[str, Any]:
    return {"capture": capture, "frame": frame, "time": time // 1000, "what": _unicode(what)}


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


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
