"""Lock requests that were asked and are not decided, or were given up and are perhaps under way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from nlmdissect.history.table import AGAIN
from nlmdissect.machines import request
from nlmdissect.machines.spans import Ranged
from nlmdissect.rpc.requests import Request

FEW = 32  # open requests of one owner for one file; of more, only those are looked at that overlap
UNDECIDED = frozenset({request.R.ASKED, request.R.WAITING, request.R.HELD_OFF})
LISTENING = UNDECIDED | {request.R.CANCELLED}


@dataclass(slots=True)
class OpenRequests:
    """Keeps them by number, of each host and of each owner. ``left_out`` counts those that stayed as they were over
    AGAIN restarts; of these, later ones are no steps.
    """

    left_out: int = 0
    _again: int = 0
    _of: dict[int, dict[int, Request]] = field(default_factory=lambda: defaultdict(dict))
    _asked: Ranged[tuple[int, ...]] = field(default_factory=lambda: Ranged(FEW))
    _given_up: Ranged[tuple[int, ...]] = field(default_factory=lambda: Ranged(FEW))

    def now(self, number: int, r: Request, state: request.R) -> None:
        """A request is in a state, for the first time or again."""
        whose = _whose(r)
        if state in LISTENING:
            self._of[r.server][number] = self._of[r.client][number] = r
            to, other = self._asked, self._given_up
            if state is request.R.CANCELLED:
                to, other = other, to
                other.discard(whose, number)
            to.add(whose, number, r.start, r.end)
        else:
            for host in (r.server, r.client):
                self._of[host].pop(number, None)
            self._asked.discard(whose, number)
            self._given_up.discard(whose, number)

    def of(self, host: int) -> list[tuple[int, Request]]:
        """Those of a client or a server."""
        return list(self._of[host].items())

    def unchanged(self, number: int, r: Request, host: int) -> None:
        """A restart of one of its hosts changed nothing, so another one will not either."""
        self._again += 1
        if self._again > AGAIN and r.server != r.client:
            self.left_out += 1
            del self._of[host][number]

    def near(self, r: Request, given_up: bool) -> list[int]:
        """Those of the owner of ``r`` that overlap its range, in order. To be given up again tells many nothing."""
        whose, near = _whose(r), self._asked.near(_whose(r), r.start, r.end)
        if not given_up or self._given_up.count(whose) <= FEW:
            near = sorted([*near, *self._given_up.near(whose, r.start, r.end)])
        return near

    def numbers(self) -> list[int]:
        """All of them, in order."""
        return sorted({number for of in self._of.values() for number in of})


def _whose(r: Request) -> tuple[int, ...]:
    return r.server, r.fh, r.client, r.svid
