"""SM_NOTIFYs without a restart: notices of a host that demonstrably lived on, from itself or from somebody in its name.

A notice is often the first packet of a restarted host, so silence before it says nothing. What counts is a positive
sign of the same life after it: a TCP connection of the named host that goes on, or a server that refuses a reclaim
seconds later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from nlmdissect.findings import At
from nlmdissect.history.notices import Notices, Try
from nlmdissect.hosts.boot import Boots, life_at
from nlmdissect.hosts.boots import NOTIFY_WITHIN
from nlmdissect.hosts.lives import Lives
from nlmdissect.hosts.names import Names
from nlmdissect.hosts.signs import Sign

NEAR = NOTIFY_WITHIN  # a restart this near to a notice explains it


@dataclass(frozen=True, slots=True)
class Spurious:
    """``host`` did not restart, and ``tries`` say that it did; they come from ``sender``, which may be somebody else.
    """

    host: int
    sender: int
    tries: tuple[Try, ...]


def spurious(notices: Notices, stray: list[Sign], boots: Boots, names: Names, lives: Lives) -> list[Spurious]:
    """All of them, by host and sender."""
    restarts: dict[int, list[int]] = defaultdict(list)
    for boot in boots:
        restarts[boot.host].append(boot.not_after.time)
    refuted: dict[tuple[int, int], list[At]] = defaultdict(list)  # by host and state: a notice goes to many, and twice
    for sign in stray:
        refuted[sign.host, sign.value].append(sign.at)
    found: dict[tuple[int, int], list[Try]] = defaultdict(list)
    for (sender, _), tries in notices.tries.items():
        for t in tries:
            life = life_at(boots, sender, t.at.time)
            if any(at <= t.at and life_at(boots, sender, at.time) is life for at in refuted[sender, t.state]):
                found[sender, sender].append(t)
                continue
            called = names.called(t.name)
            if sender in called:
                continue  # it speaks for itself, or for a host of its own name
            for host in called:
                time = t.at.time
                near = bisect_right(restarts[host], time - NEAR)
                restarted = near < len(restarts[host]) and restarts[host][near] < time + NEAR
                if not restarted and lives.lived_on(host, time, time):
                    found[host, sender].append(t)
    return [Spurious(host, sender, tuple(sorted(of, key=lambda t: t.at))) for (host, sender), of in found.items()]
