"""Which hosts get a lane of their own, worst first, and which share the last one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from nlmdissect.analysis import Analysis
from nlmdissect.findings import Finding
from nlmdissect.hosts.boot import Boot
from nlmdissect.report.verdict import ABOUT_THE_CAPTURE

SERVERS = 4  # lanes for them, unless there is room


@dataclass(frozen=True, slots=True)
class Lanes:
    """``hosts`` in the order of their lanes, servers first; ``folded`` are those of the last lane."""

    hosts: tuple[int, ...]
    servers: int
    folded: tuple[int, ...]
    places: Mapping[int, int]

    def of(self, host: int | None) -> int | None:
        """The lane of a host; None where it has none."""
        return None if host is None else self.places.get(host)


def relevant(analysis: Analysis, boot: Boot | None) -> list[Finding]:
    """Findings about this restart, or about none at all; those about the capture say nothing of hosts."""
    return [
        f
        for f in analysis.findings
        if not f.code.startswith(ABOUT_THE_CAPTURE) and (boot is None or f.boot is None or f.boot == boot.number)
    ]


def choose(analysis: Analysis, boot: Boot | None, asked: frozenset[int] | None, most: int) -> Lanes:
    """``asked``: these hosts alone. At most ``most`` lanes, the shared one included."""
    names = analysis.history.names
    harm = _harm(analysis, boot)
    involved = set(names.roles) | set(harm)
    if boot is not None:
        involved.add(boot.host)
    if asked is not None:
        involved &= asked
    ranked = sorted(involved, key=lambda host: (*(-x for x in harm.get(host, (0, 0, 0))), names.address(host)))
    servers = [host for host in ranked if "server" in names.roles.get(host, ())]
    clients = [host for host in ranked if host not in servers]
    room = max(min(SERVERS, most // 3), most - len(clients) - 1, 1)
    kept = servers[:room]
    left = max(most - len(kept) - 1, 1)
    if len(servers) <= room and len(clients) <= left + 1:
        left = len(clients)
    own, folded = (*kept, *clients[:left]), (*servers[room:], *clients[left:])
    places = {host: lane for lane, host in enumerate(own)} | dict.fromkeys(folded, len(own))
    return Lanes(own, len(kept), folded, places)


def _harm(analysis: Analysis, boot: Boot | None) -> dict[int, tuple[int, int, int]]:
    """Host -> (worst severity + 1 of what it suffered, locks that it lost, locks that it had to recover)."""
    found: dict[int, tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
    for finding in relevant(analysis, boot):
        for host in (finding.client, finding.other, finding.server):
            if host is not None:
                suffers = (finding.severity or 0) + (1 if host == finding.client else 0)
                worst, lost, held = found[host]
                mine = len(finding.locks) if host == finding.client else 0
                found[host] = (max(worst, suffers), max(lost, mine), held)
    for row in analysis.history.recoveries:
        if boot is None or row.boot is boot:
            counts = row.counts()
            worst, lost, held = found[row.peer]
            broken = counts["stolen"] + counts["refused"] + counts["missing"]
            found[row.peer] = (worst, max(lost, broken), held + sum(counts.values()))
    return found
