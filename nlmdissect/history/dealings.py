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

import numpy as np
from numpy.typing import NDArray

from nlmdissect.findings import At
from nlmdissect.groups import mixed
from nlmdissect.history.looks import Looks
from nlmdissect.machines.spans import Spans
from nlmdissect.rpc.calls import I64, RPC_STATUS
from nlmdissect.rpc.requests import GRANTED, Answer, Op, Request, Requests

Who = tuple[int, int, int, int]  # server, client, fh, svid
RPC_ERRORS = frozenset(RPC_STATUS[1:])
FEW = 100  # transmissions that are looked through for those that overlap
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
    """``said(who)`` are the transmissions of one owner about one file, in order: collected when somebody asks, which
    is seldom. ``callbacks`` are all there are.
    """

    requests: Requests
    looks: Looks = field(default_factory=Looks)
    callbacks: list[Callback] = field(default_factory=list)
    _called: dict[Who, list[Callback]] = field(default_factory=lambda: defaultdict(list))
    _granted: dict[tuple[Who, int, int], list[At]] = field(default_factory=dict)  # by accepted callbacks
    _said: dict[Who, list[Said]] = field(default_factory=dict)
    _files: dict[tuple[int, int], Spans] = field(default_factory=dict)  # the numbers of all requests, by their ranges
    _spans: dict[Who, Spans] = field(default_factory=dict)  # places in ``_said``
    _last: tuple[tuple[int, ...], list[Request]] = ((), [])  # a range, and all over it: one is asked for several times
    _rows: tuple[NDArray[np.uint64], I64] | None = None  # of all owners, sorted by what is mixed of them

    def said(self, whose: Who) -> list[Said]:
        found = self._said.get(whose)
        if found is None:
            of = [r for r in self.requests.take(self._of(whose)) if who(r) == whose]
            found = self._said[whose] = [Said(send.at, r) for r in of for send in r.sends]
            found.sort(key=lambda said: said.at)
        return found

    def _of(self, whose: Who) -> I64:
        said = self.requests.said
        if self._rows is None:
            rows = (said.readable & ~self.requests.is_a(Op.GRANTED)).nonzero()[0]
            keys = mixed(said.server[rows], said.client[rows], said.fh[rows], said.svid[rows])
            order = np.argsort(keys, kind="stable")
            self._rows = keys[order], rows[order]
        keys, rows = self._rows
        key = mixed(*np.array([whose]).T)[0]
        return rows[np.searchsorted(keys, key) : np.searchsorted(keys, key, "right")]

    def over(self, server: int, fh: int, start: int, end: int) -> list[Request]:
        """All requests about a file that overlap a range, in order. Raises TooMuchError."""
        asked, found = self._last
        if asked != (server, fh, start, end):
            found = self.requests.take(np.array(sorted(self._ranges(server, fh).over(start, end)), np.int64))
            self._last = (server, fh, start, end), found
        self.looks.spend(len(found))
        return found

    def _ranges(self, server: int, fh: int) -> Spans:
        spans = self._files.get((server, fh))
        if spans is None:
            spans, said = Spans(), self.requests.said
            for number in self.requests.about(server, fh).nonzero()[0].tolist():
                if said.start[number] <= said.end[number]:
                    spans.add(int(said.start[number]), int(said.end[number]), number)
            self._files[server, fh] = spans
        return spans

    def between(self, whose: Who, after: At, before: At) -> Iterator[Request]:
        """What an owner sent about a file between two moments."""
        of = self.said(whose)
        for said in of[bisect_right(of, after, key=lambda s: s.at) :]:
            if said.at >= before:
                return
            yield said.request

    def about(self, r: Request, after: At) -> Iterator[Said]:
        """What the owner of ``r`` said after a moment about ranges that overlap that of ``r``. Raises TooMuchError."""
        whose = who(r)
        of = self.said(whose)
        first = bisect_right(of, after, key=lambda s: s.at)
        for said in of[first : first + FEW]:
            if said.request.start <= r.end and r.start <= said.request.end:
                yield said
        if first + FEW >= len(of):
            return
        spans = self._spans.get(whose)
        if spans is None:
            spans = self._spans[whose] = Spans()
            for place, said in enumerate(of):
                if said.request.start <= said.request.end:
                    spans.add(said.request.start, said.request.end, place)
        found = sorted(spans.over(r.start, r.end))
        self.looks.spend(len(found))
        yield from (of[place] for place in found if place >= first + FEW)

    def served(self, r: Request, after: At) -> At | None:
        """When the owner of ``r`` was first granted its whole range after a moment, by an answer or a callback."""
        asked = {id(said.request): said.request for said in self.about(r, r.at)}
        moments = [
            a.at
            for other in asked.values()
            if other.op in (Op.LOCK, Op.NM_LOCK) and _covers(other, r)
            for a in other.answers
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


def dealings(requests: Requests) -> Dealings:
    """Read all of them."""
    found = Dealings(requests)
    for r in requests.where(requests.is_a(Op.GRANTED) & requests.said.readable):
        callback = _callback(found, r)
        found.callbacks.append(callback)
        found._called[who(r)].append(callback)
    return found


def _callback(found: Dealings, r: Request) -> Callback:
    of, at = found.said(who(r)), r.at
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
