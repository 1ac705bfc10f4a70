"""Runs of refusals with DENIED_GRACE_PERIOD: how long a server held new requests off, and whom.

A run begins with such an answer to a request that is no reclaim, and ends with the first LOCK or TEST that was decided
(GRANTED, DENIED, BLOCKED), with the same status to a reclaim (Linux and Ganesha say that when it is over), or with a
restart. It is kept for the whole server, and for each file: in a cluster only some file systems may be in grace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nlmdissect.findings import At
from nlmdissect.groups import mixed
from nlmdissect.hosts.boot import Boot
from nlmdissect.hosts.implementations import PUT_OFF
from nlmdissect.hosts.signs import SECOND, What
from nlmdissect.rpc.requests import BLOCKED, GRACE, GRANTED, Bools, Op, Request, Requests

DECIDED = frozenset({GRANTED, "DENIED", BLOCKED})
GOES_ON = PUT_OFF * SECOND
DECIDES = frozenset({Op.LOCK, Op.TEST, Op.NM_LOCK})


@dataclass(slots=True)
class HeldOff:
    """``answers`` are the refusals, oldest first; ``fh`` is None for a run of the whole server; ``over`` is the answer
    that ended it, ``until`` (ns) the restart that did.
    """

    server: int
    fh: int | None
    answers: list[tuple[At, Request]] = field(default_factory=list)
    over: At | None = None
    until: int | None = None

    @property
    def lasted(self) -> int:
        """From the first refusal to the last (ns): at least so long was the grace period."""
        return self.answers[-1][0].time - self.answers[0][0].time

    @property
    def clients(self) -> list[int]:
        return list(dict.fromkeys(r.client for _, r in self.answers))


def held_off(requests: Requests, boots: Iterable[Boot]) -> list[HeldOff]:
    """All runs, those of whole servers first."""
    restarts: dict[int, list[Boot]] = {}
    for boot in boots:
        restarts.setdefault(boot.host, []).append(boot)
    refused = requests.where(requests.may_be(GRACE))
    if not any(a.status == GRACE for r in refused for a in r.answers):
        return []
    answers = sorted(
        ((a.order, a.at, a.status, r) for r in requests.where(_near(requests, restarts)) for a in r.answers),
        key=lambda item: item[0],
    )
    open_: dict[tuple[int, int | None], HeldOff] = {}
    found: list[HeldOff] = []
    for _, at, status, r in answers:
        for key in ((r.server, None), (r.server, r.fh)):
            run = open_.get(key)
            if run is not None:
                last = run.answers[-1][0].time
                between = [b for b in restarts.get(r.server, ()) if last < b.not_after.time <= at.time]
                if any(not _part_of(run, boot, at) for boot in between):
                    run.until, run = between[0].not_after.time, None
                    del open_[key]
            if status == GRACE and not r.reclaim:
                if run is None:
                    run = open_[key] = HeldOff(*key)
                    found.append(run)
                run.answers.append((at, r))
            elif run is not None and (status == GRACE or (r.op in DECIDES and not r.reclaim and status in DECIDED)):
                run.over = at
                del open_[key]
    return sorted(found, key=lambda run: run.fh is not None)


def _near(requests: Requests, restarts: Mapping[int, Sequence[Boot]]) -> Bools:
    """The requests whose answers may begin, end or interrupt a run: all about files that were held off, and of others
    the first that was decided after each refusal, and the first after each restart.
    """
    said, near = requests.said, ~requests.alone | requests.may_be(GRACE)
    near &= ~requests.is_a(Op.GRANTED)
    files = mixed(said.server, said.fh)
    others = requests.alone & requests.heard & ~near
    near |= others & np.isin(files, files[near])
    decided = requests.is_a(*DECIDES) & ~said.reclaim & requests.may_be(*DECIDED)
    time = requests.calls.reply_time[requests.row]
    for server in np.unique(said.server[near]).tolist():
        of = (others & (said.server == server)).nonzero()[0]
        of = of[np.argsort(requests.answered[of])]
        refusals = [a.order for r in requests.where(near & (said.server == server)) for a in r.answers]
        after = of[decided[of]]
        place = np.searchsorted(requests.answered[after], np.array(refusals, np.int64))
        near[after[place[place < len(after)]]] = True
        for boot in restarts.get(server, ()):
            near[of[time[of] >= boot.not_after.time][:1]] = True
    return near


def _part_of(run: HeldOff, boot: Boot, at: At) -> bool:
    """Whether nothing but the refusals of a file, while others were served, looks like a restart: they went on."""
    return run.fh is not None and boot.kinds <= {What.GRACE} and at.time - run.answers[-1][0].time <= GOES_ON
