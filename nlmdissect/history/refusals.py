"""Refusals with DENIED_NOLOCKS: in which runs a client gets them, and whether others are served meanwhile.

A server that cannot monitor a client answers it so, again and again; it has other reasons too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import numpy as np

from nlmdissect.findings import At
from nlmdissect.groups import mixed
from nlmdissect.history.looks import Looks
from nlmdissect.hosts.signs import SECOND
from nlmdissect.rpc.requests import GRANTED, Answer, Op, Request, Requests

NOLOCKS, DENIED = "DENIED_NOLOCKS", "DENIED"
NEAR = 300 * SECOND  # others are served within this of it


class Refusal(NamedTuple):
    """A request, and the answer that refused it."""

    request: Request
    answer: Answer


Item = TypeVar("Item")
Runs = dict[tuple[int, int], list[list[Refusal]]]


def refusals(requests: Requests) -> Runs:
    """DENIED_NOLOCKS by server and client, in runs that no granted lock of this client interrupts."""
    said, locks = requests.said, requests.is_a(Op.LOCK) & ~requests.said.reclaim
    refused = requests.where(locks & requests.may_be(NOLOCKS))
    pairs = {(r.server, r.client) for r in refused if any(a.status == NOLOCKS for a in r.answers)}
    if not pairs:
        return {}
    pair = mixed(said.server, said.client)
    of = np.isin(pair, mixed(*np.array([*pairs]).T))
    answers = sorted(((r, a) for r in requests.where(locks & of) for a in r.answers), key=lambda case: case[1].at)
    found: Runs = {}
    broken: set[tuple[int, int]] = set()
    known: dict[tuple[int, int], set[int]] = {}  # requests of the last run
    for r, a in answers:
        who = (r.server, r.client)
        if a.status == GRANTED:
            broken.add(who)
        elif a.status == NOLOCKS:
            if who not in found or who in broken:
                found.setdefault(who, []).append([])
                broken.discard(who)
                known[who] = set()
            if id(r) not in known[who]:
                known[who].add(id(r))
                found[who][-1].append(Refusal(r, a))
    return found


def another_error(run: list[Refusal]) -> bool:
    """Whether it may be about a file: NLM 1 and 3 have no status for a stale handle or a read-only export."""
    return len({refusal.request.fh for refusal in run}) == 1 and all(refusal.request.version != 4 for refusal in run)


class Others:
    """What else a server answered at the time of its refusals, to the same client and to others."""

    def __init__(self, requests: Requests, servers: Iterable[int], refused: Runs, looks: Looks) -> None:
        self._looks = looks
        self._refused = {pair: [case.answer.at.time for run in runs for case in run] for pair, runs in refused.items()}
        self._granted: dict[int, list[tuple[int, int]]] = defaultdict(list)  # by server: when, and to which client
        self._locked: dict[tuple[int, int], list[At]] = defaultdict(list)
        self._tested: dict[tuple[int, int], list[At]] = defaultdict(list)
        here = np.isin(requests.said.server, [*servers])
        for r in requests.where(here & requests.is_a(Op.LOCK) & requests.may_be(GRANTED)):
            for a in r.answers:
                if a.status == GRANTED:
                    insort(self._granted[r.server], (a.at.time, r.client))
                    insort(self._locked[r.server, r.client], a.at)
        for r in requests.where(here & requests.is_a(Op.TEST)):
            self._tested[r.server, r.client] += [a.at for a in r.answers if a.status in (GRANTED, DENIED)]

    def are_served(self, server: int, client: int, run: list[Refusal]) -> bool:
        """Whether a client that is not refused itself was granted a lock about the time of a run."""
        first, last = _about(run)
        of = self._granted.get(server, [])
        near = {who for _, who in self._counted(of[bisect_left(of, (first + 1, 0)) : bisect_left(of, (last, 0))])}
        return any(other != client and not self._is_refused(server, other, first, last) for other in near)

    def tested(self, server: int, client: int, run: list[Refusal]) -> At | None:
        """When a TEST of the same client was decided about the time of a run: for that nobody is monitored, but all
        else that a LOCK needs must be there.
        """
        first, last = _about(run)
        of = self._counted(self._tested.get((server, client), []))
        return next((at for at in of if first < at.time < last), None)

    def served(self, server: int, client: int, after: At) -> At | None:
        """When a client was first granted a lock after a moment."""
        of = self._locked.get((server, client), [])
        return next(iter(of[bisect_right(of, after) :]), None)

    def _is_refused(self, server: int, client: int, first: int, last: int) -> bool:
        times = self._refused.get((server, client), [])
        return bisect_right(times, first) < bisect_left(times, last)

    def _counted(self, found: list[Item]) -> list[Item]:
        """Raises TooMuchError."""
        self._looks.spend(len(found))
        return found


def _about(run: list[Refusal]) -> tuple[int, int]:
    return run[0].answer.at.time - NEAR, run[-1].answer.at.time + NEAR
