"""SM_NOTIFY as sent: tries, their look-ups and their answers, between two hosts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from nlmdissect.findings import At
from nlmdissect.hosts.names import SM_NOTIFY
from nlmdissect.protocols import NSM, PORTMAP
from nlmdissect.rpc.calls import NONE, Calls, Texts

GETPORT, GETVERSADDR = 3, 9


@dataclass(frozen=True, slots=True)
class Try:
    """One SM_NOTIFY. ``answered`` is None if no answer was seen, ``refused`` if it was answered with an RPC error."""

    at: At
    sender: int
    receiver: int
    name: str
    state: int
    port: int
    answered: At | None
    refused: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question for the port of statd. ``port`` is None if it was never answered, 0 if statd is not registered."""

    at: At
    answered: At | None
    port: int | None


@dataclass(slots=True)
class Notices:
    """``tries`` and ``lookups`` by (sender, receiver), in time order."""

    tries: dict[tuple[int, int], list[Try]] = field(default_factory=lambda: defaultdict(list))
    lookups: dict[tuple[int, int], list[Lookup]] = field(default_factory=lambda: defaultdict(list))


def notices(calls: Calls, texts: Texts) -> Notices:
    """Read all of them from the table of calls."""
    found = Notices()
    notify = (calls.program == NSM) & (calls.procedure == SM_NOTIFY) & (calls.frame != 0)
    for row in notify.nonzero()[0].tolist():
        pair = int(calls.src[row]), int(calls.dst[row])
        answered = calls.reply_at(row) if calls.reply_frame[row] else None
        name = texts[int(calls.mon_name[row])].decode("utf-8", "backslashreplace")
        found.tries[pair].append(
            Try(calls.at(row), *pair, name, int(calls.state[row]), int(calls.dport[row]), answered, bool(calls.rpc_status[row] > 0))
        )
    asks = (calls.procedure == GETPORT) | ((calls.version == 4) & (calls.procedure == GETVERSADDR))
    lookup = (calls.program == PORTMAP) & (calls.asked_program == NSM) & asks & (calls.frame != 0)
    for row in lookup.nonzero()[0].tolist():
        answered = calls.reply_at(row) if calls.reply_frame[row] else None
        port = int(calls.port[row]) if answered and calls.port[row] != NONE else None
        found.lookups[int(calls.src[row]), int(calls.dst[row])].append(Lookup(calls.at(row), answered, port))
    return found
