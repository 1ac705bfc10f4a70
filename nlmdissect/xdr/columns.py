"""The columnar reader: one numpy operation per *field*, never a loop per message.

Theory of operation. A ``_Cursor`` holds the messages that are still being read: their row numbers, and for each the
position and the end. Reading a field gathers it for all of them at once and moves all positions. A message that runs
out of bytes *leaves* the cursor: the position and the reason are written to its row, and what was read before stays. So
no later field needs to know about failures, and in a healthy file nothing is ever masked. The arm of a union is read
with a cursor over the rows that selected it, whose survivors come back to the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect import loops
from nlmdissect.xdr import codec
from nlmdissect.xdr.schema import Array, Enum, FixedOpaque, List, Number, Opaque, String, Struct, Union, Xdr

OK, TRUNCATED, OVERSIZE = 0, 1, 2
REASONS = ("", codec.TRUNCATED, codec.OVERSIZE)  # by number in ``Columns.bad``

SIGNS = {">u4": 0, ">i4": 1 << 31}

# With so few lists left to walk, one numpy operation per element costs more than the codec does for the whole rest.
_FEW_LISTS = 8

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Columns:
    """One XDR type read at N places of a buffer.

    ``fields``  leaf path -> column of N; 0 where the leaf was not read. Numbers are int64, unsigned hypers uint64.
                ``p.at`` and ``p.len`` for opaques and strings: offset in the buffer, length without padding.
                ``p.count``, ``p.at`` and ``p.len`` for arrays and lists: elements, offset and length in bytes of all
                that lies behind an array's count word, or of a whole list; read the elements with the codec.
                A union has its discriminant under its own path and the leaves of its arms below it.
    ``bad``     uint8[N]: OK, TRUNCATED, OVERSIZE.
    ``at``      int64[N]: the position after the value, or where it failed (as ``XdrError.at``).
    """

    fields: dict[str, NDArray[Any]]
    bad: NDArray[np.uint8]
    at: Ints
    _rows: dict[str, list[Ints]] = field(default_factory=dict, repr=False)

    def read(self, path: str) -> NDArray[np.bool_]:
        """Where was this leaf (``alock.fh``, ``stat``, ``stat.svid``) read: before any failure, in the selected arm?"""
        mask = np.zeros(len(self.at), np.bool_)
        for rows in self._rows[path]:
            mask[rows] = True
        return mask


def decode_columns(t: Struct, buf: NDArray[np.uint8], at: NDArray[Any], end: NDArray[Any]) -> Columns:
    """Read ``t`` at every ``at``, each up to its ``end``.

    Shapes:  buf is uint8[B], contiguous; at and end are integers[N] with 0 <= at and end <= B; at > end is truncated.
    Never raises on any bytes. Raises ValueError for positions outside of ``buf``.
    """
    buf = np.ascontiguousarray(buf, np.uint8)
    start, stop = np.array(at, np.int64), np.array(end, np.int64)
    if len(start) and (start.min() < 0 or stop.max() > len(buf)):
        raise ValueError(f"positions outside of the buffer of {len(buf)} bytes")
    out = Columns({}, np.zeros(len(start), np.uint8), start.copy())
    cursor = _Cursor(_Source(buf, stop, out), np.arange(len(start), dtype=np.int64), start, stop)
    _read(t, cursor, "", keep=True)
    cursor.leave()
    return out


@dataclass(slots=True)
class _Source:
    """What all cursors of one reading share."""

    buf: NDArray[np.uint8]
    end: Ints
    out: Columns
    views: dict[str, NDArray[Any]] = field(default_factory=dict)

    def read(self, dtype: str, at: Ints) -> NDArray[Any]:
        """The numbers at any positions, aligned or not, of which all bytes are there."""
        if dtype in SIGNS and loops.read_words in loops.ready:
            words = np.empty(len(at), np.int64)
            loops.ready[loops.read_words](self.buf, at, SIGNS[dtype], words)
            return words
        if dtype not in self.views:  # the buffer seen as one overlapping number per byte
            count = len(self.buf) - np.dtype(dtype).itemsize + 1
            empty = np.zeros(0, dtype)
            self.views[dtype] = np.ndarray((count,), dtype, self.buf, strides=(1,)) if count > 0 else empty
        return self.views[dtype][at].astype(np.uint64 if dtype == ">u8" else np.int64)


@dataclass(slots=True)
class _Cursor:
    """The messages still being read. Its arrays are replaced, never changed: ``Columns._rows`` keeps them."""

    source: _Source
    rows: Ints  # ascending
    at: Ints
    end: Ints
    room: int = 0  # that many bytes are left in each, or more

    def lacks(self, size: int) -> bool:
        """Whether some message may have fewer bytes left than that. One look is enough for many fields."""
        if self.room < size:
            self.room = int((self.end - self.at).min(initial=1 << 40))
        self.room -= size
        return self.room < 0

    def fail(self, where: NDArray[np.bool_], reason: int, *along: Ints) -> list[Ints]:
        """Let the messages ``where`` leave with a reason; return ``along`` without their elements."""
        if not where.any():
            return list(along)
        out, rows, stay = self.source.out, self.rows[where], ~where
        out.bad[rows], out.at[rows] = reason, self.at[where]
        self.rows, self.at, self.end = self.rows[stay], self.at[stay], self.end[stay]
        return [column[stay] for column in along]

    def leave(self) -> None:
        """Write the position down; a failed message has done so before."""
        self.source.out.at[self.rows] = self.at

    def come_back(self) -> None:
        """Go on with those that other cursors over some of these rows have not let fail."""
        out = self.source.out
        self.rows = self.rows[out.bad[self.rows] == OK]
        self.at, self.end, self.room = out.at[self.rows], self.source.end[self.rows], 0

    def only(self, mask: NDArray[np.bool_]) -> _Cursor:
        return _Cursor(self.source, self.rows[mask], self.at[mask], self.end[mask])

    def number(self, dtype: str) -> NDArray[Any]:
        size = np.dtype(dtype).itemsize
        if self.lacks(size):
            self.fail(self.end - self.at < size, TRUNCATED)
            self.room = 0
        values = self.source.read(dtype, self.at)
        self.at = self.at + size
        return values

    def count(self, limit: int) -> Ints:
        """A length word that is in its limit."""
        counts: Ints = self.number(">u4")
        over = counts > limit
        if over.any():
            self.at = self.at - 4  # the error is the length word's
            (counts,) = self.fail(over, OVERSIZE, counts)
            self.at = self.at + 4
        return counts

    def skip(self, size: Ints, *along: Ints) -> list[Ints]:
        """Pass over so many bytes; return where they began, and ``along``, without the messages that lack them."""
        kept = self.fail(self.end - self.at < size, TRUNCATED, size, *along)
        start = self.at
        self.at, self.room = start + kept[0], 0
        return [start, *kept[1:]]

    def keep(self, path: str, values: NDArray[Any]) -> None:
        """Make ``values``, one for each message here, (a part of) the column ``path``."""
        fields, total = self.source.out.fields, len(self.source.out.at)
        if len(values) == total and path not in fields:
            fields[path] = values
            return
        # Two arms of a union may hold a leaf of the same name: each fills its own rows.
        column = fields.setdefault(path, np.zeros(total, values.dtype))
        column[self.rows] = values

    def mark(self, path: str) -> None:
        self.source.out._rows.setdefault(path, []).append(self.rows)


def _read(t: Xdr, cursor: _Cursor, path: str, keep: bool) -> None:
    match t:
        case Number(dtype=dtype):
            _keep(cursor, path, keep, {"": cursor.number(dtype)})
        case Enum():
            _keep(cursor, path, keep, {"": cursor.number(">i4")})
        case Opaque(max=limit) | String(max=limit):
            size = cursor.count(limit)
            start, size = cursor.skip((size + 3) & ~3, size)
            _keep(cursor, path, keep, {".at": start, ".len": size})
        case FixedOpaque(size=fixed):
            (start,) = cursor.skip(np.full(len(cursor.at), fixed + -fixed % 4, np.int64))
            _keep(cursor, path, keep, {".at": start, ".len": np.full(len(start), fixed, np.int64)})
        case Array(element=element, max=limit):
            count = cursor.count(limit)
            size = count * np.dtype(element.dtype).itemsize
            start, count, size = cursor.skip(size, count, size)
            _keep(cursor, path, keep, {".count": count, ".at": start, ".len": size})
        case List():
            _read_list(t, cursor, path, keep)
        case Struct(fields=fields):
            for name, part in fields.items():
                _read(part, cursor, f"{path}.{name}" if path else name, keep)
        case Union():
            _read_union(t, cursor, path, keep)


def _keep(cursor: _Cursor, path: str, keep: bool, columns: dict[str, NDArray[Any]]) -> None:
    if keep:
        for suffix, values in columns.items():
            cursor.keep(path + suffix, values)
        cursor.mark(path)


def _read_union(t: Union, cursor: _Cursor, path: str, keep: bool) -> None:
    tag = cursor.number(">i4")
    _keep(cursor, path, keep, {"": tag})
    rest = np.ones(len(tag), np.bool_)
    for member, arm in t.arms.items():
        chosen = tag == t.on.members[member]
        rest &= ~chosen
        _read_arm(arm, cursor.only(chosen), path, keep)
    _read_arm(t.default, cursor.only(rest), path, keep)
    cursor.come_back()


def _read_arm(arm: Struct, cursor: _Cursor, path: str, keep: bool) -> None:
    _read(arm, cursor, path, keep)
    cursor.leave()


def _read_list(t: List, cursor: _Cursor, path: str, keep: bool) -> None:
    """The first element of all lists, then the second of those that have one, ...

    Each round costs only the lists that are still going on; the last few go on in the codec. So the time grows with the
    bytes, whatever a hostile server sends: one endless list, or many of one element.
    """
    out = cursor.source.out
    first, count = np.zeros(len(out.at), np.int64), np.zeros(len(out.at), np.int64)
    first[cursor.rows] = cursor.at
    going = cursor.only(np.ones(len(cursor.rows), np.bool_))
    while len(going.rows) > _FEW_LISTS:
        more = going.number(">u4") != 0
        going.only(~more).leave()
        going = going.only(more)
        count[going.rows] += 1
        _read(t.element, going, "", keep=False)
    data = cursor.source.buf.data
    for row, at, end in zip(going.rows, going.at, going.end, strict=True):
        try:
            values, used = codec.decode(t, data[at:end])
            count[row] += len(values)
            out.at[row] = at + used
        except codec.XdrError as error:
            out.at[row] = at + error.at
            out.bad[row] = REASONS.index(error.reason)
    cursor.come_back()
    start = first[cursor.rows]
    _keep(cursor, path, keep, {".count": count[cursor.rows], ".at": start, ".len": cursor.at - start})
