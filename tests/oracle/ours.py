"""Our reading of a capture, in the same records: from the table of calls, and by the codec for what the table does not keep.

What both have must be equal; ``Ours.torn`` names every field in which it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from oracle.fields import CALL_COLUMNS, REPLY_COLUMNS
from oracle.record import CALL, KEPT, MOUNT, PORTMAP, REPLY, Message, Value

from nlmdissect.capture.endpoints import Endpoints
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.messages import Messages, join
from nlmdissect.capture.reader import MessageReader
from nlmdissect.history.history import History, read_history
from nlmdissect.protocols import Procedure, find, rpc
from nlmdissect.rpc.calls import AUTH_ERROR, NONE, RPC_MISMATCH, Calls
from nlmdissect.rpc.headers import Headers, read_headers, unwrap_replies
from nlmdissect.xdr.codec import XdrError, decode
from nlmdissect.xdr.schema import Array, List, Number, Struct, Union, Xdr

RELAYED = ("args", "res", "results")
RES = range(11, 16)  # TEST_RES to GRANTED_RES
ANNOUNCED = (1, 2)  # SET and UNSET: the table keeps their address, and that of no look-up
WORD = 0xFFFFFFFF
AUTH_SYS, GSS = rpc.auth_flavor.members["AUTH_SYS"], rpc.auth_flavor.members["RPCSEC_GSS"]
HEADER = frozenset({"xid", "mtype", "prog", "vers", "proc"})  # compared as attributes of the message
WORKED_OUT = frozenset({"port", "low", "high", "machinename", "rpc_status"})  # not, or not only, of a body's leaf
ZEROES = frozenset({"offset", "length", "holder_offset", "holder_length"})
Ends = tuple[int, str, int, str, int, bool]


@dataclass(slots=True)
class Ours:
    messages: list[Message] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)


def read(path: Path) -> Ours:
    """Errors: CaptureError, as ``read_history``."""
    history = read_history([path])
    reader = MessageReader(open_recording([path]))
    batches = [batch.messages for batch in reader]
    return _Reading(history, join(batches), reader.traffic.endpoints).all()


class _Reading:
    def __init__(self, history: History, messages: Messages, endpoints: Endpoints) -> None:
        self.history, self.calls, self.m, self.endpoints = history, history.calls, messages, endpoints
        self.rows, self.lives = _rows(history.calls, history.traffic.endpoints)
        self.links = _pairs(history)
        self.filled: dict[int, set[str]] = {}  # columns that some leaf has filled, by row

    def all(self) -> Ours:
        ours, m = Ours(), self.m
        arena = np.frombuffer(m.arena, np.uint8)
        headers = read_headers(arena, m.at, m.end)
        found = [self._message(headers, i) for i in range(len(m))]
        services = [max(int(self.calls.service[row]), 0) if row is not None else 0 for _, row in found]
        headers = unwrap_replies(headers, arena, np.array(services, np.int64))
        order = sorted(range(len(m)), key=lambda i: int(m.frame[i]))
        for i in order:
            message, row = found[i]
            if message.program not in KEPT and "orphan" not in message.marks:
                continue
            if message.kind in (CALL, REPLY):
                self._fields(ours, message, row, headers, i)
                ours.messages.append(message)
        ours.torn += self._empty()
        return ours

    def _empty(self) -> Iterator[str]:
        """Columns of which no leaf is in the message must have nothing in them.

        An answer without its call is read without knowing its procedure: tshark has nothing to hold it against.
        """
        for column in sorted({*CALL_COLUMNS.values(), *REPLY_COLUMNS.values()} - WORKED_OUT):
            values = getattr(self.calls, column)
            for row in (values != (0 if column in ZEROES else NONE)).nonzero()[0].tolist():
                known = self.calls.program[row] in KEPT and self.calls.frame[row]
                if known and column not in self.filled.get(row, set()):
                    yield f"row {row}, frame {self.calls.frame[row]}: {column} is {values[row]}, from nowhere"

    def _message(self, h: Headers, i: int) -> tuple[Message, int | None]:
        """Message ``i``, and the row of the table that speaks of it."""
        m, text = self.m, self.endpoints.text
        src, dst, sport, dport = text(int(m.src[i])), text(int(m.dst[i])), int(m.sport[i]), int(m.dport[i])
        kind, frame, xid, tcp = int(h.kind[i]), int(m.frame[i]), int(h.xid[i]), bool(m.tcp[i])
        message = Message(frame, kind, xid, src, sport, dst, dport, tcp)
        message.add("length", int(m.length[i]))
        asks: Ends = (xid, src, sport, dst, dport, tcp) if kind == CALL else (xid, dst, dport, src, sport, tcp)
        row = self.rows.get((kind, frame, asks))
        if row is None:
            message.marks.add("untabled")  # a copy of a frame, or one more answer than there were calls
            row = next((r for r in reversed(self.lives.get(asks, [])) if self.calls.frame[r] <= frame), None)
        else:
            self._link(message, row)
        if kind == CALL:
            message.program, message.version, message.procedure = (
                int(h.program[i]),
                int(h.version[i]),
                int(h.procedure[i]),
            )
        elif row is not None:
            c = self.calls
            message.program, message.version, message.procedure = (
                int(c.program[row]),
                int(c.version[row]),
                int(c.procedure[row]),
            )
        if kind == REPLY and (row is None or not self.calls.frame[row]):
            message.marks.add("orphan")
        if m.length[i] > m.end[i] - m.at[i]:
            message.marks.add("cut")
        if m.duplicate[i]:
            message.marks.add("duplicate")
        return message, row

    def _link(self, message: Message, row: int) -> None:
        c = self.calls
        if message.kind == CALL:
            links = {"answered_in": int(c.reply_frame[row])}
            if c.repeats[row] != NONE:
                links["repeats"] = int(c.frame[c.repeats[row]])
            links |= self.links.get(row, {})
        else:
            links = {"reply_to": int(c.frame[row])}
        message.links = {name: frame for name, frame in links.items() if frame}

    def _fields(self, ours: Ours, message: Message, row: int | None, h: Headers, i: int) -> None:
        data, call = self.m.body(i), message.kind == CALL
        for name, value in _header(data, call):
            message.add(name, value)
        procedure = find(message.program, message.version, message.procedure)
        listed: set[str] = set()
        if procedure is not None and h.body[i] >= 0 and message.program != MOUNT:
            at, end = int(h.body[i] - self.m.at[i]), int(h.body_end[i] - self.m.at[i])
            c, asked = self.calls, (NONE, NONE, NONE)
            if row is not None:
                asked = tuple(int(column[row]) for column in (c.asked_program, c.asked_version, c.asked_procedure))
            if _body(message, procedure, data[:end], at, listed, asked):
                message.marks.add("bad")
        if row is None or "untabled" in message.marks:
            return
        if not call and (said := _status(message)) != self.calls.rpc_status[row]:
            ours.torn.append(f"frame {message.frame} {message}: rpc_status is {self.calls.rpc_status[row]}, not {said}")
        for name, column in (CALL_COLUMNS if call else REPLY_COLUMNS).items():
            self._table(ours, message, row, name, column, listed)

    def _table(self, ours: Ours, message: Message, row: int, name: str, column: str, listed: set[str]) -> None:
        """Take the table's value of one leaf."""
        if (
            name not in message.fields
            or name in listed
            or (name == "addr" and message.kind == CALL and message.procedure not in ANNOUNCED)
        ):
            return
        self.filled.setdefault(row, set()).add(column)
        number = int(getattr(self.calls, column)[row])
        text = isinstance(message.fields[name][0], bytes)
        value: tuple[Value, ...] = () if number == NONE else (self.history.texts[number],) if text else (number,)
        if value != message.fields[name]:
            ours.torn.append(f"frame {message.frame} {message}: {name} is {message.fields[name]}, in the table {value}")
        message.fields[name] = value
        message.marks.add(f"table {name}")


def _status(reply: Message) -> int:
    """What the table's ``rpc_status`` must be: the accept_stat, or the two ways to deny after it."""
    f = reply.fields
    if f.get("reply_stat", (0,)) == (0,):
        return int(f.get("accept_stat", (NONE,))[0])
    return RPC_MISMATCH if f.get("reject_stat") == (0,) else AUTH_ERROR


def _header(data: bytes, call: bool) -> Iterator[tuple[str, Value]]:
    """The fields of an RPC header; what comes before the place where it is cut."""
    flavor = 0
    for name, value in _Walk(data, 0).leaves(rpc.call if call else rpc.reply):
        if name == "cred.body" and isinstance(value, bytes) and flavor in (AUTH_SYS, GSS):
            yield from ((f"cred.{leaf}", of) for leaf, of in _Walk(value, 0).leaves(rpc.CREDENTIALS[flavor]))
        elif name not in HEADER and not name.endswith(".body"):
            yield name, value
        if name == "cred.flavor":
            flavor = int(value)


def _body(
    message: Message, procedure: Procedure, data: bytes, at: int, listed: set[str], asked: tuple[Value, ...]
) -> bool:
    """Add the leaves of arguments or results; say whether the body ended too early.

    ``listed`` gets the names inside of lists; ``asked`` is what portmap was asked to call, where this is the reply.
    """
    t = procedure.args if message.kind == CALL else procedure.res
    walk = _Walk(data, at)
    for name, value in walk.leaves(t):
        if name in RELAYED and isinstance(value, bytes):
            if name == "args":
                asked = (message.fields["prog"][0], message.fields["vers"][0], message.fields["proc"][0])
            inner = None if asked[0] == PORTMAP else find(*map(int, asked))
            listed |= _relayed(message, name, value, inner)
        else:
            message.add(name, value & WORD if isinstance(value, int) and value < 0 else value)
    listed |= walk.listed
    return walk.bad


def _relayed(message: Message, name: str, value: bytes, inner: Procedure | None) -> set[str]:
    """What portmap passes on: the arguments or results of a program that we know, or bytes."""
    if inner is None:
        message.add("args" if name == "args" else "results", value)
        return set()
    walk = _Walk(value, 0)
    for leaf, of in walk.leaves(inner.args if name == "args" else inner.res):
        message.add(leaf, of)
    return walk.listed


class _Walk:
    """The codec, one leaf at a time, so that a message that is cut keeps what comes before the cut."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.bad = False
        self.listed: set[str] = set()

    def leaves(self, t: Xdr) -> Iterator[tuple[str, Value]]:
        try:
            yield from self._walk(t, "", "", False)
        except XdrError:
            self.bad = True

    def _walk(self, t: Xdr, name: str, prefix: str, inside: bool) -> Iterator[tuple[str, Value]]:
        match t:
            case Struct(fields=fields):
                for leaf, of in fields.items():
                    yield from self._walk(of, leaf, f"{leaf}." if leaf in ("cred", "verf") else prefix, inside)
            case Union(on=on, arms=arms, default=default):
                tag = self._take(on)
                yield prefix + name, tag
                arm = next((arm for member, arm in arms.items() if on.members[member] == tag), default)
                yield from self._walk(arm, name, "holder." if name == "stat" else "", inside)
            case List(element=element):
                while self._take(Number("more", ">u4")):
                    yield from self._walk(element, name, prefix, True)
            case Array():
                yield from ((prefix + name, value) for value in self._take(t))
            case _:
                value = self._take(t)
                if inside:
                    self.listed.add(prefix + name)
                yield prefix + name, value

    def _take(self, t: Xdr):  # type: ignore[no-untyped-def]
        value, self.at = decode(t, self.data, self.at)
        return value


def _rows(calls: Calls, endpoints: Endpoints) -> tuple[dict[tuple[int, int, Ends], int], dict[Ends, list[int]]]:
    """Where a message stands in the table: by kind, frame, xid and ends; and all calls of one xid and ends."""
    rows: dict[tuple[int, int, Ends], int] = {}
    lives: dict[Ends, list[int]] = {}
    text = [endpoints.text(n) for n in range(len(endpoints))]
    for row in range(len(calls)):
        ends = (
            int(calls.xid[row]),
            text[calls.src[row]],
            int(calls.sport[row]),
            text[calls.dst[row]],
            int(calls.dport[row]),
            bool(calls.tcp[row]),
        )
        if calls.frame[row]:
            rows[CALL, int(calls.frame[row]), ends] = row
            lives.setdefault(ends, []).append(row)
        if calls.reply_frame[row]:
            rows[REPLY, int(calls.reply_frame[row]), ends] = row
    return rows, lives


def _pairs(history: History) -> dict[int, dict[str, int]]:
    """For the row of each _MSG the frame of its _RES, and the other way round."""
    pairs: dict[int, dict[str, int]] = {}
    for request in history.requests:
        for answer in request.answers:
            sends = [send for send in request.sends if send.order < answer.order]
            if request.asynchronous and sends and int(history.calls.procedure[answer.row]) in RES:
                pairs[answer.row] = {"msg_in": sends[-1].at.frame}
                pairs[sends[-1].row] = {"res_in": answer.at.frame}
    return pairs
