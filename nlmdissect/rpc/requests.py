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
    for row in nlm.nonzero()[0].tolist():
        procedure = int(calls.procedure[row])
        if procedure in PROCEDURES:
            found.call(row, *PROCEDURES[procedure])
        elif procedure in ANSWERS:
            found.result(row, ANSWERS[procedure])
    return found.all


class _Requests:
    def __init__(self, calls: Calls) -> None:
        self.all: list[Request] = []
        self._calls = calls
        self._by_arguments: dict[tuple[object, ...], Request] = {}
        self._by_cookie: dict[tuple[int, int, Op, int], Request] = {}
        self._asked: dict[tuple[int, Op, int], Request] = {}
        self._waits: dict[tuple[int, ...], set[int]] = {}  # (client, fh, svid, start, end) -> servers

    def call(self, row: int, op: Op, asynchronous: bool) -> None:
        c = self._calls
        request = self._new(row, op, asynchronous)
        r = request
        wait = (r.client, r.fh, r.svid, r.start, r.end)
        if op is Op.LOCK and r.block and r.readable:
            self._waits.setdefault(wait, set()).add(r.server)
        elif op is Op.GRANTED and r.readable and len(asked := self._waits.get(wait, set())) == 1:
            (r.server,) = asked
        key = (op, asynchronous, r.version, r.server, r.client, r.cookie, r.fh, r.oh, r.svid, r.start, r.end,
               r.exclusive, r.block, r.reclaim)  # fmt: skip
        earlier = self._by_arguments.get(key)
        if earlier is not None and r.readable and self._continues(earlier, row):
            request = earlier
        else:
            self._by_arguments[key] = request
            self.all.append(request)
        request.sends.append(Send(int(c.order[row]), c.at(row), row))
        if asynchronous and request.cookie != NONE:
            self._by_cookie[request.server, request.client, op, request.cookie] = request
            self._asked[int(c.src[row]), op, request.cookie] = request
            if c.rpc_status[row] > 0:  # a Linux server that cannot serve a _MSG says SYSTEM_ERR and sends no _RES
                self._answer(request, row, RPC_STATUS[c.rpc_status[row]])
        elif c.reply_frame[row]:
            self._answer(request, row, self._status(row))

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
            request.answers.append(Answer(int(c.order[row]), at, self._stat(row), row))

    def _answer(self, request: Request, row: int, status: str) -> None:
        c = self._calls
        request.answers.append(Answer(int(c.reply_order[row]), c.reply_at(row), status, row))

    def _status(self, row: int) -> str:
        c = self._calls
        if c.rpc_status[row] > 0:
            return RPC_STATUS[c.rpc_status[row]]
        return self._stat(row)

    def _stat(self, row: int) -> str:
        status = int(self._calls.status[row])
        return status_name(status) if status != NONE else UNREADABLE

    def _continues(self, earlier: Request, row: int) -> bool:
        c, last = self._calls, earlier.sends[-1]
        if 0 < earlier.state != c.state[row] > 0:
            return False  # the client's next life counts its cookies from the beginning again
        if int(c.xid[row]) == int(c.xid[last.row]):
            return bool(c.time[row] - last.at.time <= 2 * POLL_WITHIN)
        answered = [a for a in earlier.answers if a.order < c.order[row]]
        if answered and final(answered[-1].status):
            return False
        return bool(c.time[row] - last.at.time <= POLL_WITHIN)

    def _new(self, row: int, op: Op, asynchronous: bool) -> Request:
        c = self._calls
        src, dst = int(c.src[row]), int(c.dst[row])
        server, client = (src, dst) if op is Op.GRANTED else (dst, src)
        start, end = span(int(c.offset[row]), int(c.length[row]))
        if c.version[row] != 4 and end > 0xFFFFFFFF:  # 32-bit versions: nothing lies beyond, so this is the end
            end = END
        cookie, caller_name, fh, oh, svid = (int(x[row]) for x in (c.cookie, c.caller_name, c.fh, c.oh, c.svid))
        return Request(
            op, asynchronous, int(c.version[row]), server, client, cookie, caller_name, fh, oh, svid, start, end,
            bool(c.exclusive[row] == 1), bool(c.block[row] == 1), bool(c.reclaim[row] == 1), int(c.state[row]),
            readable=not c.bad[row] and not c.encrypted[row] and (fh != NONE or op is Op.FREE_ALL),
        )  # fmt: skip
