"""Where the elements of linked lists begin, so that all of them can be read by column at once.

``columns`` passes over a list as a whole, and a list that is cut short is nothing to it. Here each list is walked once
by the sizes of its fields alone, and what is there of a cut one is found too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

Ints = NDArray[np.int64]
Bytes = bytes | memoryview
Part = int | tuple[int, int] | dict[int, "Parts"] | List
Parts = tuple[Part, ...]
"""A layout: so many bytes | a count word and so many bytes each, at most so often | arms by discriminant | a list."""

OTHERS = 1 << 32  # the arm of a union for all discriminants that have none of their own


def elements(t: List, buf: NDArray[np.uint8], at: Ints, end: Ints) -> tuple[Ints, Ints]:
    """(which list, where it begins) for every element of the lists at ``at``; each list ends before its ``end``.

    Shapes:  buf is uint8[B]; at and end are integers[N]; the result has one element for each element of a list, in
             order. The last one of a list that is cut short may not be all there.
    Never raises on any bytes.
    """
    data, parts = buf.data, _layout(t.element)
    of: list[int] = []
    starts: list[int] = []
    for number, (start, stop) in enumerate(zip(at.tolist(), end.tolist(), strict=True)):
        place = start
        while 0 <= place <= stop - 4 and _word(data, place):
            of.append(number)
            starts.append(place + 4)
            place = _after(parts, data, place + 4, stop)
    return np.array(of, np.int64), np.array(starts, np.int64)


def _after(parts: Parts, data: Bytes, at: int, end: int) -> int:
    """The position after a value; -1 if it is not all there."""
    for part in parts:
        match part:
            case int():
                at += part
            case (size, most):
                if at > end - 4:
                    return -1
                count = _word(data, at)
                if count > most:
                    return -1
                at += 4 + (count * size + 3 & ~3)
            case dict():
                if at > end - 4:
                    return -1
                at = _after(part.get(_word(data, at), part[OTHERS]), data, at + 4, end)
            case List(element=element):
                inner = _layout(element)
                while 0 <= at <= end - 4 and _word(data, at):
                    at = _after(inner, data, at + 4, end)
                at = -1 if at < 0 else at + 4
        if at < 0 or at > end:
            return -1
    return at


def _word(data: Bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _layout(t: Xdr) -> Parts:
    """The layout of a type; fields of fixed size that follow each other are one part."""
    joined: list[Part] = []
    for part in _parts(t):
        last = joined[-1] if joined else None
        if isinstance(part, int) and isinstance(last, int):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)


def _parts(t: Xdr) -> list[Part]:
    match t:
        case Number(dtype=dtype):
            return [np.dtype(dtype).itemsize]
        case Enum():
            return [4]
        case Opaque(max=limit) | String(max=limit):
            return [(1, limit)]
        case FixedOpaque(size=size):
            return [size + 3 & ~3]
        case Array(element=element, max=limit):
            return [(np.dtype(element.dtype).itemsize, limit)]
        case List():
            return [t]
        case Struct(fields=fields):
            return [part for field in fields.values() for part in _parts(field)]
        case Union(on=on, arms=arms, default=default):
            by_tag = {on.members[member] & 0xFFFFFFFF: _layout(arm) for member, arm in arms.items()}
            return [{**by_tag, OTHERS: _layout(default)}]
