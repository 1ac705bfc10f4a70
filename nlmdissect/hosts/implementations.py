"""Which implementation a host is, as far as its packets show it, and what that changes. Data in one place."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from nlmdissect.rpc.calls import Texts
from nlmdissect.rpc.requests import Op, Request


@dataclass(frozen=True, slots=True)
class Implementation:
    """``by_address``: its statd takes an SM_NOTIFY from a known source address, whatever name it carries.
    ``grace``: default length of the grace period. ``tries``: for how long it repeats SM_NOTIFY. As a client,
    ``poll``: the longest pause between two LOCKs of a request that is BLOCKED; ``again``: how long it waits for the
    answer to a call before it sends it again. All in seconds."""

    name: str
    by_address: bool
    grace: int
    tries: int
    poll: int = 30
    again: int = 10


LINUX = Implementation("linux", True, 90, 900)
# matches by name or any address that a name resolves to
FREEBSD = Implementation("freebsd", True, 30, 24 * 3600, again=15)  # as its mount says; a generous guess
ILLUMOS = Implementation("illumos", False, 90, 10**9, poll=5, again=5)
MACOS = Implementation("macos", True, 45, 24 * 3600, again=8)  # by name, else by the names of the source address
GANESHA = Implementation("ganesha", False, 90, 0)  # one shot, by the cluster's own tools
UNKNOWN = Implementation("unknown", True, 90, 900, again=15)  # the slowest of all
LONGEST_GRACE = max(kind.grace for kind in (LINUX, FREEBSD, ILLUMOS, MACOS, GANESHA))

_OWNER = re.compile(rb"(\d+)@")


def implementations(requests: list[Request], texts: Texts) -> dict[int, Implementation]:
    """Guess from the owner, the cookie and the procedures that a host uses. Majority counts; no sign, no entry."""
    votes: dict[int, Counter[Implementation]] = defaultdict(Counter)
    own = {(r.client, r.caller_name) for r in requests if r.op is not Op.GRANTED}
    named: dict[int, int | None] = {}  # owner: the process that it names
    for r in requests:
        if r.op is Op.GRANTED:
            if len(texts[r.cookie]) == 24:
                votes[r.server][GANESHA] += 1
            elif r.asynchronous and len(texts[r.cookie]) == 4 and (r.client, r.caller_name) not in own:
                votes[r.server][LINUX] += 1  # it alone puts its own name into a callback
        elif (guess := _client(r, texts, named)) is not None:
            votes[r.client][guess] += 1
    return {host: counts.most_common(1)[0][0] for host, counts in votes.items()}


def _client(r: Request, texts: Texts, named: dict[int, int | None]) -> Implementation | None:
    oh, cookie = texts[r.oh], texts[r.cookie]
    if r.op not in (Op.LOCK, Op.UNLOCK, Op.CANCEL, Op.TEST):
        return None
    if r.asynchronous:
        return MACOS if len(oh) in (8, 16) else None
    if r.oh not in named:
        owner = _OWNER.match(oh)
        named[r.oh] = int(owner[1]) if owner else None
    if named[r.oh] == r.svid and len(cookie) == 4:
        # Linux numbers its owners from 0; FreeBSD's are process ids, and its reclaims carry the local state
        if r.reclaim:
            return LINUX if r.state == 0 else FREEBSD
        return LINUX if cookie[2:] == b"\0\0" or r.svid < 300 else FREEBSD
    return ILLUMOS if len(oh) == 2 else None
