"""Signs that a host lived on: what goes on from before a moment to after it, and could not over a restart.

Three things: a TCP connection of the host, the xids of its lock calls over UDP, which a Linux kernel counts up (in
little-endian order) from a random start at every boot and every transport, and a write verifier that its nfsd must
change. A host that restarted has none of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from nlmdissect.capture.messages import Stream
from nlmdissect.findings import At
from nlmdissect.hosts.over_time import OverTime
from nlmdissect.hosts.verifiers import Verifiers
from nlmdissect.protocols import NLM
from nlmdissect.rpc.calls import NONE, Calls

REBOOT = 2 * 10**9  # ns; no host is back earlier
SMALL_HOLE = 16  # xids; a wider one is another way of counting


class Span(NamedTuple):
    """The same life from ``first`` to ``last`` (ns), and what says so."""

    first: int
    last: int
    text: str
    tcp: bool


class Step(NamedTuple):
    """One call over UDP whose xid follows that of the flow's call before; ``missing`` xids lie between them."""

    src: int
    dst: int
    before: At
    at: At
    missing: int


@dataclass(slots=True)
class Lives:
    """Spans of one life, by host."""

    spans: dict[int, list[Span]] = field(default_factory=lambda: defaultdict(list))
    _sorted: dict[int, list[OverTime[Span]]] = field(default_factory=dict)  # made when somebody asks
    left: dict[int, int] = field(default_factory=dict)  # when the first connection that was never closed fell silent

    def lived_on(self, host: int, before: int, after: int) -> str:
        """What shows that ``host`` did not restart between two moments (ns), as a sentence; empty if nothing does.

        A connection that began seconds after another one was left open and silent may be of a new life: it shows
        nothing.
        """
        if host not in self._sorted:
            left = self.left.get(host)
            old = [s for s in self.spans.get(host, ()) if not s.tcp or left is None or s.first <= left + REBOOT]
            kinds = [[s for s in old if s.tcp], [s for s in old if not s.tcp]]
            self._sorted[host] = [OverTime(of, lambda s: s.first, lambda s: s.last) for of in kinds]
        found = (kind.over(before, after) for kind in self._sorted[host])
        return next((s.text for s in found if s is not None), "")


def lives(streams: list[Stream], calls: Calls, verifiers: Verifiers) -> Lives:
    """Collect the spans of all hosts."""
    found = Lives()
    for s in streams:
        if s.tcp:
            text = f"its TCP connection from port {s.sport} to port {s.dport} goes on"
            found.spans[s.src].append(Span(s.first_time, s.last_time, text, True))
        if s.tcp and (not s.ended or (s.ended, s.ended_by) == ("rst", s.src)):
            found.left[s.src] = min(s.last_time, found.left.get(s.src, s.last_time))
    for step in counted(calls):
        found.spans[step.src].append(Span(step.before.time, step.at.time, "the xids of its calls count on", False))
    for server, of in verifiers.kept.items():
        found.spans[server] += [
            Span(v.first.time, v.last.time, "its NFS write verifier stays the same", False) for v in of if v.loose
        ]
    return found


def counted(calls: Calls) -> Iterator[Step]:
    """Lock calls over UDP whose xids count up from one to the next."""
    fresh = (calls.program == NLM) & (calls.tcp == 0) & (calls.frame != 0) & (calls.repeats == NONE)
    rows = np.flatnonzero(fresh)
    flows = (calls.dst[rows], calls.sport[rows], calls.src[rows])
    order = np.lexsort(flows)  # stable: the calls of a flow in their order
    rows = rows[order]
    xids = calls.xid[rows].astype(np.uint32).byteswap().astype(np.int64)
    by = np.diff(xids) % 2**32
    same = np.logical_and.reduce([np.diff(column[order]) == 0 for column in flows])
    hits = np.flatnonzero(same & (by >= 1) & (by <= SMALL_HOLE))
    for hit in hits[np.argsort(rows[hits + 1])].tolist():
        before, row = int(rows[hit]), int(rows[hit + 1])
        yield Step(int(calls.src[row]), int(calls.dst[row]), calls.at(before), calls.at(row), int(by[hit]) - 1)
