"""One request over all its transmissions.

A request is: the same two hosts, the same procedure, the same xid or cookie, and equal arguments, over any
connection and port. So the first reclaim after a restart, sent on the dead connection and again on a new one, is
one request; and so is a LOCK that is polled while it is BLOCKED or held off in the grace period (Linux: same
cookie, new xid). It is unanswered only if none of its transmissions is answered. Cookies are small counters that
start again at every boot: they never match alone, and a request that was answered for good is not continued by a
new xid.

A callback that comes from another address of the server than the LOCK went to belongs to the LOCK all the same: to the
only server at which this owner waits for this range of this file.

The _MSG procedures are answered by a call of their own, the _RES: it comes from the other host, over any
connection, with the cookie of the _MSG (XNFS: NLM_LOCK_MSG). The empty RPC reply to either says nothing, and its
absence is no fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from nlmdissect.findings import At
from nlmdissect.protocols import NLM
from nlmdissect.protocols.nlm import END, span, status_name
from nlmdissect.rpc.calls import NONE, RPC_STATUS, Calls

POLL_WITHIN = 300 * 10**9  # ns: the longest pause between two polls of one request that any known client makes
AT_A_TIME = 1 << 13  # rows that are Python's at one time
RESULT_WITHIN = 60 * 10**9  # ns: a _RES from another address than was asked comes at once, or not at all
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


# fmt: off
PROCEDURES: dict[int, tuple[Op, bool]] = {  # number -> (what it asks for, asynchronous form)
    1: (Op.TEST, False),   6: (Op.TEST, True),
    2: (Op.LOCK, False),   7: (Op.LOCK, True),
    3: (Op.CANCEL, False), 8: (Op.CANCEL, True),
    4: (Op.UNLOCK, False), 9: (Op.UNLOCK, True),
    5: (Op.GRANTED, False), 10: (Op.GRANTED, True),
    20: (Op.SHARE, False), 21: (Op.UNSHARE, False), 22: (Op.NM_LOCK, False), 23: (Op.FREE_ALL, False),
}
# fmt: on
ANSWERS = {11: Op.TEST, 12: Op.LOCK, 13: Op.CANCEL, 14: Op.UNLOCK, 15: Op.GRANTED}


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


def requests(calls: Calls) -> list[Request]:
    """Every NLM request of the recording, in the order of first transmission. Calls of other programs are left out."""
    found = _Requests(calls)
    nlm = (calls.program == NLM) & (calls.version != 0) & (calls.version != 2) & (calls.frame != 0)
    rows = nlm.nonzero()[0]
    for first in range(0, len(rows), AT_A_TIME):
        some = rows[first : first + AT_A_TIME]
        columns = [getattr(calls, name)[some].tolist() for name in _Call._fields]
        for row, c in zip(some.tolist(), map(_Call._make, zip(*columns, strict=True)), strict=True):
            if c.procedure in PROCEDURES:
                found.call(row, c, *PROCEDURES[c.procedure])
            elif c.procedure in ANSWERS:
                found.result(row, ANSWERS[c.procedure])
    return found.all


class _Call(NamedTuple):
    """A row of the table of calls, as Python's own numbers: those of numpy are slow one by one."""

    order: int
    time: int
    capture: int
    frame: int
    reply_order: int
    reply_time: int
    reply_capture: int
    reply_frame: int
    src: int
    dst: int
    xid: int
    version: int
    procedure: int
    rpc_status: int
    status: int
    cookie: int
    caller_name: int
    fh: int
    oh: int
    svid: int
    offset: int
    length: int
    exclusive: int
    block: int
    reclaim: int
    state: int
    bad: int
    encrypted: int


class _Requests:
    def __init__(self, calls: Calls) -> None:
        self.all: list[Request] = []
        self._calls = calls
        self._by_arguments: dict[tuple[object, ...], Request] = {}
        self._by_cookie: dict[tuple[int, int, Op, int], Request] = {}
        self._asked: dict[tuple[int, Op, int], Request] = {}
        self._waits: dict[tuple[int, ...], set[int]] = {}  # (client, fh, svid, start, end) -> servers

    def call(self, row: int, c: _Call, op: Op, asynchronous: bool) -> None:
        request = _new(c, op, asynchronous)
        r = request
        wait = (r.client, r.fh, r.svid, r.start, r.end)
        if op is Op.LOCK and r.block and r.readable:
            self._waits.setdefault(wait, set()).add(r.server)
        elif op is Op.GRANTED and r.readable and len(asked := self._waits.get(wait, set())) == 1:
            (r.server,) = asked
        key = (op, asynchronous, r.version, r.server, r.client, r.cookie, r.fh, r.oh, r.svid, r.start, r.end,
               r.exclusive, r.block, r.reclaim)  # fmt: skip
        earlier = self._by_arguments.get(key)
        if earlier is not None and r.readable and self._continues(earlier, c):
            request = earlier
        else:
            self._by_arguments[key] = request
            self.all.append(request)
        request.sends.append(Send(c.order, At(c.time, c.capture, c.frame), row))
        if asynchronous and request.cookie != NONE:
            self._by_cookie[request.server, request.client, op, request.cookie] = request
            self._asked[c.src, op, request.cookie] = request
            if c.rpc_status > 0:  # a Linux server that cannot serve a _MSG says SYSTEM_ERR and sends no _RES
                self._answer(request, row, c, RPC_STATUS[c.rpc_status])
        elif c.reply_frame:
            self._answer(request, row, c, RPC_STATUS[c.rpc_status] if c.rpc_status > 0 else _stat(c.status))

    def result(self, row: int, op: Op) -> None:
        """A _RES call: the answer to the latest _MSG of the other host with this cookie.

        A host with several addresses may answer from another one than it was asked at: then it is the receiver's
        own latest _MSG with this cookie, if nobody has answered that.
        """
        c = self._calls
        sender, receiver, cookie = int(c.src[row]), int(c.dst[row]), int(c.cookie[row])
        server, client = (receiver, sender) if op is Op.GRANTED else (sender, receiver)
        request = self._by_cookie.get((server, client, op, cookie))
        if request is None:
            request = self._asked.get((receiver, op, cookie))
            if request is not None and (request.answers or c.time[row] - request.sends[-1].at.time > RESULT_WITHIN):
                return
        if request is not None:
            at = At(int(c.time[row]), int(c.capture[row]), int(c.frame[row]))
            request.answers.append(Answer(int(c.order[row]), at, _stat(int(c.status[row])), row))

    def _answer(self, request: Request, row: int, c: _Call, status: str) -> None:
        at = At(c.reply_time, c.reply_capture, c.reply_frame)
        request.answers.append(Answer(c.reply_order, at, status, row))

    def _continues(self, earlier: Request, c: _Call) -> bool:
        last = earlier.sends[-1]
        if 0 < earlier.state != c.state > 0:
            return False  # the client's next life counts its cookies from the beginning again
        if c.xid == self._calls.xid[last.row]:
            return c.time - last.at.time <= 2 * POLL_WITHIN
        answered = [a for a in earlier.answers if a.order < c.order]
        if answered and final(answered[-1].status):
            return False
        return c.time - last.at.time <= POLL_WITHIN


def _stat(status: int) -> str:
    return status_name(status) if status != NONE else UNREADABLE


def _new(c: _Call, op: Op, asynchronous: bool) -> Request:
    server, client = (c.src, c.dst) if op is Op.GRANTED else (c.dst, c.src)
    start, end = span(c.offset, c.length)
    if c.version != 4 and end > 0xFFFFFFFF:  # 32-bit versions: nothing lies beyond, so this is the end
        end = END
    readable = not c.bad and not c.encrypted and (c.fh != NONE or op is Op.FREE_ALL)
    return Request(
        op, asynchronous, c.version, server, client, c.cookie, c.caller_name, c.fh, c.oh, c.svid, start, end,
        c.exclusive == 1, c.block == 1, c.reclaim == 1, c.state, readable,
    )  # fmt: skip
