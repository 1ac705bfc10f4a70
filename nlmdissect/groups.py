"""Rows that are equal in several columns, without a loop over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ODD = 0x9E3779B97F4A7C15


def mixed(*columns: NDArray[Any]) -> NDArray[np.uint64]:
    """One number for each row, equal where all columns are; where they are not it is hardly ever."""
    total = np.zeros(len(columns[0]), np.uint64)
    for number, column in enumerate(columns):
        total = (total ^ column.astype(np.uint64, copy=False)) * np.uint64(ODD + 2 * number)
        total ^= total >> np.uint64(29)
    return total


def groups(*columns: NDArray[Any]) -> tuple[Ints, Ints]:
    """The first row of each group of equal rows, in order, and for each row the number of its group.

    Shapes:  columns are integers[N], of any width; the results int64[G] and int64[N].
    """
    first, which = _runs(mixed(*columns))
    if any((column != column[first][which]).any() for column in columns):  # one number for two: compare them all
        table = np.stack([column.astype(np.uint64) for column in columns], axis=1)
        _, first, which = np.unique(table, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return first[order], place[which.reshape(-1)]


def _runs(numbers: NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """Where each distinct number stands first, and for each which of them it is. (``np.unique`` sorts slower.)"""
    order = np.argsort(numbers)
    ordered = numbers[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    which = np.empty(len(order), np.int64)
    which[order] = np.cumsum(new) - 1
    return np.minimum.reduceat(order, new.nonzero()[0]) if len(order) else order, which
