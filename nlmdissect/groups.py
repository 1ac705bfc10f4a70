"""Rows that are equal in several columns, and byte strings that are equal, without a loop over rows."""

from __future__ import annotations

import os
from hashlib import shake_256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect import loops

Ints = NDArray[np.int64]

ODD = 0x9E3779B97F4A7C15
SECRET = os.urandom(16)
SECRET_ODD = int.from_bytes(SECRET[:4]) >> 1 | 1
FEW = 64
"""Rows that numpy groups before anything else is made ready."""
_row = np.zeros(0, np.uint64)


def mixed(*columns: NDArray[Any]) -> NDArray[np.uint64]:
    """One number for each row, equal where all columns are; where they are not it is hardly ever."""
    total = np.zeros(len(columns[0]), np.uint64)
    part = np.empty_like(total)
    for number, column in enumerate(columns):
        total ^= column.view(np.uint64) if column.dtype == np.int64 else column.astype(np.uint64, copy=False)
        total *= np.uint64(ODD + 2 * number)
        total ^= np.right_shift(total, np.uint64(29), part)
    return total


def groups(*columns: NDArray[Any]) -> tuple[Ints, Ints]:
    """The first row of each group of equal rows, in order, and for each row the number of its group.

    Shapes:  columns are integers[N], of any width; the results int64[G] and int64[N].
    """
    if len(columns) == 1:
        return _numbered(columns[0])
    first, which = _numbered(mixed(*columns))
    same = first[which]
    if not any((column != column[same]).any() for column in columns):
        return first, which
    table = np.stack([column.astype(np.uint64) for column in columns], axis=1)  # there was one number for two
    _, first, which = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return _as_they_appear(first, which.reshape(-1))


def digests(buf: NDArray[np.uint8], at: Ints, end: Ints) -> NDArray[np.uint64]:
    """One number for each byte string ``buf[at:end]``, equal where they are; else with a chance of 2**-32, whoever
    chose the bytes: the sum of its words, each with a factor that nobody knows.
    """
    found = np.zeros(len(at), np.uint64)
    order = np.argsort(end - at, kind="stable")
    lengths, begin = np.unique((end - at)[order], return_index=True)
    stop = [*begin[1:].tolist(), len(order)]
    for length, a, b in zip(lengths.tolist(), begin.tolist(), stop[: len(begin)], strict=True):
        if length > 0:
            of = order[a:b]
            view: NDArray[np.void] = np.ndarray((len(buf) - length + 1,), f"V{length}", buf, strides=(1,))
            words = view[at[of]].view(np.uint8).reshape(-1, length)
            if length % 4:
                words = np.pad(words, ((0, 0), (0, -length % 4)))
            found[of] = np.einsum("ij,j->i", words.view("<u4"), _factors(words.shape[1] // 4)) + np.uint64(length)
    return found


def _factors(count: int) -> NDArray[np.uint64]:
    """The first ones of a row that has no end; as many as were needed are kept."""
    global _row
    if len(_row) < count:
        _row = np.frombuffer(shake_256(SECRET).digest(16 * count), np.uint64) | np.uint64(1)
    return _row[:count]


def in_order(column: NDArray[Any]) -> Ints | slice:
    """What puts rows in the order of a column, as ``column[...]`` takes it; equal ones stay as they are, and so do all
    where nothing is to be done.
    """
    if (column[1:] >= column[:-1]).all():
        return slice(None)
    return np.argsort(column, kind="stable")


def _numbered(keys: NDArray[Any]) -> tuple[Ints, Ints]:
    """``groups`` of one column."""
    if loops.number_keys in loops.ready and len(keys) > FEW:
        first, which = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
        slots = np.zeros(2 << (2 * len(keys) - 1).bit_length(), np.int64)
        column = np.ascontiguousarray(keys).astype(np.int64, copy=False)
        count = loops.ready[loops.number_keys](column, slots, SECRET_ODD, first, which)
        if count >= 0:
            return first[:count], which
    order = np.argsort(keys)  # np.unique sorts slower
    ordered = keys[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = ordered[1:] != ordered[:-1]
    which = np.empty(len(order), np.int64)
    which[order] = np.cumsum(new) - 1
    return _as_they_appear(np.minimum.reduceat(order, new.nonzero()[0]) if len(order) else order, which)


def _as_they_appear(first: Ints, which: Ints) -> tuple[Ints, Ints]:
    """Groups in any order, in that of their first rows."""
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return first[order], place[which]
