"""The door to pyarrow: tables of the dataset as bytes of Parquet, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from nlmdissect.audit.columns import TABLES
from nlmdissect.audit.rows import Row, Rows
from nlmdissect.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

INSTALL = "pip install 'nlmdissect[audit]'"
EVIDENCE = {"capture": "int64", "frame": "int64", "time": "time", "what": "string"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAGIC = b"PAR1"  # how a Parquet file ends that was written to its end


def encode(found: Rows) -> dict[str, bytes]:
    """Each table as the bytes of one file."""
    return {name: _encode(name, rows) if rows else _empty(name) for name, rows in found.items()}


def _encode(name: str, rows: Sequence[Row]) -> bytes:
    """Tables are small: a dictionary for each column would cost more time than it saves room."""
    pa, pq = arrow()
    columns = TABLES[name]
    values = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [_array(of, column.dtype) for of, column in zip(values, columns, strict=True)]
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, schema=_schema(name)), out, compression="zstd", use_dictionary=False)
    return bytes(out.getvalue())


@cache
def _empty(name: str) -> bytes:
    return _encode(name, ())


def rows(name: str, files: Sequence[tuple[str, str, str]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of one table from (run, recording, path of its file), with ``recording`` in each. Raises UsageError."""
    found: list[dict[str, Any]] = []
    types = {column.name: column.dtype for column in TABLES[name]}
    for _, recording, path in files:
        table = _read(path, columns)
        values = [_values(table[column].combine_chunks(), types[column]) for column in columns]
        found += [{"recording": recording, **dict(zip(columns, row, strict=True))} for row in zip(*values, strict=True)]
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
        return pq.ParquetFile(path).read(columns=list(columns), use_threads=False)  # files are small
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
            return pa.list_(pa.struct([(name, _type(of)) for name, of in EVIDENCE.items()]))
        case _:
            return pa.string()


def _array(values: Sequence[Any], dtype: str) -> Any:
    """A column of plain values and None. It is put together here, for ``pyarrow.array`` would import pandas first, and
    that takes longer than many an audit.
    """
    pa, _ = arrow()
    kind, there = _type(dtype), [value is not None for value in values]
    gaps = None if all(there) else _bits(there)
    match dtype:
        case "evidence":
            rows = [one for of in values for one in of]
            columns = zip(*rows, strict=True) if rows else ([] for _ in EVIDENCE)
            parts = [_array(list(of), dtype) for of, dtype in zip(columns, EVIDENCE.values(), strict=True)]
            inner = pa.Array.from_buffers(kind.value_type, len(rows), [None], children=parts)
            return pa.Array.from_buffers(kind, len(values), [gaps, _ends(values)], children=[inner])
        case "bool" | "boolean":
            data = [_bits(list(map(bool, values)))]
        case "time" | "int64" | "Int64":
            numbers = np.array([0 if value is None else value for value in values], np.int64)
            data = [pa.py_buffer(numbers // 1000 if dtype == "time" else numbers)]
        case _:
            # names of files may be no Unicode
            texts = [b"" if text is None else text.encode("utf-8", "backslashreplace") for text in values]
            data = [_ends(texts), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(kind, len(values), [gaps, *data])


def _values(array: Any, dtype: str) -> list[Any]:
    """What ``_array`` made a column of; moments as datetimes, for which pyarrow would import pandas too."""
    match dtype:
        case "time":
            moments = array.view(arrow()[0].int64()).to_pylist()
            return [None if moment is None else EPOCH + timedelta(microseconds=moment) for moment in moments]
        case "evidence":
            columns = [_values(array.values.field(name), of) for name, of in EVIDENCE.items()]
            rows = [dict(zip(EVIDENCE, row, strict=True)) for row in zip(*columns, strict=True)]
            return [rows[begin:end] for begin, end in pairwise(array.offsets.to_pylist())]
        case _:
            return list(array.to_pylist())


def _bits(flags: Sequence[bool]) -> Any:
    return arrow()[0].py_buffer(np.packbits(np.array(flags, bool), bitorder="little"))


def _ends(parts: Sequence[Any]) -> Any:
    """Where each of some parts begins, and where the last one ends."""
    return arrow()[0].py_buffer(np.cumsum([0, *map(len, parts)], dtype=np.int32))


def _pandas_type(kind: Any) -> Any:
    """Whole numbers and yes-or-no may be missing; the rest is what pandas takes it for."""
    from nlmdissect.tables.frames import nullable

    return nullable(str(kind))


def arrow() -> tuple[ModuleType, ModuleType]:
    """pyarrow, and its Parquet. Raises UsageError with the line that installs it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("an audit needs pyarrow, which is not here", INSTALL) from error
    return pyarrow, pyarrow.parquet
