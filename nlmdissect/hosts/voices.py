"""Who speaks: one kernel or several, where names and addresses do not tell.

A voice is one caller_name at one address. Two voices that take turns are two hosts (clones with one name, or clients
behind one address translator) or one (an address more, a name cut at its dot). Their cookies tell: every kernel counts
them up over all that it asks, so one that speaks with two voices counts on from one to the other, and two kernels that
take turns do not. Voices that follow one another once are a host that was renamed or got another address.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nlmdissect.groups import groups
from nlmdissect.rpc.calls import I64, Texts
from nlmdissect.rpc.requests import OPS, Op, Request, Requests

TURNS = 3  # A B A B: fewer may be chance
STEPS_BACK = 2  # fewer may be two processors that got their cookies in one order and sent in another
MANY = 100  # voices that are compared with each other
COUNTER = 8  # bytes; a longer cookie is something else


@dataclass(slots=True)
class Voice:
    """What was asked of one server under one name from one address, in time order. ``host`` is the address."""

    host: int
    name: str
    table: Requests
    numbers: I64

    @property
    def requests(self) -> list[Request]:
        """The records of all; there may be many."""
        return self.table.take(self.numbers)

    @property
    def states(self) -> set[int]:
        """NSM states that it gave as its own; reclaims carry 0 on Linux."""
        said = self.table.said.take(self.numbers)
        return set(np.unique(said.state[(said.op == OPS.index(Op.LOCK)) & (said.state > 0)]).tolist())


def voices(requests: Requests, texts: Texts) -> dict[int, list[Voice]]:
    """By server."""
    said = requests.said
    rows = (said.readable & ~requests.is_a(Op.GRANTED, Op.FREE_ALL)).nonzero()[0]
    first, which = groups(said.server[rows], said.client[rows], said.caller_name[rows])
    by_voice = np.split(rows[np.argsort(which, kind="stable")], np.cumsum(np.bincount(which))[:-1])
    found: dict[int, list[Voice]] = defaultdict(list)
    for row, numbers in zip(rows[first].tolist(), by_voice, strict=False):
        name = texts[int(said.caller_name[row])].decode("utf-8", "backslashreplace")
        found[int(said.server[row])].append(Voice(int(said.client[row]), name, requests, numbers))
    return found


def busiest(found: list[Voice]) -> list[Voice]:
    """Those that are worth comparing each with each: at most MANY, in their order."""
    most = sorted(range(len(found)), key=lambda n: len(found[n].numbers), reverse=True)
    return [found[n] for n in sorted(most[:MANY])]


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
    both = np.concatenate([a.numbers, b.numbers])
    order = np.argsort(a.table.sent[both], kind="stable")
    of = order < len(a.numbers)
    change = (of[1:] != of[:-1]).nonzero()[0]
    before, after = (a.table.take(both[order[place]]) for place in (change, change + 1))
    return list(zip(before, after, strict=True))
