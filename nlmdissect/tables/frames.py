"""The door to pandas: every public table, as declared in ``columns.py``. An empty recording has the same columns and
types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from nlmdissect.analysis import Analysis
from nlmdissect.history.moment import Moment
from nlmdissect.tables import moment, wide
from nlmdissect.tables.column import Column
from nlmdissect.tables.columns import TABLES
from nlmdissect.tables.moment_columns import MOMENT
from nlmdissect.tables.rows import SMALL

NOT_A_TIME = np.iinfo(np.int64).min


def build(name: str, analysis: Analysis) -> pd.DataFrame:
    """One table. Raises KeyError for a name that no table has."""
    columns = TABLES[name]
    match name:
        case "calls":
            data = wide.calls(analysis.history)
        case "messages":
            data = wide.messages(analysis.history)
        case _:
            data = _turned(list(SMALL[name](analysis)), columns)
    return frame_of(data, columns)


def build_at(name: str, found: Moment) -> pd.DataFrame:
    """One table of a moment. Raises KeyError for a name that no table has."""
    columns = MOMENT[name]
    return frame_of(_turned(list(moment.TABLES[name](found)), columns), columns)


def _turned(rows: list[tuple[Any, ...]], columns: tuple[Column, ...]) -> dict[str, Any]:
    return {column.name: [row[place] for row in rows] for place, column in enumerate(columns)}


def frame_of(data: dict[str, Any], columns: tuple[Column, ...]) -> pd.DataFrame:
    """A table of these columns from their values, one array or list a column."""
    return pd.DataFrame({column.name: _series(data[column.name], column.dtype) for column in columns})


def nullable(kind: str) -> Any:
    """The type of a column that may have gaps, by its name in Arrow; None where pandas has one of its own."""
    return {"int64": pd.Int64Dtype(), "bool": pd.BooleanDtype(), "string": pd.StringDtype()}.get(kind)


def _series(values: Any, dtype: str) -> pd.Series[Any]:
    match dtype:
        case "time":
            times: pd.Series[Any] = pd.Series(_times(values)).dt.tz_localize("UTC")
            return times
        case "seconds":
            return pd.Series(np.array(values, np.float64))
        case "category":
            return pd.Series(_categories(values))
        case _:
            return pd.Series(values, dtype=dtype)


def _times(values: Any) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    if not isinstance(values, np.ndarray):
        values = np.array([NOT_A_TIME if value is None else value for value in values], np.int64)
    return values.astype("datetime64[ns]")  # type: ignore[no-any-return]


def _categories(values: wide.Coded | Iterable[str | None]) -> pd.Categorical:
    if not isinstance(values, wide.Coded):
        words: dict[str, int] = {}
        codes = [-1 if value is None else words.setdefault(value, len(words)) for value in values]
        values = wide.Coded(np.array(codes, np.int64), list(words))
    used = np.unique(values.codes[values.codes >= 0])  # words that no row has are no categories
    place = np.full(len(values.words) + 1, -1, np.int64)
    place[used] = np.arange(len(used))
    categories = pd.Index([values.words[word] for word in used.tolist()], dtype=object)
    return pd.Categorical.from_codes(place[values.codes], categories=categories)
