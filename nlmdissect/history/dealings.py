"""What every owner said about every file, in order; and what servers called back about.

Rules that ask "and what did the waiter do then?" read it here. An owner is (client, svid): the oh of a callback need
not be the one of the request that it serves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nlmdissect.findings import At
from nlmdissect.rpc.calls import RPC_STATUS
from nlmdissect.rpc.requests import GRANTED, Answer, Op, Request

Who = tuple[int, int, int, int]  # server, client, fh, svid
RPC_ERRORS = frozenset(RPC_STATUS[1:])
GIVING_UP = (Op.CANCEL, Op.UNLOCK)


class Said(NamedTuple):
    """One transmission of one request."""

    at: At
    request: Request


@dataclass(frozen=True, slots=True)
class Callback:
    """A GRANTED or GRANTED_MSG, over all its transmissions, and the LOCK that it serves (None: not in the capture).

    ``answer`` is the first that is no RPC error; ``needless`` says that the waiter had got the lock already, or had
    given up, when it was sent; ``next`` is what the waiter said next about the range.
    """

    request: Request
    asked: Request | None
    answer: Answer | None
    needless: bool
    next: Said | None


@dataclass(slots=True)
class Dealings:
    """``said[who]`` are the transmissions of one owner about one file, in order: collected when somebody asks, which
    is seldom. ``callbacks`` are all there are.
    """

    requests: list[Request]
    callbacks: list[Callback] = field(default_factory=list)
    _called: dict[Who, list[Callback]] = field(default_factory=lambda: defaultdict(list))
    _granted: dict[tuple[Who, int, int], list[At]] = field(default_factory=dict)  # by accepted callbacks
    _said: dict[Who, list[Said]] | None = None

    @property
    def said(self) -> dict[Who, list[Said]]:
        if self._said is None:
            self._said = defaultdict(list)
            for r in self.requests:
                if r.op is not Op.GRANTED and r.readable:
                    self._said[who(r)] += [Said(send.at, r) for send in r.sends]
            for of in self._said.values():
                of.sort(key=lambda said: said.at)
        return self._said

    def about(self, r: Request, after: At) -> Iterator[Said]:
        """What the owner of ``r`` said after a moment about a range that overlaps that of ``r``."""
        of = self.said.get(who(r), [])
        for said in of[bisect_right(of, after, key=lambda s: s.at) :]:
            if said.request.start <= r.end and r.start <= said.request.end:
                yield said

    def served(self, r: Request, after: At) -> At | None:
        """When the owner of ``r`` was first granted its whole range after a moment, by an answer or a callback."""
        moments = [
            a.at
            for said in self.about(r, r.at)
            if said.request.op in (Op.LOCK, Op.NM_LOCK) and _covers(said.request, r)
            for a in said.request.answers
            if a.status == GRANTED and a.at > after
        ]
        moments += [
            c.answer.at
            for c in self.callbacks_of(r)
            if c.answer is not None and c.answer.status == GRANTED and c.answer.at > after
        ]
        return min(moments, default=None)

    def callbacks_of(self, r: Request) -> Iterator[Callback]:
        """The callbacks to the owner of ``r`` for exactly its range."""
        for callback in self._called.get(who(r), ()):
            if (callback.request.start, callback.request.end) == (r.start, r.end):
                yield callback


def who(r: Request) -> Who:
    return r.server, r.client, r.fh, r.svid


def dealings(requests: list[Request]) -> Dealings:
    """Read all of them."""
    found = Dealings(requests)
    for r in requests:
        if r.op is Op.GRANTED and r.readable:
            callback = _callback(found, r)
            found.callbacks.append(callback)
            found._called[who(r)].append(callback)
    return found


def _callback(found: Dealings, r: Request) -> Callback:
    of, at = found.said.get(who(r), []), r.at
    before = bisect_left(of, at, key=lambda s: s.at)
    places = (n for n in range(before - 1, -1, -1) if _waits_for(of[n].request, r))
    blocking = next(places, None)  # the last one: on a busy file there may be thousands
    asked = None if blocking is None else of[blocking].request
    granted = found._granted.setdefault((who(r), r.start, r.end), [])
    needless = asked is not None and blocking is not None and (
        any(a.status == GRANTED and a.at < at for a in asked.answers)
        or any(s.request.op in GIVING_UP and s.at > of[blocking].at and _covers(s.request, r)
               for s in of[blocking + 1 : before])
        or bisect_right(granted, asked.at) < bisect_left(granted, at)
    )  # fmt: skip
    answer = next((a for a in r.answers if a.status not in RPC_ERRORS), None)
    if answer is not None and answer.status == GRANTED:
        insort(granted, answer.at)
    return Callback(r, asked, answer, needless, next(found.about(r, r.at), None))


def _waits_for(asked: Request, r: Request) -> bool:
    """Whether a callback for ``r`` may be the answer to a request."""
    return asked.op is Op.LOCK and asked.block and (asked.start, asked.end) == (r.start, r.end)


def _covers(outer: Request, inner: Request) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
