"""What decides that a grace period is over.

Status 4 (DENIED_GRACE_PERIOD) has two opposite meanings. To a request that is no reclaim it says: the server is in
its grace period. To a reclaim, Linux and Ganesha say with it: it is over. So the end lies between the last answer
of the first kind and the first that shows normal service: a new LOCK or TEST that was decided (GRANTED, DENIED or
BLOCKED), or status 4 to a reclaim. Other statuses prove nothing: servers check for stale handles, ranges and
monitoring before they check for the grace period.
"""

from __future__ import annotations

from nlmdissect.hosts.boot import Boot, Boots, life_at
from nlmdissect.hosts.signs import Sign, What


def bound_grace(boots: Boots, signs: list[Sign]) -> None:
    """Fill ``in_grace`` and ``grace_over`` of every boot."""
    refused: set[int] = set()  # only a refused reclaim says that it is over: a later answer may say otherwise
    for sign in signs:
        if sign.what not in (What.GRACE, What.ORDINARY, What.TOO_LATE):
            continue
        boot = life_at(boots, sign.host, sign.at.time)
        if boot is None:
            continue
        if sign.what is What.GRACE:
            if boot.grace_over is None or boot.number in refused:
                boot.in_grace, boot.grace_over = sign.at, None
                refused.discard(boot.number)
        elif boot.grace_over is None:
            boot.grace_over = sign.at
            if sign.what is What.TOO_LATE:
                refused.add(boot.number)


def in_grace(boot: Boot | None, time: int) -> bool | None:
    """Whether the life that began with ``boot`` is in its grace period at a moment (ns); None: cannot tell."""
    if boot is not None and boot.in_grace is not None and time <= boot.in_grace.time:
        return True
    if boot is not None and boot.grace_over is not None and time >= boot.grace_over.time:
        return False
    return None
