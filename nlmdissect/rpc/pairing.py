"""Messages of the wire become rows of the table of calls, each call with its answer.

Which reply belongs to which call, ``matching.py`` says. Bodies are read here: what an answer says depends on its call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.messages import Messages
from nlmdissect.groups import groups
from nlmdissect.protocols import Procedure, find
from nlmdissect.rpc.bodies import Ints, intern, read_args, read_results, read_unasked
from nlmdissect.rpc.calls import AUTH_ERROR, NONE, RPC_MISMATCH, Builder, Calls, Texts
from nlmdissect.rpc.headers import REPLY, Bad, Headers, read_headers, unwrap_replies
from nlmdissect.rpc.matching import Match, Matcher
from nlmdissect.xdr.columns import OK, TRUNCATED

Reader = Callable[[Builder, Texts, Ints, Procedure, NDArray[np.uint8], Ints, Ints], None]


@dataclass(slots=True)
class Pairing:
    """Turns batches of messages into the table of calls."""

    texts: Texts
    table: Builder = field(default_factory=Builder)
    _matcher: Matcher = field(init=False)
    _ports: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    _messages: int = 0

    def __post_init__(self) -> None:
        self._matcher = Matcher(self.table)

    @property
    def dropped(self) -> int:
        """Calls that were closed unanswered for want of room."""
        return self._matcher.dropped

    def add(self, messages: Messages) -> None:
        """Take the next batch. Never raises on any bytes."""
        buf = np.frombuffer(messages.arena, np.uint8)
        headers = read_headers(buf, messages.at, messages.end)
        match = self._matcher.match(messages, headers)
        self._fill_calls(messages, headers, buf, match)
        self._fill_replies(messages, headers, buf, match)
        self._messages += len(messages.at)

    def finish(self) -> Calls:
        """The whole table, in the order of the recording."""
        return self.table.finish()

    def _fill_calls(self, m: Messages, h: Headers, buf: NDArray[np.uint8], match: Match) -> None:
        table, i = self.table, np.array(match.calls, np.int64)
        rows = table.extend(len(i))
        orphan = h.kind[i] == REPLY
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
        self._learn(rows, orphan)
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

    def _fill_replies(self, m: Messages, h: Headers, buf: NDArray[np.uint8], match: Match) -> None:
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

    def _learn(self, rows: slice, orphan: NDArray[np.bool_]) -> None:
        """Which program each port is of, by the last call to it."""
        names = ("dst", "dport", "tcp", "program", "version")
        columns = [self.table[name][rows][~orphan] for name in names]
        order = np.argsort(self.table["order"][rows][~orphan])[::-1]  # the last one first
        last, _ = groups(*(column[order] for column in columns[:3]))
        for *port, program, version in zip(*(column[order[last]].tolist() for column in columns), strict=True):
            self._ports[tuple(port)] = program, version

    def _guess_programs(self, rows: NDArray[np.int64]) -> None:
        """An answer without its call: the port that it comes from tells the program, if calls to it were seen."""
        table = self.table
        for row in rows[table["frame"][rows] == 0].tolist():
            dst, dport, tcp = (int(table[name][row]) for name in ("dst", "dport", "tcp"))
            program, version = self._ports.get((dst, dport, tcp), (NONE, NONE))
            table["program"][row], table["version"][row] = program, version

    def _bodies(self, read: Reader, buf: NDArray[np.uint8], rows: Ints, at: Ints, end: Ints) -> None:
        table = self.table
        kinds = [table[name][rows] for name in ("program", "version", "procedure")]
        first, which = groups(*kinds)
        for number, one in enumerate(first.tolist()):
            procedure = find(*(int(kind[one]) for kind in kinds))
            if procedure is not None:
                of = which == number
                read(table, self.texts, rows[of], procedure, buf, at[of], end[of])
