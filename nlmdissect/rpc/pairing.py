"""Match each RPC reply with its call.

A call and its answer are the same two endpoints, the same two ports, the same transport and the same xid (RFC
5531): nothing less, for xids and ports repeat between hosts and between the lives of one host. A call with the key
and the bytes of an earlier one is a retransmission of it; with other bytes it is a new call that happens to use the
number again. Over UDP an answer belongs to the oldest transmission that has none yet; over TCP to the newest, for a
repeated TCP call means that the older connection is dead.

Calls of earlier batches stay open: their answers may come in later ones. The number of open calls is bounded; the
oldest are closed first, and that is a defect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.messages import Messages
from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP, Procedure, find
from nlmdissect.rpc.bodies import Ints, intern, read_args, read_results, read_unasked
from nlmdissect.rpc.calls import AUTH_ERROR, NONE, RPC_MISMATCH, Builder, Calls, Texts
from nlmdissect.rpc.headers import Bad, Headers, read_headers, unwrap_replies
from nlmdissect.xdr.columns import OK, TRUNCATED

OPEN_CALLS = 1_000_000
REPEAT_WITHIN = 600 * 10**9  # ns; no implementation retransmits one xid for longer than that

Key = tuple[int, int, int, int, bool, int]
KEPT = frozenset({PORTMAP, NLM, NSM, MOUNT})
Reader = Callable[[Builder, Texts, Ints, Procedure, NDArray[np.uint8], Ints, Ints], None]


@dataclass(slots=True)
class _Open:
    """All transmissions of one call: rows of the table, those without an answer, and what the call said."""

    digest: int
    time: int
    rows: list[int]
    unanswered: list[int]


@dataclass(slots=True)
class _Match:
    """What a batch's messages are: indices of messages, and rows of the table that they make or answer."""

    calls: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    surplus: list[int] = field(default_factory=list)  # rows that were answered once more than they were sent

    def call(self, message: int, row: int, repeats: int = NONE) -> None:
        self.calls.append(message)
        self.rows.append(row)
        self.repeats.append(repeats)

    def reply(self, message: int, row: int) -> None:
        self.replies.append(message)
        self.answered.append(row)


@dataclass(slots=True)
class Pairing:
    """Turns batches of messages into the table of calls. ``dropped`` counts calls that were closed unanswered for
    want of room.
    """

    texts: Texts
    table: Builder = field(default_factory=Builder)
    dropped: int = 0
    _open: dict[Key, _Open] = field(default_factory=dict)
    _ports: dict[tuple[int, int, bool], tuple[int, int]] = field(default_factory=dict)
    _messages: int = 0

    def add(self, messages: Messages) -> None:
        """Take the next batch. Never raises on any bytes."""
        buf = np.frombuffer(messages.arena, np.uint8)
        headers = read_headers(buf, messages.at, messages.end)
        match = self._match(messages, headers)
        self._fill_calls(messages, headers, buf, match)
        self._fill_replies(messages, headers, buf, match)
        self._messages += len(messages.at)

    def finish(self) -> Calls:
        """The whole table, in the order of the recording."""
        return self.table.finish()

    def _match(self, m: Messages, h: Headers) -> _Match:
        match, row = _Match(), self.table.rows
        columns = (
            h.kind,
            h.xid,
            m.src,
            m.dst,
            m.sport,
            m.dport,
            m.tcp,
            m.at,
            m.end,
            m.time,
            h.program,
            h.version,
            m.duplicate,
        )
        everything = zip(*(column.tolist() for column in columns), strict=True)
        for i, (kind, xid, src, dst, sport, dport, tcp, at, end, time, program, version, copy) in enumerate(everything):
            if copy:
                continue
            if kind == 0 and program in KEPT:
                digest = hash(m.arena[at:end])
                key = (src, sport, dst, dport, tcp, xid)
                known = self._open.get(key)
                if known is None or known.digest != digest or time - known.time > REPEAT_WITHIN:
                    self._open.pop(key, None)  # its place is that of the newest now
                    known = self._open[key] = _Open(digest, time, [], [])
                match.call(i, row, known.rows[0] if known.rows else NONE)
                known.rows.append(row)
                known.unanswered.append(row)
                self._ports[dst, dport, tcp] = (program, version)
                row += 1
            elif kind == 1:
                known = self._open.get((dst, dport, src, sport, tcp, xid))
                if known is None:
                    match.call(i, row)
                    match.reply(i, row)
                    row += 1
                elif known.unanswered:
                    match.reply(i, known.unanswered.pop(-1 if tcp else 0))
                else:
                    match.surplus.append(known.rows[-1])
        while len(self._open) > OPEN_CALLS:
            self.dropped += bool(self._open.pop(next(iter(self._open))).unanswered)
        return match

    def _fill_calls(self, m: Messages, h: Headers, buf: NDArray[np.uint8], match: _Match) -> None:
        table, i = self.table, np.array(match.calls, np.int64)
        rows = table.extend(len(i))
        orphan = h.kind[i] == 1
        table["order"][rows] = self._messages + i
        table["time"][rows], table["capture"][rows] = m.time[i], m.capture[i]
        table["frame"][rows] = np.where(orphan, 0, m.frame[i])
        # an answer without its call still tells who asked whom
        for name, call, reply in (
            ("src", m.src, m.dst),
            ("dst", m.dst, m.src),
            ("sport", m.sport, m.dport),
            ("dport", m.dport, m.sport),
        ):
            table[name][rows] = np.where(orphan, reply[i], call[i])
        table["tcp"][rows], table["stream"][rows] = m.tcp[i], m.stream[i]
        table["repeats"][rows] = match.repeats
        for name in ("xid", "program", "version", "procedure"):
            table[name][rows] = getattr(h, name)[i]
        named = ~orphan & (h.machinename_at[i] > 0)
        where = np.arange(rows.start, rows.stop)
        table["machinename"][where[named]] = intern(
            self.texts, buf, h.machinename_at[i][named], h.machinename_len[i][named]
        )
        table["service"][rows] = np.maximum(h.service[i], 0)
        table["encrypted"][rows] = h.encrypted[i]
        table["cut"][rows] = ~orphan & (m.length[i] > m.end[i] - m.at[i])
        clear = ~orphan & ~h.encrypted[i]
        table["bad"][rows] = np.where(clear & (h.body[i] < 0), TRUNCATED, OK)  # cut within the header, before the body
        readable = clear & (h.body[i] >= 0)
        self._bodies(read_args, buf, where[readable], h.body[i][readable], h.body_end[i][readable])

    def _fill_replies(self, m: Messages, h: Headers, buf: NDArray[np.uint8], match: _Match) -> None:
        table, i, rows = self.table, np.array(match.replies, np.int64), np.array(match.answered, np.int64)
        table["reply_order"][rows] = self._messages + i
        for name in ("time", "capture", "frame"):
            table[f"reply_{name}"][rows] = getattr(m, name)[i]
        np.add.at(table["replies"], np.array([*match.answered, *match.surplus], np.int64), 1)
        denied = np.where(h.reject_stat[i] == 0, RPC_MISMATCH, AUTH_ERROR)
        status = np.where(h.reply_stat[i] == 0, h.accept_stat[i], denied)
        table["rpc_status"][rows] = np.where(h.bad[i] == Bad.REPLY_STATUS, NONE, status)
        table["low"][rows], table["high"][rows] = h.low[i], h.high[i]
        table["reply_bad"][rows] = np.where(h.bad[i] == OK, OK, TRUNCATED)
        table["reply_cut"][rows] = m.length[i] > m.end[i] - m.at[i]
        self._guess_programs(rows)
        service = np.zeros(len(h.kind), np.int64)
        service[i] = table["service"][rows]
        h = unwrap_replies(h, buf, service)
        readable = (h.accept_stat[i] == 0) & (h.body[i] >= 0) & (table["encrypted"][rows] == 0)
        self._bodies(read_results, buf, rows[readable], h.body[i][readable], h.body_end[i][readable])
        unasked = readable & (table["frame"][rows] == 0)
        for row, at, end in zip(
            rows[unasked].tolist(), h.body[i][unasked].tolist(), h.body_end[i][unasked].tolist(), strict=True
        ):
            read_unasked(table, self.texts, row, buf, at, end)

    def _guess_programs(self, rows: NDArray[np.int64]) -> None:
        """An answer without its call: the port that it comes from tells the program, if calls to it were seen."""
        table = self.table
        for row in rows[table["frame"][rows] == 0].tolist():
            dst, dport, tcp = (int(table[name][row]) for name in ("dst", "dport", "tcp"))
            program, version = self._ports.get((dst, dport, bool(tcp)), (NONE, NONE))
            table["program"][row], table["version"][row] = program, version

    def _bodies(self, read: Reader, buf: NDArray[np.uint8], rows: Ints, at: Ints, end: Ints) -> None:
        table = self.table
        kind = np.zeros(len(rows), np.int64)
        for name in ("program", "version", "procedure"):
            values, which = np.unique(table[name][rows], return_inverse=True)
            kind = kind * len(values) + which
        for number in np.unique(kind).tolist():
            of = kind == number
            one = rows[of.argmax()]
            procedure = find(*(int(table[name][one]) for name in ("program", "version", "procedure")))
            if procedure is not None:
                read(table, self.texts, rows[of], procedure, buf, at[of], end[of])
