"""SM_NOTIFY as sent: tries, their look-ups and their answers, between two hosts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from nlmdissect.findings import At
from nlmdissect.hosts.boot import Boot
from nlmdissect.hosts.names import SM_NOTIFY
from nlmdissect.protocols import NSM, PORTMAP
from nlmdissect.rpc.calls import NONE, RPC_STATUS, Calls, Texts

GETPORT, GETVERSADDR = 3, 9
SMALL_HOLE = 16  # xids; a wider one is another way of counting


@dataclass(frozen=True, slots=True)
class Try:
    """One SM_NOTIFY. ``answered`` is None if no answer was seen, ``error`` is an RPC error."""

    at: At
    sender: int
    receiver: int
    name: str
    state: int
    port: int
    answered: At | None
    error: str  # the RPC error that it was answered with, if any

    @property
    def refused(self) -> bool:
        return bool(self.error)


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question for the port of statd. ``port`` is None if it was never answered, 0 if statd is not registered."""

    at: At
    answered: At | None
    port: int | None


Sent = TypeVar("Sent", Try, Lookup)


class Datagram(NamedTuple):
    """One SM_NOTIFY or look-up: sm-notify sends both from one port and counts its xids up over all of them."""

    time: int
    sport: int
    xid: int


@dataclass(slots=True)
class Notices:
    """``tries`` and ``lookups`` by (sender, receiver), ``sent`` by sender, all in time order."""

    tries: dict[tuple[int, int], list[Try]] = field(default_factory=lambda: defaultdict(list))
    lookups: dict[tuple[int, int], list[Lookup]] = field(default_factory=lambda: defaultdict(list))
    sent: dict[int, list[Datagram]] = field(default_factory=lambda: defaultdict(list))
    _by: dict[int, list[Try]] = field(default_factory=dict)  # made when somebody asks: all are there by then
    _to: dict[int, list[Try]] = field(default_factory=dict)
    _unseen: dict[tuple[int, int, int], str] = field(default_factory=dict)
    _asked: dict[int, list[int]] = field(default_factory=dict)  # when look-ups were sent (ns), by sender

    def by(self, sender: int) -> list[Try]:
        """What a host sent, in time order."""
        self._sort()
        return self._by.get(sender, [])

    def to(self, receiver: int) -> list[Try]:
        """What was sent to a host, in time order."""
        self._sort()
        return self._to.get(receiver, [])

    def _sort(self) -> None:
        if not self._by:
            for t in sorted((t for tries in self.tries.values() for t in tries), key=_at):
                self._by.setdefault(t.sender, []).append(t)
                self._to.setdefault(t.receiver, []).append(t)

    def receivers(self) -> dict[int, list[int]]:
        """Whom each sender of notices, or of look-ups for them, spoke to."""
        found: dict[int, list[int]] = defaultdict(list)
        for sender, receiver in dict.fromkeys([*self.tries, *self.lookups]):
            found[sender].append(receiver)
        return found

    def unseen(self, sender: int, start: int, end: int) -> str:
        """Why some of what ``sender`` announced in a span (ns) is not in the capture; empty if nothing says so."""
        if (sender, start, end) not in self._unseen:
            self._unseen[sender, start, end] = self._hole(sender, start, end)
        return self._unseen[sender, start, end]

    def _hole(self, sender: int, start: int, end: int) -> str:
        if not self._asked:
            for look, of_whom in ((look, s) for (s, _), looks in self.lookups.items() for look in looks):
                insort(self._asked.setdefault(of_whom, []), look.at.time)
        sent, asked = self.sent.get(sender, []), self._asked.get(sender, [])
        of = sent[bisect_left(sent, start, key=_time) : bisect_right(sent, end, key=_time)]
        if of and bisect_left(asked, start) == bisect_right(asked, end):
            return "its SM_NOTIFYs are here, the port look-ups before them are not"
        xids_of: dict[int, set[int]] = defaultdict(set)
        for d in of:
            xids_of[d.sport].add(d.xid)
        for xids in xids_of.values():
            if 0 < max(xids) - min(xids) + 1 - len(xids) <= len(xids) + SMALL_HOLE:
                return "the xids of its sm-notify have a hole: something that it sent is not here"
        return ""


def between(tries: list[Try], start: At, end: At) -> list[Try]:
    """Those of tries in time order that come after one moment and before another."""
    return tries[bisect_right(tries, start, key=_at) : bisect_left(tries, end, key=_at)]


def _at(t: Try) -> At:
    return t.at


def _time(sent: Datagram) -> int:
    return sent.time


def within(items: list[Sent], boot: Boot) -> Iterator[Sent]:
    """Those of one life, of items in time order."""
    first = bisect_left(items, boot.not_after.time, key=lambda item: item.at.time)
    for item in items[first:]:
        if not boot.during(item.at):
            return
        yield item


def notices(calls: Calls, texts: Texts) -> Notices:
    """Read all of them from the table of calls."""
    found = Notices()
    notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.frame != 0)
    for row in notify.nonzero()[0].tolist():
        pair = int(calls.src[row]), int(calls.dst[row])
        answered = calls.reply_at(row) if calls.reply_frame[row] else None
        name = texts[int(calls.mon_name[row])].decode("utf-8", "backslashreplace")
        found.tries[pair].append(
            Try(
                calls.at(row),
                *pair,
                name,
                int(calls.state[row]),
                int(calls.dport[row]),
                answered,
                RPC_STATUS[calls.rpc_status[row]] if calls.rpc_status[row] > 0 else "",
            )
        )
    asks = (calls.procedure == GETPORT) | ((calls.version == 4) & (calls.procedure == GETVERSADDR))
    lookup = (calls.program == PORTMAP) & (calls.asked_program == NSM) & asks & (calls.frame != 0)
    for row in lookup.nonzero()[0].tolist():
        answered = calls.reply_at(row) if calls.reply_frame[row] else None
        port = int(calls.port[row]) if answered and calls.port[row] != NONE else None
        found.lookups[int(calls.src[row]), int(calls.dst[row])].append(Lookup(calls.at(row), answered, port))
    for row in ((notify | lookup) & (calls.tcp == 0)).nonzero()[0].tolist():
        found.sent[int(calls.src[row])].append(
            Datagram(int(calls.time[row]), int(calls.sport[row]), int(calls.xid[row]))
        )
    return found
