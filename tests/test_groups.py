"""Rows that are equal in several columns, and byte strings that are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checked import checked

from nlmdissect import groups, loops

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


@settings(deadline=None)
@given(ROWS)
def test_also_as_machine_code(rows: list[tuple[int, int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "ready", checked(loops.number_keys))
        patch.setattr(groups, "FEW", -1)
        assert by_column(rows) == by_hand(rows)


def test_also_where_too_many_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [7, 2**63, 7, *range(200)]
    slots, first, which = [0] * 1024, [0] * len(numbers), [0] * len(numbers)
    monkeypatch.setattr(loops, "PROBES", 0)
    monkeypatch.setattr(loops, "ready", {loops.number_keys: loops.number_keys})
    assert loops.number_keys(numbers, slots, 1, first, which) == -1
    rows = [(0, number, True) for number in numbers]
    assert by_column(rows) == by_hand(rows)


def test_also_where_different_rows_are_mixed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "mixed", lambda *columns: np.zeros(len(columns[0]), np.uint64))
    rows = [(1, 2, True), (1, 3, True), (1, 2, True), (-1, 2**64 - 1, False)]
    assert by_column(rows) == by_hand(rows)


@given(st.lists(st.binary(max_size=13) | st.sampled_from((b"", b"abcd", b"abcd\0", b"abce")), max_size=20), st.integers(0, 3))
def test_digests_are_equal_where_strings_are(strings: list[bytes], before: int) -> None:
    buf = np.frombuffer(bytes(before) + b"".join(strings), np.uint8)
    end = np.cumsum([before, *map(len, strings)], dtype=np.int64)
    found = groups.digests(buf, end[:-1], end[1:]).tolist()
    assert [[a == b for a in found] for b in found] == [[a == b for a in strings] for b in strings]


def test_what_differs_in_two_last_bytes_has_another_digest() -> None:
    """The end of a number is what most numbers differ in: no factor may lose it."""
    strings = [bytes((0, 0, 0, a, 0, 0, 0, b)) for a in range(256) for b in range(256)]
    end = np.arange(0, 8 * len(strings) + 1, 8)
    found = groups.digests(np.frombuffer(b"".join(strings), np.uint8), end[:-1], end[1:])
    assert len(np.unique(found)) == len(strings)
