"""Which reply belongs to which call.

A call and its answer are the same two endpoints, the same two ports, the same transport and the same xid (RFC
5531): nothing less, for xids and ports repeat between hosts and between the lives of one host. A call with the key
and the bytes of an earlier one is a retransmission of it; with other bytes it is a new call that happens to use the
number again. Over UDP an answer belongs to the oldest transmission that has none yet; over TCP to the newest, for a
repeated TCP call means that the older connection is dead.

Nearly all calls are alone with their key, or with one answer behind them: these are matched by column, and remembered
as numbers. All others go one by one. Calls of earlier batches stay open: their answers may come in later ones. The
number of open calls is bounded; the oldest are closed first, and that is a defect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlmdissect.capture.messages import Messages
from nlmdissect.groups import digests, groups, mixed
from nlmdissect.protocols import MOUNT, NLM, NSM, PORTMAP
from nlmdissect.rpc.calls import I64, NONE, Builder
from nlmdissect.rpc.headers import CALL, REPLY, Headers

OPEN_CALLS = 1_000_000
REPEAT_WITHIN = 600 * 10**9  # ns; no implementation retransmits one xid for longer than that
KEPT = (PORTMAP, NLM, NSM, MOUNT)
KEY = ("src", "sport", "dst", "dport", "tcp", "xid")  # columns of the table of calls

Key = tuple[int, ...]
U64 = NDArray[np.uint64]


@dataclass(slots=True)
class _Open:
    """All transmissions of one call: rows of the table, those without an answer, and what the call said."""

    mixed: int
    digest: int
    time: int
    rows: list[int]
    unanswered: list[int]


@dataclass(slots=True)
class _Settled:
    """Calls of one batch that were alone with their keys, sorted by what is mixed of them. Row ``NONE``: not so any
    more.
    """

    mixed: U64
    row: I64
    digest: I64
    time: I64
    answered: NDArray[np.bool_]

    def take(self, places: NDArray[Any]) -> _Settled:
        return _Settled(
            self.mixed[places], self.row[places], self.digest[places], self.time[places], self.answered[places]
        )


@dataclass(slots=True)
class Match:
    """What a batch's messages are: indices of messages, and rows of the table that they make or answer.

    Shapes:  the rows that ``calls`` make follow each other; ``repeats`` has one element for each of them; ``replies``
    and ``answered`` are as long as each other. ``surplus`` are rows that were answered once more than they were sent.
    """

    calls: list[int] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    surplus: list[int] = field(default_factory=list)

    def call(self, message: int, repeats: int = NONE) -> None:
        self.calls.append(message)
        self.repeats.append(repeats)

    def reply(self, message: int, row: int) -> None:
        self.replies.append(message)
        self.answered.append(row)


@dataclass(slots=True)
class Matcher:
    """Remembers the open calls. ``dropped`` counts those that were closed unanswered for want of room."""

    table: Builder
    dropped: int = 0
    _open: dict[Key, _Open] = field(default_factory=dict)
    _settled: list[_Settled] = field(default_factory=list)

    def match(self, m: Messages, h: Headers) -> Match:
        """What the messages of the next batch are; ``table`` gets its rows afterwards."""
        call = (h.kind == CALL) & np.isin(h.program, KEPT)
        taken = ((call | (h.kind == REPLY)) & ~m.duplicate).nonzero()[0]
        if not len(taken):
            return Match()
        called = call[taken]
        ends = ((m.src, m.dst), (m.sport, m.dport), (m.dst, m.src), (m.dport, m.sport))
        keys = [np.where(called, mine[taken], other[taken]) for mine, other in ends] + [m.tcp[taken], h.xid[taken]]
        first, which = groups(*keys)
        key = mixed(*keys)
        alone = (np.bincount(which, called) == 1) & (np.bincount(which) <= 2) & called[first] & ~self._known(key[first])
        digest = np.zeros(len(taken), np.int64)
        buf = np.frombuffer(m.arena, np.uint8)
        digest[called] = digests(buf, m.at[taken][called], m.end[taken][called]).view(np.int64)
        match = self._alone(m, taken, first, which, called, alone, key, digest)
        others = (~alone[which]).nonzero()[0]
        columns = [column[others] for column in (taken, called, digest, key)]
        self._one_by_one(m, columns, [column[others] for column in keys], match)
        self._close()
        return match

    def _alone(
        self, m: Messages, taken: I64, first: I64, which: I64, called: NDArray[np.bool_], alone: NDArray[np.bool_],
        key: U64, digest: I64,
    ) -> Match:  # fmt: skip
        """The calls like no other, and their answers."""
        message = taken[first[alone]]
        row = np.cumsum(alone) - 1 + self.table.rows
        reply = (alone[which] & ~called).nonzero()[0]
        answered = row[which[reply]]
        has_answer = np.zeros(len(message), np.bool_)
        has_answer[answered - self.table.rows] = True
        if not len(message):
            return Match()
        settled = _Settled(key[first[alone]], row[alone], digest[first[alone]], m.time[message], has_answer)
        self._settled.append(settled.take(np.argsort(settled.mixed)))
        repeats = [NONE] * len(message)
        return Match(message.tolist(), repeats, taken[reply].tolist(), answered.tolist())

    def _one_by_one(
        self, m: Messages, columns: list[NDArray[Any]], keys: list[I64], match: Match
    ) -> None:
        """``columns`` are the messages, which of them are calls, their digests, and what is mixed of their keys."""
        rows = zip(
            *(column.tolist() for column in columns), m.time[columns[0]].tolist(),
            zip(*(k.tolist() for k in keys), strict=True), strict=True,
        )  # fmt: skip
        row = self.table.rows + len(match.calls)
        for i, is_call, digest, mix, time, key in rows:
            known = self._find(key, mix)
            if is_call:
                if known is None or known.digest != digest or time - known.time > REPEAT_WITHIN:
                    self._open.pop(key, None)  # its place is that of the newest now
                    known = self._open[key] = _Open(mix, digest, time, [], [])
                match.call(i, known.rows[0] if known.rows else NONE)
                known.rows.append(row)
                known.unanswered.append(row)
                row += 1
            elif known is None:
                match.call(i)
                match.reply(i, row)
                row += 1
            elif known.unanswered:
                match.reply(i, known.unanswered.pop(-1 if key[4] else 0))
            else:
                match.surplus.append(known.rows[-1])

    def _known(self, mixes: U64) -> NDArray[np.bool_]:
        """Which keys earlier batches have, or may have."""
        known = np.isin(mixes, np.fromiter((of.mixed for of in self._open.values()), np.uint64, len(self._open)))
        order = np.argsort(mixes)  # to look for neighbours one after the other is three times as fast
        ordered = mixes[order]
        for batch in self._settled:
            place = np.searchsorted(batch.mixed, ordered)
            known[order] |= batch.mixed[np.minimum(place, len(batch.mixed) - 1)] == ordered
        return known

    def _find(self, key: Key, mix: int) -> _Open | None:
        """The call with a key. One of an earlier batch is among those that go one by one from now on."""
        known = self._open.get(key)
        if known is not None:
            return known
        for batch in reversed(self._settled):
            place = int(np.searchsorted(batch.mixed, np.uint64(mix)))
            while place < len(batch.mixed) and batch.mixed[place] == mix:
                row = int(batch.row[place])
                if row != NONE and row < self.table.rows and key == tuple(int(self.table[name][row]) for name in KEY):
                    batch.row[place] = NONE
                    unanswered = [] if batch.answered[place] else [row]
                    found = _Open(mix, int(batch.digest[place]), int(batch.time[place]), [row], unanswered)
                    self._open[key] = found
                    return found
                place += 1
        return None

    def _close(self) -> None:
        """Close the oldest calls if there are too many."""
        excess = len(self._open) + sum(len(batch.row) for batch in self._settled) - OPEN_CALLS
        while excess > 0 and self._settled:
            batch = self._settled[0]
            old = np.argsort(batch.row)[:excess]
            self.dropped += int(((batch.row[old] != NONE) & ~batch.answered[old]).sum())
            excess -= len(old)
            left = np.ones(len(batch.row), np.bool_)
            left[old] = False
            self._settled[:1] = [batch.take(left)] if left.any() else []
        while len(self._open) > OPEN_CALLS:
            self.dropped += bool(self._open.pop(next(iter(self._open))).unanswered)
