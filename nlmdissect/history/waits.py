"""Lock requests that were answered BLOCKED: who waits, what is in the way, and how it ended.

A wait is one request over all its polls. It is ended by a grant, an accepted callback, a CANCEL, an UNLOCK of its
range (also what a client says that gives up), a refusal, or a restart; callbacks are matched by file, svid and range,
never by cookie.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from nlmdissect.findings import At
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.table import LockTable
from nlmdissect.hosts.boot import Boot
from nlmdissect.machines.ranges import Piece, conflicts
from nlmdissect.rpc.requests import Answer, Request

Held = tuple[File, Owner, Piece]
Key = tuple[int, int, int, int]  # client, svid, start, end


@dataclass(slots=True)
class Wait:
    """A request that was answered BLOCKED. ``how`` it ended: granted, called back, cancelled, refused, restarted;
    "" still waits.

    ``last`` is the latest BLOCKED answer, and ``blockers`` what other owners had in its way then, as far as the
    capture shows it. ``freed`` is the answer to the UNLOCK after which nothing that is known was in its way, with
    ``freed_by`` the lock that went; None while there is, or where none was known.
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


@dataclass(slots=True)
class Waiting:
    """Keeps the waits while the events are walked: ``open`` ones by file, and ``all`` there ever were."""

    open: dict[File, dict[Key, Wait]] = field(default_factory=dict)
    all: list[Wait] = field(default_factory=list)

    def find(self, r: Request) -> Wait | None:
        """The wait of exactly this owner and range."""
        return self.open.get(File(r.server, r.fh), {}).get(_key(r))

    def blocked(self, number: int, r: Request, answer: Answer, table: LockTable) -> None:
        """A request was answered BLOCKED, for the first time or again."""
        of = self.open.setdefault(File(r.server, r.fh), {})
        wait = of.get(_key(r))
        if wait is None:
            wait = of[_key(r)] = Wait(number, r, answer.at)
            self.all.append(wait)
        wait.polls, wait.last = wait.polls + 1, answer.at
        wait.blockers = _in_the_way(wait, table)
        wait.freed = wait.freed_by = None

    def released(self, table: LockTable, file: File, at: At) -> None:
        """An UNLOCK of this file was carried out: what it was in the way of may be free now."""
        for wait in self.open.get(file, {}).values():
            if wait.blockers and wait.freed is None and not _in_the_way(wait, table):
                wait.freed, wait.freed_by = at, wait.blockers[-1]

    def granted(self, table: LockTable, file: File) -> None:
        """A lock of this file was granted: it may be in the way of others."""
        for wait in self.open.get(file, {}).values():
            if wait.freed is not None and (blockers := _in_the_way(wait, table)):
                wait.blockers, wait.freed, wait.freed_by = blockers, None, None

    def end(self, r: Request, at: At, how: str) -> list[Wait]:
        """Waits of this owner inside the range of ``r`` are over."""
        of = self.open.get(File(r.server, r.fh), {})
        over = [
            (key, wait)
            for key, wait in of.items()
            if key[:2] == (r.client, r.svid) and r.start <= wait.request.start and wait.request.end <= r.end
        ]
        for key, wait in over:
            wait.ended, wait.how = at, how
            del of[key]
        return [wait for _, wait in over]

    def restarted(self, boot: Boot) -> None:
        """A host restarted: nobody waits there, or it waits no more. A process outlives its lockd, and asks again."""
        for of in self.open.values():
            for key, wait in list(of.items()):
                if boot.host == wait.request.server or (boot.host == wait.request.client and not boot.lived_on):
                    wait.ended, wait.how = boot.not_after, "restarted"
                    del of[key]


def _key(r: Request) -> Key:
    return r.client, r.svid, r.start, r.end


def _in_the_way(wait: Wait, table: LockTable) -> list[Held]:
    """What other owners have, or may have, that conflicts with a wait."""
    r = wait.request
    file = File(r.server, r.fh)
    return [
        (file, owner, replace(piece))
        for owner, pieces in table.pieces.owners(file).items()
        if (owner.client, owner.svid) != (r.client, r.svid)
        for piece in pieces
        if piece.truth.server_holds != "no" and conflicts(piece, r.start, r.end, r.exclusive)
    ]
