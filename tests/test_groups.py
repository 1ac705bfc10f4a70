"""Rows that are equal in several columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlmdissect import groups

ROWS = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2**64 - 1) | st.integers(0, 2), st.booleans()), max_size=20)


def by_hand(rows: list[tuple[int, int, bool]]) -> tuple[list[int], list[int]]:
    first: dict[tuple[int, int, bool], int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row, number)
    numbers = {row: number for number, row in enumerate(first)}
    return list(first.values()), [numbers[row] for row in rows]


def by_column(rows: list[tuple[int, int, bool]]) -> tuple[list[int], list[int]]:
    columns = (np.array([row[n] for row in rows], kind) for n, kind in enumerate((np.int64, np.uint64, np.bool_)))
    first, which = groups.groups(*columns)
    return first.tolist(), which.tolist()


@given(ROWS)
def test_groups_are_those_of_a_dictionary(rows: list[tuple[int, int, bool]]) -> None:
    assert by_column(rows) == by_hand(rows)


def test_also_where_different_rows_are_mixed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "mixed", lambda *columns: np.zeros(len(columns[0]), np.uint64))
    rows = [(1, 2, True), (1, 3, True), (1, 2, True), (-1, 2**64 - 1, False)]
    assert by_column(rows) == by_hand(rows)
