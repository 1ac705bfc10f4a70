"""Which calls are one request: it, over all its transmissions.

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

from typing import NamedTuple

import numpy as np

from nlmdissect.findings import At
from nlmdissect.groups import groups, mixed
from nlmdissect.protocols import NLM
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.calls import I64, NONE, RPC_STATUS, Calls
from nlmdissect.rpc.requests import AT_A_TIME, OPS, Answer, Bools, Columns, Op, Request, Requests, Send, final, stat

POLL_WITHIN = 300 * 10**9  # ns: the longest pause between two polls of one request that any known client makes
RESULT_WITHIN = 60 * 10**9  # ns: a _RES from another address than was asked comes at once, or not at all

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


def requests(calls: Calls) -> Requests:
    """Every NLM request of the recording, in the order of first transmission. Calls of other programs are left out.

    A call like no other is a request by itself, by column. One by one go only those that are repeated, those that
    another call answers, and callbacks, with the LOCKs that they may belong to.
    """
    nlm = (calls.program == NLM) & (calls.version != 0) & (calls.version != 2) & (calls.frame != 0)
    rows = (nlm & np.isin(calls.procedure, [*PROCEDURES])).nonzero()[0]
    said = _columns(calls, rows)
    names = ("op", "asynchronous", "version", "server", "client", "cookie", "fh", "oh", "svid", "start", "end",
             "exclusive", "block", "reclaim")  # fmt: skip
    _, which = groups(*(getattr(said, name) for name in names))
    granted, lock = said.op == OPS.index(Op.GRANTED), said.op == OPS.index(Op.LOCK)
    alone = (np.bincount(which, minlength=1)[which] == 1) & ~said.asynchronous & ~granted
    waits = mixed(said.client, said.fh, said.svid, said.start, said.end)
    waited_for = alone & lock & said.block & said.readable & np.isin(waits, waits[granted])
    found = _Requests(calls)
    one_by_one = (~alone | waited_for).nonzero()[0]
    results = (nlm & np.isin(calls.procedure, [*ANSWERS])).nonzero()[0]
    agenda = np.concatenate([rows[one_by_one], results])
    order = np.argsort(agenda)
    for first in range(0, len(order), AT_A_TIME):
        some = order[first : first + AT_A_TIME]
        asks = some[some < len(one_by_one)]
        records = said.take(one_by_one[asks]).records()
        columns = [getattr(calls, name)[agenda[some]].tolist() for name in _Call._fields]
        for of, c in zip(some.tolist(), map(_Call._make, zip(*columns, strict=True)), strict=True):
            row = int(agenda[of])
            if of >= len(one_by_one):
                found.result(row, ANSWERS[c.procedure])
            elif alone[one_by_one[of]]:
                found.wait(next(records))
            else:
                found.call(row, c, next(records))
    return _together(calls, rows, said, alone, found.all)


def _together(calls: Calls, rows: I64, said: Columns, alone: Bools, records: list[Request]) -> Requests:
    """The requests that are one call, and the others, in order."""
    begins = np.searchsorted(rows, np.array([r.sends[0].row for r in records], np.int64))
    first = alone.copy()
    first[begins] = True
    number = np.cumsum(first) - 1
    for begin, r in zip(begins.tolist(), records, strict=True):
        said.server[begin] = r.server  # a callback may belong to another address than it came from
    made = dict(zip(number[begins].tolist(), records, strict=True))
    return Requests(calls, rows[first], said.take(first.nonzero()[0]), alone[first], made)


def _columns(calls: Calls, rows: I64) -> Columns:
    """What these calls say, each for itself."""
    version, offset, length = calls.version[rows], calls.offset[rows], calls.length[rows]
    known = np.zeros((max(PROCEDURES) + 1, 2), np.int64)
    for number, (what, asynchronous) in PROCEDURES.items():
        known[number] = OPS.index(what), asynchronous
    op, message = known[calls.procedure[rows]].T
    callback = op == OPS.index(Op.GRANTED)
    src, dst = calls.src[rows], calls.dst[rows]
    one = np.uint64(1)
    end = np.where((length == 0) | (length > np.uint64(END) - offset), np.uint64(END), offset + length - one)
    # 32-bit versions: nothing lies beyond, so this is the end
    end = np.where((version != 4) & (end > np.uint64(0xFFFFFFFF)), np.uint64(END), end)
    fh = calls.fh[rows]
    readable = (calls.bad[rows] == 0) & (calls.encrypted[rows] == 0) & ((fh != NONE) | (op == OPS.index(Op.FREE_ALL)))
    return Columns(
        op, message == 1, version, np.where(callback, src, dst), np.where(callback, dst, src), calls.cookie[rows],
        calls.caller_name[rows], fh, calls.oh[rows], calls.svid[rows], offset, end, calls.exclusive[rows] == 1,
        calls.block[rows] == 1, calls.reclaim[rows] == 1, calls.state[rows], readable,
    )  # fmt: skip


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
    procedure: int
    rpc_status: int
    status: int
    cookie: int
    state: int


class _Requests:
    def __init__(self, calls: Calls) -> None:
        self.all: list[Request] = []
        self._calls = calls
        self._by_arguments: dict[tuple[object, ...], Request] = {}
        self._by_cookie: dict[tuple[int, int, Op, int], Request] = {}
        self._asked: dict[tuple[int, Op, int], Request] = {}
        self._waits: dict[tuple[int, ...], set[int]] = {}  # (client, fh, svid, start, end) -> servers

    def wait(self, r: Request) -> None:
        """A LOCK that a callback may belong to."""
        self._waits.setdefault(_range(r), set()).add(r.server)

    def call(self, row: int, c: _Call, request: Request) -> None:
        """A call; ``request`` is what it would be by itself."""
        r, op = request, request.op
        if op is Op.LOCK and r.block and r.readable:
            self.wait(r)
        elif op is Op.GRANTED and r.readable and len(asked := self._waits.get(_range(r), set())) == 1:
            (r.server,) = asked
        key = (op, r.asynchronous, r.version, r.server, r.client, r.cookie, r.fh, r.oh, r.svid, r.start, r.end,
               r.exclusive, r.block, r.reclaim)  # fmt: skip
        earlier = self._by_arguments.get(key)
        if earlier is not None and r.readable and self._continues(earlier, c):
            request = earlier
        else:
            self._by_arguments[key] = request
            self.all.append(request)
        request.sends.append(Send(c.order, At(c.time, c.capture, c.frame), row))
        if request.asynchronous and request.cookie != NONE:
            self._by_cookie[request.server, request.client, op, request.cookie] = request
            self._asked[c.src, op, request.cookie] = request
            if c.rpc_status > 0:  # a Linux server that cannot serve a _MSG says SYSTEM_ERR and sends no _RES
                self._answer(request, row, c, RPC_STATUS[c.rpc_status])
        elif c.reply_frame:
            self._answer(request, row, c, RPC_STATUS[c.rpc_status] if c.rpc_status > 0 else stat(c.status))

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
            request.answers.append(Answer(int(c.order[row]), at, stat(int(c.status[row])), row))

    def _answer(self, request: Request, row: int, c: _Call, status: str) -> None:
        at = At(c.reply_time, c.reply_capture, c.reply_frame)
        request.answers.append(Answer(c.reply_order, at, status, row))

    def _continues(self, earlier: Request, c: _Call) -> bool:
        last = earlier.sends[-1]
        if 0 < earlier.state != c.state > 0:
            return False  # the client's next life counts its cookies from the beginning again
        if c.xid == self._calls.xid[last.row]:
            return c.time - last.at.time <= 2 * POLL_WITHIN
        answered = next((a for a in reversed(earlier.answers) if a.order < c.order), None)
        if answered is not None and final(answered.status):
            return False
        return c.time - last.at.time <= POLL_WITHIN


def _range(r: Request) -> tuple[int, ...]:
    return r.client, r.fh, r.svid, r.start, r.end
