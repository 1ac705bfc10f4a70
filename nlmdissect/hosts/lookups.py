"""Questions to portmap or rpcbind for the port of lockd, and what they were told."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from nlmdissect.findings import At
from nlmdissect.protocols import NLM, PORTMAP
from nlmdissect.rpc.calls import NONE, Calls, Texts

GETPORT, GETVERSADDR = 3, 9
TCP = 6


@dataclass(frozen=True, slots=True)
class Lookup:
    """One question. ``port`` is None if it was never answered, 0 if that version is not registered.

    ``version`` is the NLM version asked for; ``tcp`` is None where rpcbind takes the transport of the question itself.
    """

    at: At
    answered: At | None
    asker: int
    asked: int
    version: int
    tcp: bool | None
    port: int | None


class Lookups(list[Lookup]):
    """All of a recording, and those of one host about another. Not changed any more once somebody asks."""

    def __init__(self, found: Iterable[Lookup]) -> None:
        super().__init__(found)
        self._of: dict[tuple[int, int], list[Lookup]] = {}

    def of(self, asker: int, asked: int) -> list[Lookup]:
        """What one host asked another, in order."""
        for look in () if self._of else sorted(self, key=lambda look: look.at):
            self._of.setdefault((look.asker, look.asked), []).append(look)
        return self._of.get((asker, asked), [])

    def between(self, asker: int, asked: int, start: int, end: int | None) -> list[Lookup]:
        """The same from one moment on, and before another (ns)."""
        found = self.of(asker, asked)
        first = bisect_left(found, start, key=_time)
        return found[first : None if end is None else bisect_left(found, end, key=_time)]


def _time(look: Lookup) -> int:
    return look.at.time


def lookups(calls: Calls, texts: Texts) -> Lookups:
    """All of them, in the order of the recording. GETADDR stands for GETPORT in rpcbind 3 and 4."""
    asks = (calls.procedure == GETPORT) | ((calls.version == 4) & (calls.procedure == GETVERSADDR))
    of = (calls.program == PORTMAP) & (calls.asked_program == NLM) & asks & (calls.frame != 0)
    found = []
    for row in of.nonzero()[0].tolist():
        said = calls.reply_frame[row] and calls.rpc_status[row] == 0 and calls.port[row] != NONE
        protocol, netid = int(calls.asked_protocol[row]), texts[int(calls.netid[row])]
        tcp = netid.startswith(b"tcp") if netid else None if protocol == NONE else protocol == TCP
        found.append(
            Lookup(
                at=calls.at(row),
                answered=calls.reply_at(row) if calls.reply_frame[row] else None,
                asker=int(calls.src[row]),
                asked=int(calls.dst[row]),
                version=int(calls.asked_version[row]),
                tcp=tcp,
                port=int(calls.port[row]) if said else None,
            )
        )
    return Lookups(found)
