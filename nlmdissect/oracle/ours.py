"""Our reading of a capture, in the same records: from the table of calls, and by the codec for what it does not keep.

What both have must be equal; ``Ours.torn`` names every field in which it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nlmdissect.capture.endpoints import Endpoints
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.messages import Messages, join
from nlmdissect.capture.reader import MessageReader
from nlmdissect.capture.unpack import EXPANSION
from nlmdissect.history.history import History, read_history
from nlmdissect.oracle.fields import CALL_COLUMNS, REPLY_COLUMNS
from nlmdissect.oracle.leaves import body, header
from nlmdissect.oracle.record import CALL, KEPT, REPLY, Message, Value
from nlmdissect.protocols import MOUNT, find
from nlmdissect.rpc.calls import AUTH_ERROR, NONE, RPC_MISMATCH, Calls
from nlmdissect.rpc.headers import Headers, read_headers, unwrap_replies

RES = range(11, 16)  # TEST_RES to GRANTED_RES
ANNOUNCED = (1, 2)  # SET and UNSET: the table keeps their address, and that of no look-up
WORKED_OUT = frozenset({"port", "low", "high", "machinename", "rpc_status"})  # not, or not only, of a body's leaf
ZEROES = frozenset({"offset", "length", "holder_offset", "holder_length"})
Ends = tuple[int, str, int, str, int, bool]
Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class Ours:
    """``frames``: of the capture, whatever is in them."""

    messages: list[Message] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    frames: int = 0


def read(path: Path, progress: Progress | None = None, expansion: int = EXPANSION) -> Ours:
    """What every frame says, as tshark shows it: whether its checksum is right is another question.

    Errors: CaptureError, as ``read_history``.
    """
    history = read_history([path], progress, expansion=expansion, checksums=False)
    reader = MessageReader(open_recording([path], expansion=expansion), checksums=False)
    batches = [batch.messages for batch in reader]
    return _Reading(history, join(batches), reader.traffic.endpoints).all()


class _Reading:
    def __init__(self, history: History, messages: Messages, endpoints: Endpoints) -> None:
        self.history, self.calls, self.m, self.endpoints = history, history.calls, messages, endpoints
        self.rows, self.lives = _rows(history.calls, history.traffic.endpoints)
        self.links = _pairs(history)
        self.filled: dict[int, set[str]] = {}  # columns that some leaf has filled, by row

    def all(self) -> Ours:
        ours, m = Ours(frames=self.history.sources[0].frames), self.m
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
        for name, value in header(data, call):
            message.add(name, value)
        procedure = find(message.program, message.version, message.procedure)
        listed: set[str] = set()
        if procedure is not None and h.body[i] >= 0 and message.program != MOUNT:
            at, end = int(h.body[i] - self.m.at[i]), int(h.body_end[i] - self.m.at[i])
            c, asked = self.calls, (NONE, NONE, NONE)
            if row is not None:
                asked = int(c.asked_program[row]), int(c.asked_version[row]), int(c.asked_procedure[row])
            if body(message, procedure, data[:end], at, listed, asked):
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
