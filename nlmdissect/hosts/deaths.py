"""Signs that a host is down: what the network says of one that was never heard again.

ARP requests for it that nobody answers, or ICMP "host unreachable" about it. Silence alone is no sign: an idle client
is silent too.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from nlmdissect.capture.messages import Kind, Signal, Traffic
from nlmdissect.findings import At

UNANSWERED_PROBES = 3
HOST_UNREACHABLE = frozenset({(3, 1), (1, 3)})  # ICMP and ICMPv6


class Death(NamedTuple):
    """``last`` is when the host was last heard (ns), ``at`` the first sign after it, ``text`` what it is."""

    last: int
    at: At
    text: str


def deaths(signals: list[Signal], traffic: Traffic) -> dict[int, Death]:
    """The hosts that are down at the end of the recording, by all that it shows."""
    last: dict[int, int] = defaultdict(int)
    for span in traffic.activity:
        last[span.src] = max(last[span.src], span.last)
    arp = [s for s in signals if s.kind is Kind.ARP]
    for s in arp:
        last[s.src] = max(last[s.src], s.at.time)
    asked: dict[int, list[At]] = defaultdict(list)
    for s in arp:
        if s.a == 1 and s.src != s.dst and s.at.time > last[s.dst]:
            asked[s.dst].append(s.at)
    found = {
        host: Death(last[host], at[0], f"ARP request for it, the first of {len(at)} without a reply")
        for host, at in asked.items()
        if len(at) >= UNANSWERED_PROBES
    }
    for s in signals:
        if s.kind is Kind.ICMP and (s.a, s.b) in HOST_UNREACHABLE and s.quoted and s.at.time > last[s.quoted.dst]:
            found.setdefault(s.quoted.dst, Death(last[s.quoted.dst], s.at, "ICMP host unreachable about it"))
    return found
