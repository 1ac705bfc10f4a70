"""The calls of NFS and MOUNT that name file handles, read batch by batch and let go of.

Theory of operation. A busy server answers more LOOKUPs than everything else that this project reads, so none of them
becomes a row of ``Calls``. Each batch is divided by column: calls that name something and their answers are read here,
into ``Paths``; the rest goes on to the table of calls. A call and its answer have the same hosts, ports, transport and
xid, as there; only the first answer after a call counts, and a call waits for it over the next batches, for a minute.
What a call asked is read when its answer is there, so a call without an answer names nothing and costs little.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.messages import Messages, empty
from nlmdissect.protocols import MOUNT, NFS, nfs2, nfs3
from nlmdissect.protocols.rpc import RPC_VERSION
from nlmdissect.rpc.facts import Sent, Span, facts, tell
from nlmdissect.rpc.headers import CALL, REPLY, read_headers, unwrap_replies
from nlmdissect.rpc.paths import Paths
from nlmdissect.rpc.told import Told
from nlmdissect.xdr.columns import decode_columns
from nlmdissect.xdr.schema import Struct, UInt

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KEEP = tuple((page.version, p.number) for page in (*nfs2.PROGRAMS, *nfs3.PROGRAMS) for p in page.procedures)
"""What ``MessageReader`` has to keep of NFS."""

MNT = 1
PATIENCE = 60 * 10**9  # ns; NFS clients ask again within a minute
WAITING = 100_000  # calls; the oldest are given up first, and that is a defect

_start = Struct("start", xid=UInt, mtype=UInt, rpcvers=UInt, prog=UInt, vers=UInt, proc=UInt)


class NameReader:
    """``take`` all batches in order; then ``paths`` is complete. ``forgotten`` counts the calls that were given up for
    want of room.
    """

    def __init__(self, paths: Paths | Told | None = None) -> None:
        self.paths = Paths() if paths is None else paths
        self.forgotten = 0
        self._waiting = empty()
        self._servers = np.zeros(0, np.int64)  # where calls of NFS went to

    def take(self, messages: Messages) -> Messages:
        """Learn from the next batch; return those of its messages that are no NFS. Never raises on any bytes."""
        if not len(self._servers) and not len(self._waiting) and not _may_name(messages):
            return messages
        m, first = _append(self._waiting, messages), len(self._waiting)
        buf = np.frombuffer(m.arena, np.uint8)
        start = decode_columns(_start, buf, m.at, m.end)
        call, reply = (start.read("mtype") & (start.fields["mtype"] == kind) for kind in (CALL, REPLY))
        header = call & start.read("proc") & (start.fields["rpcvers"] == RPC_VERSION)
        nfs = header & (start.fields["prog"] == NFS)
        mnt = header & (start.fields["prog"] == MOUNT) & (start.fields["proc"] == MNT)
        if not (nfs | mnt).any() and not len(self._servers):
            return messages
        self._servers = np.union1d(self._servers, _port(m.dst, m.dport, m.tcp)[nfs])
        found = _pair(m, start.fields["xid"], call & ~m.duplicate, reply & ~m.duplicate)
        self._learn(m, buf, found.asked, found.answer, nfs | mnt)
        self._wait(m, found.open[(nfs | mnt)[found.open]])
        unasked = np.isin(_port(m.src, m.sport, m.tcp), self._servers)
        answers = reply & np.where(found.owner >= 0, nfs[found.owner], unasked)
        return _only(m, first + np.flatnonzero(~(nfs | answers)[first:]))

    def _learn(self, m: Messages, buf: NDArray[np.uint8], asked: Ints, answer: Ints, naming: Bools) -> None:
        order = np.argsort(answer, kind="stable")
        order = order[naming[asked[order]]]
        asked, answer, count = asked[order], answer[order], len(order)
        rows = np.concatenate([asked, answer])
        h = read_headers(buf, m.at[rows], m.end[rows])
        h = unwrap_replies(h, buf, np.concatenate([np.full(count, -1), h.service[:count]]))
        ask = np.flatnonzero((h.accept_stat[count:] == 0) & (h.body[:count] >= 0) & (h.body[count:] >= 0))
        reply = ask + count
        args, res = (Span(h.body[of], h.body_end[of]) for of in (ask, reply))
        said = facts(buf, h.program[ask], h.version[ask], h.procedure[ask], args, res)
        asked, answer = asked[ask], answer[ask]
        calls, answers = (Sent(m.dst[asked], m.time[of], m.capture[of], m.frame[of]) for of in (asked, answer))
        tell(self.paths, m.arena, said, calls, answers)

    def _wait(self, m: Messages, rows: Ints) -> None:
        rows = np.sort(rows)
        rows = rows[m.time[rows] > m.time.max(initial=0) - PATIENCE]
        self.forgotten += max(len(rows) - WAITING, 0)
        rows = rows[-WAITING:]
        bodies = [m.body(row) for row in rows.tolist()]
        end = np.cumsum([len(body) for body in bodies], dtype=np.int64)
        self._waiting = replace(_only(m, rows), arena=b"".join(bodies), at=end - (m.end - m.at)[rows], end=end)


def _may_name(m: Messages) -> bool:
    """Whether there may be a call of NFS or MOUNT: the fourth word of one is its program."""
    at = m.at[m.end - m.at >= 16] + 12
    word = np.ndarray((max(len(m.arena) - 3, 0),), ">u4", m.arena, strides=(1,))
    return bool(np.isin(word[at], (NFS, MOUNT)).any())


class Pairs(NamedTuple):
    """Rows of messages. ``answer`` is the first answer after the call ``asked``; ``open`` are the calls without one;
    ``owner`` has for every message the last call before it that it answers, or -1.
    """

    asked: Ints
    answer: Ints
    open: Ints
    owner: Ints


def _pair(m: Messages, xid: Ints, call: Bools, reply: Bools) -> Pairs:
    """Sort by what a call and its answer have in common: then an answer stands behind its call."""
    rows = np.flatnonzero(call | reply)
    answers = reply[rows]
    a, b = _port(m.src, m.sport, m.tcp)[rows], _port(m.dst, m.dport, m.tcp)[rows]
    key = np.stack([np.where(answers, b, a), np.where(answers, a, b), xid[rows]])
    order = np.lexsort(key)
    rows, answers, key = rows[order], answers[order], key[:, order]
    same = np.append(False, (key[:, 1:] == key[:, :-1]).all(axis=0)) if len(rows) else np.zeros(0, np.bool_)
    group = np.cumsum(~same)
    last = np.maximum.accumulate(np.where(answers, -1, np.arange(len(rows))))
    owned = answers & (last >= 0) & (group[last] == group)
    first = np.flatnonzero(owned & (last == np.arange(len(rows)) - 1))
    owner = np.full(len(m), -1, np.int64)
    owner[rows[owned]] = rows[last[owned]]
    ends = np.append(~same[1:], True) if len(rows) else same
    return Pairs(rows[first - 1], rows[first], rows[~answers & ends], owner)


def _port(host: NDArray[np.int32], port: NDArray[np.int32], tcp: Bools) -> Ints:
    return host.astype(np.int64) << 17 | port.astype(np.int64) << 1 | tcp


def _append(a: Messages, b: Messages) -> Messages:
    """Two tables in a row."""
    if not len(a):
        return b
    columns = {
        name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in Messages.__slots__ if name != "arena"
    }
    columns["at"][len(a) :] += len(a.arena)
    columns["end"][len(a) :] += len(a.arena)
    return Messages(arena=a.arena + b.arena, **columns)


def _only(m: Messages, rows: Ints) -> Messages:
    return replace(m, **{name: getattr(m, name)[rows] for name in Messages.__slots__ if name != "arena"})
