"""The door to pyarrow: the tables of a recording as a folder of Parquet files, one a table, and back.

Text that repeats is a dictionary of strings, times are nanoseconds in UTC, and what is missing is null, so that any
program that knows Parquet reads them. ``nlmdissect.json`` says what the folder is; it is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from nlmdissect.errors import UsageError
from nlmdissect.tables.column import Column
from nlmdissect.tables.columns import TABLES
from nlmdissect.tables.frames import NOT_A_TIME, frame_of
from nlmdissect.tables.wide import Coded

SCHEMA, VERSION = "nlmdissect.tables", 1
ABOUT = "nlmdissect.json"


def write(folder: str | Path, frames: Mapping[str, pd.DataFrame], about: dict[str, Any]) -> None:
    """Write the tables, over those that the folder may have. Raises UsageError for a place that cannot be written."""
    pa, pq = _pyarrow()
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)
        for name, frame in frames.items():
            columns = {column.name: _array(pa, frame[column.name], column.dtype) for column in TABLES[name]}
            pq.write_table(pa.table(columns), folder / f"{name}.parquet")
        rows = {name: len(frame) for name, frame in frames.items()}
        document = {"schema": f"{SCHEMA}/{VERSION}", **about, "rows": rows}
        (folder / ABOUT).write_text(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror or error}", "Name another folder.") from error


def read(folder: str | Path) -> dict[str, pd.DataFrame]:
    """The tables by name, with the columns and types that they were written with.

    Raises UsageError for a folder without tables, with those of a newer version, or with a table that is not whole.
    """
    _check(Path(folder))
    pa, pq = _pyarrow()
    return {name: _table(pa, pq, Path(folder) / f"{name}.parquet", columns) for name, columns in TABLES.items()}


def _check(folder: Path) -> None:
    """Whether the folder is one that ``write`` has finished."""
    advice = "Name a folder that Capture.to_parquet wrote."
    try:
        said = json.loads((folder / ABOUT).read_text())
        schema, _, version = said["schema"].partition("/")
        number = int(version)
    except OSError as error:
        raise UsageError(f"{folder} has no tables: {ABOUT} is not there", advice) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder} has no tables: {ABOUT} is not ours", advice) from error
    if schema != SCHEMA:
        raise UsageError(f"{folder} has no tables: {ABOUT} is not ours", advice)
    if number > VERSION:
        by = said.get("version", "of a later version")
        raise UsageError(f"the tables in {folder} were written by a newer nlmdissect ({by})", "Upgrade this one.")


def _table(pa: ModuleType, pq: ModuleType, path: Path, columns: tuple[Column, ...]) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{path} is missing or broken", "Write the tables again.") from error
    if [(field.name, field.type) for field in table.schema] != [(c.name, _type(pa, c.dtype)) for c in columns]:
        raise UsageError(f"{path} has other columns than this version writes", "Write the tables again.")
    return frame_of({column.name: _values(pa, table[column.name], column.dtype) for column in columns}, columns)


def _type(pa: ModuleType, dtype: str) -> Any:
    match dtype:
        case "time":
            return pa.timestamp("ns", "UTC")
        case "seconds":
            return pa.float64()
        case "category":
            return pa.dictionary(pa.int32(), pa.string())
        case "string":
            return pa.string()
        case "bool" | "boolean":
            return pa.bool_()
        case _:
            return pa.uint64() if dtype == "UInt64" else pa.int64()


def _array(pa: ModuleType, values: pd.Series[Any], dtype: str) -> Any:
    if dtype == "category":
        codes = values.cat.codes.to_numpy(np.int32)
        words = pa.array(list(values.cat.categories), pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words)
    return pa.array(values.to_numpy() if dtype == "seconds" else values, _type(pa, dtype))


def _values(pa: ModuleType, column: Any, dtype: str) -> Any:
    """What ``frame_of`` makes a column from."""
    match dtype:
        case "time":
            return column.cast(pa.int64()).fill_null(NOT_A_TIME).to_numpy()
        case "seconds":
            return column.to_numpy()
        case "category":
            whole = column.unify_dictionaries().combine_chunks()
            return Coded(whole.indices.fill_null(-1).to_numpy().astype(np.int64), whole.dictionary.to_pylist())
        case "Int64" | "UInt64":
            numbers = column.fill_null(0).to_numpy().astype(dtype.lower())
            return pd.arrays.IntegerArray(numbers, column.is_null().to_numpy())
        case _:
            return column.to_pylist()


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow, which is not here", "pip install 'nlmdissect[parquet]'") from error
    return pyarrow, pyarrow.parquet
