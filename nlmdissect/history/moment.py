"""The lock tables of all servers at one moment, as their administrators would see them, and what of them is unknown.

Theory of operation. The same walk as for the whole recording, ended at that moment. What came later is used for two
things only: restarts are found in retrospect, so a moment between the last sign of an old life and the first one of
the new is a moment at which nobody can tell; and a reclaim proves that a lock was there which the capture never saw
granted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from sys import maxsize

from nlmdissect.findings import At
from nlmdissect.history.fates import File, Owner
from nlmdissect.history.history import History
from nlmdissect.history.waits import Wait
from nlmdissect.history.walk import walk
from nlmdissect.history.watching import Edge
from nlmdissect.hosts.boot import Boot, life_at
from nlmdissect.hosts.grace import in_grace
from nlmdissect.hosts.visibility import V, Visibility
from nlmdissect.machines.hold import H, Truth
from nlmdissect.machines.monitor import M
from nlmdissect.machines.ranges import Piece, conflicts
from nlmdissect.machines.request import R
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Request

# fmt: off
WHY = {
    H.HANDED:     "the server called its waiter, which has not answered yet",
    H.EXPOSED:    "an SM_NOTIFY came in the name of its client, which lives: the server may have dropped it",
    H.DOUBTED:    "another owner was granted the same",
    H.RELEASING:  "UNLOCK was sent and not answered yet",
    H.ORPHANED:   "the server restarted and forgot it, and it is not reclaimed yet",
    H.RECLAIMING: "the server restarted and forgot it; the reclaim is not answered yet",
    H.LOST:       "the server restarted and refused the reclaim",
    H.STOLEN:     "the server lost it and granted the same to another owner",
    H.DEAD:       "the client restarted, and the server was not told",
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Lock:
    """One piece of a file that a server holds for a client, or that the client believes to have.

    ``since`` is the grant of the hold that it belongs to (None: before the capture began), ``proof`` the latest frame
    that grants it; ``waits`` are those that it is in the way of; ``why`` says why the two truths are not yes and yes.
    """

    file: File
    owner: Owner
    piece: Piece
    truth: Truth
    since: At | None
    proof: At
    waits: tuple[Wait, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something about a server's table that the recording does not show. ``at`` is the frame that says so, if any."""

    server: int
    what: str
    at: At | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A server at the moment. ``boot`` is the restart that its life began with, None if it is not in the recording;
    ``in_grace`` whether it is in its grace period, None: cannot tell.
    """

    host: int
    boot: Boot | None
    in_grace: bool | None


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything at ``time`` (ns). ``under_way`` are lock requests that were sent and not decided, beside ``waits``."""

    history: History
    time: int
    servers: list[Server]
    locks: list[Lock]
    waits: list[Wait]
    under_way: list[tuple[Request, R]]
    edges: list[Edge]
    unknown: list[Unknown]

    @property
    def at(self) -> At:
        """Behind all frames of this very moment."""
        return At(self.time, maxsize, maxsize)

    def about(self, hosts: frozenset[int] | None) -> Moment:
        """The same, but only what these hosts have to do with; None: all of it."""
        if hosts is None:
            return self
        locks = [lock for lock in self.locks if hosts & {lock.file.server, lock.owner.client}]
        waits = [wait for wait in self.waits if hosts & {wait.request.server, wait.request.client}]
        under_way = [(r, state) for r, state in self.under_way if hosts & {r.server, r.client}]
        servers = {server for server, client in self.history.requests.pairs if hosts & {server, client}}
        return replace(
            self,
            servers=[server for server in self.servers if server.host in servers],
            locks=[replace(lock, waits=tuple(w for w in lock.waits if w in waits)) for lock in locks],
            waits=waits,
            under_way=under_way,
            edges=[edge for edge in self.edges if hosts & {edge.watcher, edge.watched}],
            unknown=[unknown for unknown in self.unknown if unknown.server in servers],
        )


def moment(history: History, time: int) -> Moment:
    """The state of everything at ``time`` (ns), events of that very moment included."""
    walked = walk(history.calls, history.requests, history.boots, history.names, history.loopback, until=time)
    waits = [wait for wait in walked.waits if wait.ended is None]
    rows = walked.table.rows
    locks = [
        _lock(history, time, file, owner, piece, rows[piece.hold].granted, waits)
        for file, owner, piece in walked.table.of()
        if piece.truth != ("no", "no")
    ]
    locks.sort(key=lambda lock: (lock.file, lock.piece.start, lock.piece.end, lock.owner))
    hosts = sorted({server for server, _ in history.requests.pairs})
    servers = []
    for host in hosts:
        boot = life_at(history.boots, host, time)
        servers.append(Server(host, boot, in_grace(boot, time)))
    return Moment(
        history,
        time,
        servers,
        locks,
        waits,
        [(r, state) for r, state in walked.undecided if state is not R.WAITING],
        [edge for edge in walked.edges.values() if edge.state is not M.UNSEEN],
        [what for server in servers for what in _unknown(history, time, server)],
    )


def _lock(history: History, time: int, file: File, owner: Owner, piece: Piece, granted: At, waits: list[Wait]) -> Lock:
    truth, why = piece.truth, WHY.get(piece.state, "")
    for host in (file.server, owner.client):
        boot = _perhaps_restarting(history, host, time, piece.granted)
        if boot is not None and (host == file.server or not boot.lived_on):
            yes = truth.server_holds if host == file.server else truth.client_believes
            if yes == "yes":
                field = "server_holds" if host == file.server else "client_believes"
                truth = truth._replace(**{field: "unknown"})
                why = f"{history.names.label(host)} restarts about then"
    in_the_way = tuple(wait for wait in waits if _blocks(file, owner, piece, wait))
    return Lock(file, owner, replace(piece), truth, granted if piece.known else None, piece.granted, in_the_way, why)


def _blocks(file: File, owner: Owner, piece: Piece, wait: Wait) -> bool:
    r = wait.request
    mine = (r.client, r.svid) == (owner.client, owner.svid)
    same = file == (r.server, r.fh)
    return same and not mine and piece.truth.server_holds != "no" and conflicts(piece, r.start, r.end, r.exclusive)


def _perhaps_restarting(history: History, host: int, time: int, alive: At) -> Boot | None:
    """The restart that a moment may lie on either side of: after the last sign of the old life, before the first of
    the new one. ``alive``: a moment of the old life.
    """
    for boot in history.boots:
        if boot.host == host and time < boot.not_after.time:
            last = max(boot.not_before or alive, alive)
            return boot if last.time < time else None
    return None


def _unknown(history: History, time: int, server: Server) -> Iterator[Unknown]:
    """What of a server's table the recording does not show."""
    host, names, begin = server.host, history.names, history.extent.first
    if server.boot is None:
        yield Unknown(host, "locks that were taken before the capture began are not listed")
    else:
        yield Unknown(
            host, "what clients believe to hold since before the capture began is not listed", server.boot.not_after
        )
    restarting = _perhaps_restarting(history, host, time, At(begin, 0, 0))
    if restarting is not None:
        what = f"{names.label(host)} restarts about then, or has just done so: its table may be empty"
        yield Unknown(host, what, restarting.not_after)
    seen: set[int] = set()
    for fate in history.walked.table.fates:
        piece = fate.piece
        if fate.file.server == host and not piece.known and piece.granted.time > time and piece.orphan not in seen:
            seen.add(piece.orphan)
            yield Unknown(host, _not_seen(history, fate.file, fate.owner, piece), piece.granted)
    clients = sorted({client for server, client in history.requests.pairs if server == host})
    sight = replace(history.visibility, asked={})  # a question about a moment is not part of the coverage of rules
    for client in clients:
        for doubt in _doubts(sight, host, client, begin, time):
            yield Unknown(host, f"with {names.label(client)}: {doubt}")


def _not_seen(history: History, file: File, owner: Owner, piece: Piece) -> str:
    end = "EOF" if piece.end == END else piece.end
    return (
        f"{history.names.label(owner.client)} svid {owner.svid} has {piece.start}-{end} of "
        f"{history.called(*file, piece.granted)} since before the capture began, as a later reclaim shows"
    )


def _doubts(sight: Visibility, server: int, client: int, begin: int, time: int) -> list[str]:
    found = sight.all((client, server), (V.NO_LOSS, V.BOTH_WAYS, V.DECODED), begin, time)
    return list(dict.fromkeys(doubt.why for doubt in found))
