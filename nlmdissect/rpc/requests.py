"""The NLM requests of a recording: a table by column, and records of those that somebody looks at.

Nearly all requests of a healthy recording are sent once and answered once. Of these nothing but numbers is kept, until
their records are asked for; ``where`` makes those of some rows only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from nlmdissect.findings import At
from nlmdissect.groups import groups
from nlmdissect.protocols.nlm import status_name
from nlmdissect.rpc.calls import I64, NONE, RPC_STATUS, U64, Calls

Bools = NDArray[np.bool_]

AT_A_TIME = 1 << 13  # rows that are Python's at one time
GRANTED, BLOCKED, GRACE = "GRANTED", "BLOCKED", "DENIED_GRACE_PERIOD"
UNREADABLE = "UNREADABLE"  # answered, but the body is cut, encrypted or malformed: it says nothing


class Op(StrEnum):
    """What a request asks for, whatever its form and version."""

    TEST = "TEST"
    LOCK = "LOCK"
    CANCEL = "CANCEL"
    UNLOCK = "UNLOCK"
    GRANTED = "GRANTED"  # server to client
    SHARE = "SHARE"
    UNSHARE = "UNSHARE"
    NM_LOCK = "NM_LOCK"
    FREE_ALL = "FREE_ALL"


OPS = tuple(Op)


class Send(NamedTuple):
    """One transmission. ``row`` is its row in the table of calls, ``order`` its place in the recording."""

    order: int
    at: At
    row: int


class Answer(NamedTuple):
    """One answer: ``status`` is the short name of a nlm4_stats, or the RPC error."""

    order: int
    at: At
    status: str
    row: int


@dataclass(slots=True)
class Request:
    """``server`` keeps the lock and ``client`` wants it, whichever of them sends. ``start`` and ``end`` are
    inclusive.
    """

    op: Op
    asynchronous: bool
    version: int
    server: int
    client: int
    cookie: int
    caller_name: int
    fh: int
    oh: int
    svid: int
    start: int
    end: int
    exclusive: bool
    block: bool
    reclaim: bool
    state: int
    readable: bool
    sends: list[Send] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def at(self) -> At:
        return self.sends[0].at

    @property
    def status(self) -> str:
        """The last thing that the asked side said; empty if it never answered."""
        return self.answers[-1].status if self.answers else ""


def final(status: str) -> bool:
    """Whether an answer ends a request: the client asks again after BLOCKED and in the grace period."""
    return status not in (BLOCKED, GRACE, UNREADABLE)


def asked_at(r: Request, answer: Answer) -> At:
    """The transmission that an answer answers: the last one before it."""
    before = bisect_left(r.sends, answer.order, key=lambda send: send.order)
    return r.sends[before - 1].at if before else r.at


def is_late_copy(r: Request, answer: Answer) -> bool:
    """Whether a request was granted before, and not sent again since."""
    granted = next((a for a in r.answers if a.status == GRANTED), None)
    if granted is None or granted.order >= answer.order:
        return False
    return not any(granted.order < send.order < answer.order for send in r.sends)


@dataclass(frozen=True, slots=True)
class Columns:
    """What requests say, in the order of the fields of ``Request``; ``op`` is a place in ``OPS``.

    Shapes:  every column has one row a request, or one a transmission while they are put together.
    """

    op: I64
    asynchronous: Bools
    version: I64
    server: I64
    client: I64
    cookie: I64
    caller_name: I64
    fh: I64
    oh: I64
    svid: I64
    start: U64
    end: U64
    exclusive: Bools
    block: Bools
    reclaim: Bools
    state: I64
    readable: Bools

    def take(self, rows: I64) -> Columns:
        """Some rows."""
        return Columns(*(getattr(self, name)[rows] for name in Columns.__slots__))

    def records(self) -> Iterator[Request]:
        """A record of each row, without its transmissions."""
        op, *others = (getattr(self, name).tolist() for name in Columns.__slots__)
        yield from (Request(OPS[number], *of) for number, *of in zip(op, *others, strict=True))


class Requests(Sequence[Request]):
    """Every NLM request, in the order of first transmission.

    ``row`` is the row of its first transmission in the table of calls. ``alone`` are those that were sent once, by a
    synchronous procedure, so that the row says all of them; ``records`` holds all others. ``plain`` are the LOCK and
    UNLOCK that were sent once and then answered once, GRANTED, no reclaims; ``sent`` and ``answered`` are the places
    of their call and answer in the recording. ``sends`` counts transmissions; ``heard`` are those with an answer.
    """

    def __init__(self, calls: Calls, row: I64, said: Columns, alone: Bools, records: dict[int, Request]) -> None:
        self.calls, self.row, self.said, self.alone = calls, row, said, alone
        self._made = dict(records)
        self.sent, self.answered = calls.order[row], calls.reply_order[row]
        self.sends = np.ones(len(row), np.int64)
        self.heard = alone & (calls.reply_frame[row] != 0)
        self.plain = (
            self.is_a(Op.LOCK, Op.UNLOCK) & said.readable & ~said.reclaim & alone
            & self.heard & (calls.rpc_status[row] <= 0) & (calls.status[row] == 0)
        )  # fmt: skip
        for number, r in records.items():
            self.sends[number], self.heard[number] = len(r.sends), bool(r.answers)
            if r.op in (Op.LOCK, Op.UNLOCK) and r.readable and not r.reclaim and len(r.sends) == 1 == len(r.answers):
                self.answered[number] = r.answers[0].order
                self.plain[number] = r.answers[0].status == GRANTED
        self.plain &= self.sent < self.answered

    def __len__(self) -> int:
        return len(self.row)

    @overload
    def __getitem__(self, number: int) -> Request: ...
    @overload
    def __getitem__(self, number: slice) -> list[Request]: ...
    def __getitem__(self, number: int | slice) -> Request | list[Request]:
        if isinstance(number, slice):
            return self.take(np.arange(len(self))[number])
        return self._made.get(number) or self.take(np.array([range(len(self))[number]]))[0]

    def __iter__(self) -> Iterator[Request]:
        for first in range(0, len(self), AT_A_TIME):
            yield from self.take(np.arange(first, min(first + AT_A_TIME, len(self))))

    def where(self, rows: Bools) -> list[Request]:
        """The records of the rows of which this is true, in order."""
        return self.take(rows.nonzero()[0])

    def is_a(self, *ops: Op) -> Bools:
        """Which rows ask for one of these."""
        found: Bools = np.isin(self.said.op, [OPS.index(op) for op in ops])
        return found

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(server, client) of all, in the order of their first requests."""
        first, _ = groups(self.said.server, self.said.client)
        return list(zip(self.said.server[first].tolist(), self.said.client[first].tolist(), strict=True))

    def between(self, server: int, client: int) -> Bools:
        """Which rows are of this client at this server."""
        found: Bools = (self.said.server == server) & (self.said.client == client)
        return found

    def about(self, server: int, fh: int) -> Bools:
        """Which rows are about a file."""
        found: Bools = (self.said.server == server) & (self.said.fh == fh)
        return found

    def may_be(self, *statuses: str) -> Bools:
        """Which rows may have one of these answers: those that are not ``alone`` always may."""
        c, row = self.calls, self.row
        numbers = [number for number in np.unique(c.status[row]).tolist() if stat(number) in statuses]
        errors = [number for number, name in enumerate(RPC_STATUS) if number and name in statuses]
        failed = c.rpc_status[row] > 0
        said = np.where(failed, np.isin(c.rpc_status[row], errors), np.isin(c.status[row], numbers))
        found: Bools = ~self.alone | (self.heard & said)
        return found

    def take(self, numbers: I64) -> list[Request]:
        """The records of these rows; each is made once."""
        made = self._made
        if new := [number for number in numbers.tolist() if number not in made]:
            rows, c = self.row[new], self.calls
            names = ("order", "time", "capture", "frame", "rpc_status", "status")
            sends = zip(*(getattr(c, name)[rows].tolist() for name in names[:4]), rows.tolist(), strict=True)
            answers = zip(
                *(getattr(c, f"reply_{name}")[rows].tolist() for name in names[:4]),
                *(getattr(c, name)[rows].tolist() for name in names[4:]), strict=True,
            )  # fmt: skip
            records = self.said.take(np.array(new)).records()
            for number, request, sent, answered in zip(new, records, sends, answers, strict=True):
                order, time, capture, frame, row = sent
                request.sends.append(Send(order, At(time, capture, frame), row))
                order, time, capture, frame, failed, status = answered
                if frame:
                    text = RPC_STATUS[failed] if failed > 0 else stat(status)
                    request.answers.append(Answer(order, At(time, capture, frame), text, row))
                made[number] = request
        return [made[number] for number in numbers.tolist()]


def stat(number: int) -> str:
    """The name of a nlm4_stats; UNREADABLE where there is none."""
    return status_name(number) if number != NONE else UNREADABLE
