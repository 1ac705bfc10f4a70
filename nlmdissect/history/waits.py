"""Lock requests that were answered BLOCKED: who waits, what is in the way, and how it ended.

A wait is one request over all its polls. It is ended by a grant, an accepted callback, a CANCEL, an UNLOCK of its
range (also what a client says that gives up), a refusal, or a restart; callbacks are matched by file, svid and range,
never by cookie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice

from nlmdissect.findings import At
from nlmdissect.history.fates import Claim, File, Owner
from nlmdissect.history.pieces import within
from nlmdissect.history.table import LockTable
from nlmdissect.hosts.boot import Boot
from nlmdissect.machines.ranges import Piece, conflicts
from nlmdissect.machines.spans import Ranged
from nlmdissect.rpc.requests import Answer, Request

FEW = 100  # waits for one file that are looked through for those that overlap; of more they are found by place
MANY = 1000  # that overlap and are looked at again when something changes
TOO_MANY = f"more than {MANY} requests waited for one file at a time"
BLOCKERS = 100  # pieces in the way of a wait that are kept, and owners of them that are looked for

Held = tuple[File, Owner, Piece]
Key = tuple[int, int, int, int]  # client, svid, start, end


class How(StrEnum):
    """What freed a lock: an answered UNLOCK, an SM_NOTIFY of its client that restarted, or its FREE_ALL."""

    UNLOCK = "NLM_UNLOCK"
    NOTIFY = "SM_NOTIFY"
    FREE_ALL = "NLM_FREE_ALL"


@dataclass(slots=True)
class Wait:
    """A request that was answered BLOCKED. ``how`` it ended: granted, called back, cancelled, refused, restarted;
    "" still waits.

    ``last`` is the latest BLOCKED answer, and ``blockers`` what other owners had in its way then, as far as the
    capture shows it. ``freed`` is the moment after which nothing that is known was in its way, ``freed_how`` what freed
    the last of it, and ``freed_by`` a lock that went; None while there is, or where none was known.
    """

    number: int  # of the request
    request: Request
    since: At
    polls: int = 0
    last: At | None = None
    ended: At | None = None
    how: str = ""
    called: At | None = None
    blockers: list[Held] = field(default_factory=list)
    freed: At | None = None
    freed_by: Held | None = None
    freed_how: How = How.UNLOCK


@dataclass(slots=True)
class Waiting:
    """Keeps the waits while the events are walked: the open ones by file, by owner and by host, and ``all`` there ever
    were. ``crowded`` are the files for which more than MANY waited at a time.
    """

    all: list[Wait] = field(default_factory=list)
    crowded: set[File] = field(default_factory=set)
    _open: dict[int, Wait] = field(default_factory=dict)  # by number
    _exactly: dict[tuple[File, Key], Wait] = field(default_factory=dict)
    _files: Ranged[File] = field(default_factory=lambda: Ranged(FEW))
    _owners: Ranged[tuple[File, int, int]] = field(default_factory=lambda: Ranged(FEW))
    _hosts: dict[int, dict[int, Wait]] = field(default_factory=dict)

    def find(self, r: Request) -> Wait | None:
        """The wait of exactly this owner and range."""
        return self._exactly.get((File(r.server, r.fh), _key(r)))

    def blocked(self, number: int, r: Request, answer: Answer, table: LockTable) -> None:
        """A request was answered BLOCKED, for the first time or again."""
        wait = self.find(r)
        if wait is None:
            wait = self._add(Wait(number, r, answer.at))
        wait.polls, wait.last = wait.polls + 1, answer.at
        wait.blockers = _in_the_way(r, table)
        wait.freed = wait.freed_by = None

    def released(self, table: LockTable, claims: Iterable[Claim], at: At, how: How = How.UNLOCK) -> None:
        """Something was freed: what it was in the way of may be free now."""
        for claim in claims:
            for wait, hindered in self._touched(table, claim, lambda wait: bool(wait.blockers) and wait.freed is None):
                if not hindered:
                    wait.freed, wait.freed_how = at, how
                    of = (item for item in reversed(wait.blockers) if item[1].client == claim.owner.client)
                    wait.freed_by = next(of, wait.blockers[-1])

    def granted(self, table: LockTable, r: Request) -> None:
        """A lock was granted: it may be in the way of others."""
        for wait, hindered in self._touched(table, claim_of(r), lambda wait: wait.freed is not None):
            if hindered:
                wait.blockers, wait.freed, wait.freed_by = _in_the_way(wait.request, table), None, None

    def _touched(
        self, table: LockTable, claim: Claim, when: Callable[[Wait], bool]
    ) -> Iterator[tuple[Wait, bool]]:
        """The waits that overlap a claim and are ``when``, and whether anything is in the way of each: the same for one
        range, but for those who have something of the file themselves.
        """
        file = claim.file
        near = self._files.near(file, claim.start, claim.end)
        if len(near) > MANY:
            self.crowded.add(file)
        known: dict[tuple[object, ...], bool] = {}
        for number in near[:MANY]:
            wait = self._open[number]
            if when(wait):
                asked = wait.request
                own = table.pieces.same(file, asked.client, asked.svid)  # not in its way, but in that of the others
                key = asked.start, asked.end, asked.exclusive, (asked.client, asked.svid) if own else None
                if key not in known:
                    known[key] = bool(_in_the_way(asked, table, most=1))
                yield wait, known[key]

    def end(self, r: Request, at: At, how: str) -> None:
        """Waits of this owner inside the range of ``r`` are over."""
        for number in self._owners.near((File(r.server, r.fh), r.client, r.svid), r.start, r.end):
            wait = self._open[number]
            if r.start <= wait.request.start and wait.request.end <= r.end:
                self._end(wait, at, how)

    def restarted(self, boot: Boot) -> None:
        """A host restarted: nobody waits there, or it waits no more. A process outlives its lockd, and asks again."""
        for wait in list(self._hosts.get(boot.host, {}).values()):
            if boot.host == wait.request.server or not boot.lived_on:
                self._end(wait, boot.not_after, "restarted")

    def _add(self, wait: Wait) -> Wait:
        r, number = wait.request, wait.number
        file = File(r.server, r.fh)
        self.all.append(wait)
        self._open[number] = self._exactly[file, _key(r)] = wait
        self._files.add(file, number, r.start, r.end)
        self._owners.add((file, r.client, r.svid), number, r.start, r.end)
        for host in (r.server, r.client):
            self._hosts.setdefault(host, {})[number] = wait
        return wait

    def _end(self, wait: Wait, at: At, how: str) -> None:
        r, number = wait.request, wait.number
        file = File(r.server, r.fh)
        wait.ended, wait.how = at, how
        del self._open[number], self._exactly[file, _key(r)]
        self._files.discard(file, number)
        self._owners.discard((file, r.client, r.svid), number)
        for host in (r.server, r.client):
            self._hosts[host].pop(number, None)


def claim_of(r: Request) -> Claim:
    """What a request is about."""
    return Claim(File(r.server, r.fh), Owner(r.client, r.oh, r.svid), r.start, r.end, r.exclusive)


def _key(r: Request) -> Key:
    return r.client, r.svid, r.start, r.end


def _in_the_way(r: Request, table: LockTable, most: int = BLOCKERS) -> list[Held]:
    """What other owners have, or may have, that conflicts with a request: ``most`` pieces, of as many owners."""
    file, claim = File(r.server, r.fh), claim_of(r)
    owners = table.pieces.owners(file)

    def held(owner: Owner) -> Iterator[Piece]:
        for piece in within(owners[owner], r.start, r.end):
            if piece.truth.server_holds != "no" and conflicts(piece, r.start, r.end, r.exclusive):
                yield piece

    def hinders(owner: Owner) -> bool:
        return (owner.client, owner.svid) != (r.client, r.svid) and any(True for _ in held(owner))

    found = table.pieces.over(claim, settled=True, wanted=hinders, most=most)
    all_of = ((file, owner, replace(piece)) for owner in found for piece in held(owner))
    return list(islice(all_of, most))
