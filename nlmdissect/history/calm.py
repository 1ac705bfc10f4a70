"""Holds of which nothing is to be told: a LOCK that was granted at once, and an UNLOCK that was.

Theory of operation. Of a capture with much lock traffic nearly all is like that: one range of a file, one owner after
another, each call sent once and answered GRANTED, nobody in the way and no restart meanwhile. What the machines do
with such a hold is known beforehand, step by step. So a file is *calm* when all of its holds are; those of calm files
are one event each in the walk, not four, and their steps are written out when somebody looks at them. All other files
are walked as they come. ``tests/history/test_calm.py`` holds both ways beside each other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from nlmdissect.machines import hold, request
from nlmdissect.machines.machine import Step
from nlmdissect.rpc.requests import GRANTED, Op, Request


class Calm(NamedTuple):
    """A hold from its LOCK to its UNLOCK, with the numbers of the two requests."""

    lock_number: int
    lock: Request
    unlock_number: int
    unlock: Request

    @property
    def order(self) -> int:
        """Where it was granted."""
        return self.lock.answers[0].order

    def asked(self) -> list[Step]:
        """The steps of the request."""
        ask, answer = self.lock.sends[0].at, self.lock.answers[0].at
        _, first = request.REQUEST.step(ask, self.lock_number, request.R.UNSEEN, request.E.ASK)
        _, second = request.REQUEST.step(answer, self.lock_number, request.R.ASKED, request.E.GRANTED)
        return [first, second]

    def held(self, number: int) -> list[Step]:
        """The steps of the hold, which has this number."""
        state, steps = hold.H.UNSEEN, []
        for at, event in (
            (self.lock.answers[0].at, hold.E.GRANTED),
            (self.unlock.sends[0].at, hold.E.UNLOCK),
            (self.unlock.answers[0].at, hold.E.UNLOCK_GRANTED),
        ):
            state, step = hold.HOLD.step(at, number, state, event)
            steps.append(step)
        return steps


def calm(requests: list[Request], disturbances: Iterable[float]) -> list[Calm]:
    """The holds of all calm files. ``disturbances`` are the places in the recording (``Send.order``) of what may
    touch any hold: restarts, notices, FREE_ALL.
    """
    files: dict[tuple[int, int], list[int] | None] = defaultdict(list)
    for number, r in enumerate(requests):
        if r.op is Op.TEST or r.op is Op.FREE_ALL:
            continue  # the one does nothing to holds, the other is about no file
        of = files[r.server, r.fh]
        if of is None:
            continue
        if _plain(r):
            of.append(number)
        else:
            files[r.server, r.fh] = None
    moments = sorted(disturbances)
    return [one for of in files.values() if of for one in _holds(requests, of, moments)]


def _plain(r: Request) -> bool:
    """A LOCK or UNLOCK that was sent once, and answered once, GRANTED."""
    return (
        (r.op is Op.LOCK or r.op is Op.UNLOCK)
        and r.readable
        and not r.reclaim
        and len(r.sends) == 1 == len(r.answers)
        and r.answers[0].status == GRANTED
        and r.sends[0].order < r.answers[0].order
    )


def _holds(requests: list[Request], numbers: list[int], moments: list[float]) -> list[Calm]:
    """The holds of one file; none if it is not calm. Its requests are in order."""
    found: list[Calm] = []
    held: dict[tuple[int, int], int] = {}  # range: the LOCK that has it
    free: dict[tuple[int, int], int] = {}  # range: where in the recording it was free again
    for number in numbers:
        r = requests[number]
        span = r.start, r.end
        before = held.pop(span, None)
        if r.op is Op.LOCK:
            if before is not None or r.sends[0].order < free.get(span, 0):
                return []
            held[span] = number
            continue
        if before is None:
            return []
        lock, first, last = requests[before], requests[before].sends[0].order, r.answers[0].order
        same = (lock.client, lock.oh, lock.svid) == (r.client, r.oh, r.svid)
        if not same or r.sends[0].order < lock.answers[0].order or _any_between(moments, first, last):
            return []
        free[span] = last
        found.append(Calm(before, lock, number, r))
    return found if not held and _apart(free) else []


def _any_between(moments: list[float], first: float, last: float) -> bool:
    place = bisect_left(moments, first)
    return place < len(moments) and moments[place] <= last


def _apart(spans: Iterable[tuple[int, int]]) -> bool:
    """Whether no two ranges overlap or touch: neighbours of one owner would be one hold."""
    ordered = sorted(spans)
    return all(end + 1 < start for (_, end), (start, _) in pairwise(ordered))
