"""A restart as a record, and which of them a moment belongs to."""

from __future__ import annotations

from bisect import bisect_left
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


def life_at(found: Boots, host: int, time: int) -> Boot | None:
    """The restart of ``host`` that its life at ``time`` (ns) began with; None before the first one. ``found`` is in
    order of ``not_after``.
    """
    of = found.of(host)
    behind = bisect_left(of, time + 1, key=lambda boot: boot.not_after.time)
    return of[behind - 1] if behind else None


def look_back(found: list[Boot], requests: Requests) -> None:
    """Where no sign tells of a host's old life, the last lock call or answer of it before the restart does."""
    c, said = requests.calls, requests.said
    for boot in found:
        if boot.not_before is None:
            mine = (said.client == boot.host) | (said.server == boot.host)
            others = requests.where(mine & ~requests.alone)
            spoke = [s.at for r in others if r.client == boot.host for s in r.sends]
            spoke += [a.at for r in others if r.server == boot.host for a in r.answers]
            asked = requests.row[requests.alone & (said.client == boot.host)]
            spoke += _last_before(boot.not_after, c.time[asked], c.capture[asked], c.frame[asked])
            served = requests.row[requests.alone & requests.heard & (said.server == boot.host)]
            spoke += _last_before(boot.not_after, c.reply_time[served], c.reply_capture[served], c.reply_frame[served])
            boot.not_before = max((at for at in spoke if at < boot.not_after), default=None)


def _last_before(moment: At, time: I64, capture: I64, frame: I64) -> list[At]:
    """The last of some moments that is before another one; none if none is."""
    sooner = (time < moment.time) | (
        (time == moment.time) & ((capture < moment.capture) | ((capture == moment.capture) & (frame < moment.frame)))
    )
    rows = sooner.nonzero()[0]
    last = rows[np.lexsort((frame[rows], capture[rows], time[rows]))[-1:]]
    return [At(int(time[n]), int(capture[n]), int(frame[n])) for n in last]
