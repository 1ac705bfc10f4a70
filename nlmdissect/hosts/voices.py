"""Who speaks: one kernel or several, where names and addresses do not tell.

A voice is one caller_name at one address. Two voices that take turns are two hosts (clones with one name, or clients
behind one address translator) or one (an address more, a name cut at its dot). Their cookies tell: every kernel counts
them up over all that it asks, so one that speaks with two voices counts on from one to the other, and two kernels that
take turns do not. Voices that follow one another once are a host that was renamed or got another address.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from nlmdissect.rpc.calls import Texts
from nlmdissect.rpc.requests import Op, Request

TURNS = 3  # A B A B: fewer may be chance
STEPS_BACK = 2  # fewer may be two processors that got their cookies in one order and sent in another
COUNTER = 8  # bytes; a longer cookie is something else


@dataclass(slots=True)
class Voice:
    """What was asked of one server under one name from one address, in time order. ``host`` is the address."""

    host: int
    name: str
    requests: list[Request] = field(default_factory=list)

    @property
    def states(self) -> set[int]:
        """NSM states that it gave as its own; reclaims carry 0 on Linux."""
        return {r.state for r in self.requests if r.op is Op.LOCK and r.state > 0}


def voices(requests: list[Request], texts: Texts) -> dict[int, list[Voice]]:
    """By server."""
    found: dict[int, dict[tuple[int, int], Voice]] = defaultdict(dict)
    for r in requests:
        if r.op in (Op.GRANTED, Op.FREE_ALL) or not r.readable:
            continue
        key = r.client, r.caller_name
        if key not in found[r.server]:
            name = texts[r.caller_name].decode("utf-8", "backslashreplace")
            found[r.server][key] = Voice(r.client, name)
        found[r.server][key].requests.append(r)
    return {server: list(of.values()) for server, of in found.items()}


def turns(a: Voice, b: Voice) -> int:
    """How often the word went from one to the other."""
    return len(_changes(a, b))


def one_kernel(a: Voice, b: Voice, texts: Texts) -> bool | None:
    """Whether two voices that take turns are one kernel; None if cookies and states do not tell."""
    if a.states and b.states and not a.states & b.states and turns(a, b) >= TURNS:
        return False
    changes = _changes(a, b)
    if any(not 0 < len(texts[r.cookie]) <= COUNTER for pair in changes for r in pair):
        return None
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    back = min(
        sum(
            int.from_bytes(texts[after.cookie], order) <= int.from_bytes(texts[before.cookie], order)
            for before, after in changes
        )
        for order in orders
    )
    if back >= STEPS_BACK:
        return False
    return True if not back and len(changes) >= TURNS else None


def _changes(a: Voice, b: Voice) -> list[tuple[Request, Request]]:
    """Where one voice follows the other: the last request of the one, the first of the other."""
    both = sorted(((r.sends[0].order, v, r) for v, of in enumerate((a, b)) for r in of.requests), key=lambda x: x[0])
    return [(before[2], after[2]) for before, after in pairwise(both) if before[1] != after[1]]
