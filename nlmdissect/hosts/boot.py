"""A restart as a record, and which of them a moment belongs to."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from nlmdissect.findings import At, Evidence
from nlmdissect.hosts.signs import What
from nlmdissect.rpc.calls import I64
from nlmdissect.rpc.requests import Requests

HEARSAY = frozenset({What.NOTIFY, What.LOOKUP, What.CLOSED, What.MOUNTED, What.UNSURE_VERIFIER})


@dataclass(slots=True)
class Boot:
    """One restart of one host, or of its lockd.

    ``not_before`` is the last sign of the old life (None: before the capture), ``not_after`` the first of the new
    one; ``strength`` adds up the different kinds of signs. ``kinds`` are those of this life, the later
    ones included; ``told`` is its first SM_NOTIFY.
    ``in_grace`` is the last refusal that shows the grace period (a lower bound of its end), ``grace_over`` the
    first answer that shows its end (an upper bound); ``hosts/grace.py`` finds both. ``lived_on`` says, as a
    sentence, why only lockd or nfsd seems to have restarted; ``unbroken`` that a connection of the host proves it.
    """

    number: int
    host: int
    not_before: At | None
    not_after: At
    evidence: list[Evidence]
    strength: int
    kinds: set[What] = field(default_factory=set)
    told: At | None = None
    state_before: int | None = None
    state_after: int | None = None
    in_grace: At | None = None
    grace_over: At | None = None
    lived_on: str = ""
    unbroken: bool = False
    until: int | None = None  # ns: when the next life of this host began

    @property
    def proven(self) -> bool:
        """Whether anything but the host's own word says so: an SM_NOTIFY can be sent without a restart."""
        return bool(self.kinds - HEARSAY)

    def during(self, at: At) -> bool:
        """Whether a moment lies in this life."""
        return at.time >= self.not_after.time and (self.until is None or at.time < self.until)


class Boots(list[Boot]):
    """Restarts in order of ``not_after``, and those of each host. Not changed any more once somebody asks."""

    def __init__(self, boots: Iterable[Boot] = ()) -> None:
        super().__init__(boots)
        self._of: dict[int, list[Boot]] = {}

    def of(self, host: int) -> list[Boot]:
        """Those of one host, in order."""
        if not self._of:
            for boot in self:
                self._of.setdefault(boot.host, []).append(boot)
        return self._of.get(host, [])

    def between(self, host: int, after: At, before: At) -> list[Boot]:
        """Those of one host that come after one moment and before another."""
        of = self.of(host)
        return of[bisect_right(of, after, key=_began) : bisect_left(of, before, key=_began)]


def _began(boot: Boot) -> At:
    return boot.not_after


def life_at(found: Boots, host: int, time: int) -> Boot | None:
    """The restart of ``host`` that its life at ``time`` (ns) began with; None before the first one. ``found`` is in
    order of ``not_after``.
    """
    of = found.of(host)
    behind = bisect_left(of, time + 1, key=lambda boot: boot.not_after.time)
    return of[behind - 1] if behind else None


def look_back(found: list[Boot], requests: Requests) -> None:
    """Where no sign tells of a host's old life, the last lock call or answer of it before the restart does."""
    lives = _Spoken(requests)
    for boot in found:
        if boot.not_before is None:
            boot.not_before = lives.last_before(boot.host, boot.not_after)


class _Spoken:
    """When every host sent a lock call, or answered one; sorted when somebody asks for the host."""

    def __init__(self, requests: Requests) -> None:
        self._calls = c = requests.calls
        self._others: dict[int, list[At]] = {}
        for r in requests.where(~requests.alone):
            self._others.setdefault(r.client, []).extend(send.at for send in r.sends)
            self._others.setdefault(r.server, []).extend(answer.at for answer in r.answers)
        asked, served = requests.alone.nonzero()[0], (requests.alone & requests.heard).nonzero()[0]
        self._sides = [
            _Side(requests.said.client[asked], requests.row[asked], c.time, c.capture, c.frame),
            _Side(requests.said.server[served], requests.row[served], c.reply_time, c.reply_capture, c.reply_frame),
        ]
        self._sorted: set[int] = set()

    def last_before(self, host: int, moment: At) -> At | None:
        others = self._others.get(host, [])
        if host not in self._sorted:
            others.sort()
            self._sorted.add(host)
        place = bisect_left(others, moment)
        found = others[place - 1 : place] if place else []
        return max([*found, *(at for side in self._sides for at in side.last_before(host, moment))], default=None)


class _Side:
    """The moments of one column of calls, by host and in order."""

    def __init__(self, host: I64, row: I64, time: I64, capture: I64, frame: I64) -> None:
        order = np.lexsort((frame[row], capture[row], time[row], host))
        self._host, row = host[order], row[order]
        self._columns = time[row], capture[row], frame[row]

    def last_before(self, host: int, moment: At) -> list[At]:
        """The last of a host that is before a moment; none if none is."""
        first, behind = (int(np.searchsorted(self._host, host, side)) for side in ("left", "right"))
        place = bisect_left(range(behind), moment, lo=first, hi=behind, key=self._at)
        return [self._at(place - 1)] if place > first else []

    def _at(self, place: int) -> At:
        time, capture, frame = (int(column[place]) for column in self._columns)
        return At(time, capture, frame)
