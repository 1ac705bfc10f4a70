"""The table of calls: one compact row for each RPC call message, with what its answer said.

Everything that varies in length (names, handles, owners, cookies) is kept once in ``Texts`` and stands in the table
as a number, so that a table of a million calls is a few hundred megabytes at most and two handles are equal when
their numbers are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect.findings import At
from nlmdissect.groups import in_order

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

NONE = -1  # "not there", in every signed column

# rpc_status: 0..5 are the accept_stat of RFC 5531; these follow it
RPC_MISMATCH = 6
AUTH_ERROR = 7
RPC_STATUS = (
    "SUCCESS", "PROG_UNAVAIL", "PROG_MISMATCH", "PROC_UNAVAIL", "GARBAGE_ARGS", "SYSTEM_ERR",
    "RPC_MISMATCH", "AUTH_ERROR",
)  # fmt: skip


class Texts:
    """Interned byte strings: equal bytes have equal numbers."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._bytes: list[bytes] = []

    def number(self, text: bytes) -> int:
        return self.numbers([text])[0]

    def numbers(self, texts: Iterable[bytes]) -> list[int]:
        """The numbers of many."""
        known = self._numbers
        found = [known.setdefault(text, len(known)) for text in texts]
        self._bytes += reversed([*islice(reversed(known), len(known) - len(self._bytes))])  # the new ones
        return found

    def __getitem__(self, number: int) -> bytes:
        return self._bytes[number] if number >= 0 else b""

    def __len__(self) -> int:
        return len(self._bytes)

    def lengths(self) -> I64:
        """Of all texts, by number; the last element is that of ``NONE``."""
        return np.fromiter(map(len, [*self._bytes, b""]), np.int64, len(self) + 1)

    def words(self) -> I64:
        """What texts of four bytes are as numbers, least byte first, by number; -1 for all others, and for ``NONE``."""
        found = np.full(len(self) + 1, -1, np.int64)
        four = (self.lengths() == 4).nonzero()[0]
        found[four] = np.frombuffer(b"".join([self._bytes[number] for number in four.tolist()]), "<u4")
        return found


@dataclass(slots=True)
class Calls:
    """One row for each call message, and one for each answer whose call is not in the capture (``frame`` is then 0).

    Shapes:  every column has C rows, in the order of the recording. Units:   times are nanoseconds since 1970;
    ``NONE`` (-1) means that there is no such field, or that it was not captured.
    """

    # where and when
    order: I64  # position of the call message (of the answer, where there is no call) in the whole recording
    time: I64
    capture: I64
    frame: I64
    reply_order: I64
    reply_time: I64
    reply_capture: I64
    reply_frame: I64
    # who
    src: I64  # endpoint that calls
    dst: I64  # endpoint that is called
    sport: I64
    dport: I64
    tcp: I64  # 1 or 0
    stream: I64
    # RPC
    xid: I64
    program: I64
    version: I64
    procedure: I64
    rpc_status: I64  # see RPC_STATUS
    low: I64  # versions offered with PROG_MISMATCH
    high: I64
    repeats: I64  # row of the call that this one is a retransmission of
    replies: I64  # how many answers were seen
    machinename: I64
    service: I64  # of RPCSEC_GSS: 1 in clear, 2 integrity, 3 privacy; 0 without
    encrypted: I64
    bad: I64  # the body could not be read to its end: 1 truncated, 2 oversize
    reply_bad: I64
    cut: I64  # the capture has fewer bytes than the message had
    reply_cut: I64
    # NLM
    status: I64  # stat of the answer; of the call itself for the _RES procedures; res_stat of NSM
    cookie: I64
    caller_name: I64
    fh: I64
    oh: I64
    svid: I64
    offset: U64
    length: U64
    block: I64
    exclusive: I64
    reclaim: I64
    state: I64  # NLM and NSM arguments
    mode: I64
    access: I64
    sequence: I64
    holder_exclusive: I64
    holder_svid: I64
    holder_oh: I64
    holder_offset: U64
    holder_length: U64
    # NSM
    mon_name: I64
    my_name: I64
    my_program: I64
    my_version: I64
    my_procedure: I64
    priv: I64
    res_state: I64
    # portmap
    asked_program: I64
    asked_version: I64
    asked_protocol: I64
    asked_procedure: I64
    netid: I64
    uaddr: I64
    port: I64  # as answered; 0: not registered

    def __len__(self) -> int:
        return len(self.order)

    def at(self, row: int) -> At:
        """Where the call is; where the answer is, if the call is not in the capture."""
        if self.frame[row]:
            return At(int(self.time[row]), int(self.capture[row]), int(self.frame[row]))
        return self.reply_at(row)

    def reply_at(self, row: int) -> At:
        """Where the answer is; ``frame`` is 0 if none was seen."""
        return At(int(self.reply_time[row]), int(self.reply_capture[row]), int(self.reply_frame[row]))


MOMENT = ("order", "frame", "capture", "time")


class Builder:
    """Columns of ``Calls`` that grow batch by batch; rows of earlier batches may still change (their answers arrive
    later). A column exists from when it is asked for.
    """

    # fmt: off
    ZERO = frozenset({
        "frame", "capture", "reply_frame", "reply_capture", "replies", "tcp", "service", "offset", "length",
        "holder_offset", "holder_length", "encrypted", "bad", "reply_bad", "cut", "reply_cut",
    })
    # fmt: on
    WIDE = frozenset({"offset", "length", "holder_offset", "holder_length"})

    def __init__(self) -> None:
        self.rows, self._room = 0, 1024
        self._columns: dict[str, NDArray[Any]] = {}

    def _new(self, name: str, rows: int) -> NDArray[Any]:
        """A column with so many empty rows. What is behind them costs no memory before it is written."""
        column = np.empty(max(self._room, rows), np.uint64 if name in self.WIDE else np.int64)
        column[:rows] = self._nothing(name)
        return column

    def _nothing(self, name: str) -> int:
        return 0 if name in self.ZERO else NONE

    def extend(self, rows: int) -> slice:
        """Make room for ``rows`` more rows and say where they are."""
        first, self.rows = self.rows, self.rows + rows
        if self.rows > self._room:
            self._room = max(self.rows, 2 * self._room)
            for name, column in self._columns.items():
                self._columns[name] = np.empty(self._room, column.dtype)
                self._columns[name][:first] = column[:first]
        for name, column in self._columns.items():
            column[first : self.rows] = self._nothing(name)
        return slice(first, self.rows)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._columns:
            self._columns[name] = self._new(name, self.rows)
        return self._columns[name]

    def finish(self) -> Calls:
        """The table, in the order of the recording; ``order`` and ``reply_order`` count its messages from 0."""
        empty = {f.name: np.broadcast_to(self._new(f.name, 1)[:1], self.rows) for f in fields(Calls)}
        needed = {"repeats", *MOMENT, *(f"reply_{name}" for name in MOMENT)}
        columns = {name: self[name][: self.rows] for name in self._columns.keys() | needed}
        here, answered = columns["frame"] > 0, columns["reply_frame"] > 0
        when = [np.concatenate([columns[name][here], columns[f"reply_{name}"][answered]]) for name in MOMENT]
        rank = np.empty(len(when[0]), np.int64)
        rank[_sorted(when[0], when[1], when[2], _never_back(when[3], when[2], when[1]))] = np.arange(len(rank))
        calls = int(here.sum())
        columns["order"][here], columns["reply_order"][answered] = rank[:calls], rank[calls:]
        columns["order"][~here] = columns["reply_order"][~here]
        order = in_order(columns["order"])
        columns = {name: column[order] for name, column in columns.items()}
        renumber = np.empty(self.rows + 1, np.int64)
        renumber[:-1][order] = np.arange(self.rows)
        renumber[-1] = NONE
        columns["repeats"] = renumber[columns["repeats"]]
        return Calls(**empty | columns)


def _sorted(order: I64, frame: I64, capture: I64, time: I64) -> I64:
    """Rows by time, capture, frame, and order; nearly always they are by their order already."""
    by = np.argsort(order, kind="stable")
    t, c, f = time[by], capture[by], frame[by]
    later = (t[1:] > t[:-1]) | ((t[1:] == t[:-1]) & ((c[1:] > c[:-1]) | ((c[1:] == c[:-1]) & (f[1:] >= f[:-1]))))
    return by if later.all() else np.lexsort((order, frame, capture, time))


def _never_back(time: I64, capture: I64, frame: I64) -> I64:
    """Times that do not run back within one file: there the order of frames is the order of events, whatever the
    clock did.
    """
    steady = time.copy()
    for number in np.unique(capture):
        of = np.flatnonzero(capture == number)
        of = of[np.argsort(frame[of], kind="stable")]
        steady[of] = np.maximum.accumulate(time[of])
    return steady
