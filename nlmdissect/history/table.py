"""The lock table of every server, as an outside observer keeps it: pieces, their two truths, and what became of them.

Theory of operation. The table is changed by events only; each change is a step of the hold machine for the pieces
that the event touches, after ``ranges.cut`` has split them at its bounds. When a server restarts, every piece that
it held becomes an *orphan* of that restart. An orphan's *fate* is written down once, at the moment that decides it;
orphans that nothing decided are collected at the end. A later theft is written down beside the fate: it is the
harm, the fate is how it came to it.

Owners are (client endpoint, oh, svid). Linux, FreeBSD and illumos servers do not look at oh: two owners of one
client with one svid are never in conflict here.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field, replace

from nlmdissect.findings import At
from nlmdissect.history.fates import UNLOCKED, Claim, Fate, File, Grant, Outcome, Owner, Row
from nlmdissect.history.pieces import Pieces, within
from nlmdissect.hosts.boot import Boot
from nlmdissect.machines.hold import HOLD, E, H
from nlmdissect.machines.machine import Step
from nlmdissect.machines.ranges import SETTLED, Piece, between, conflicts, cut, holes, in_conflict, put

ALIVE = frozenset({H.HELD, H.HANDED, H.EXPOSED, H.DOUBTED, H.RELEASING})  # granted again, it is the same hold
ENDED_BEFORE = frozenset({H.ORPHANED, H.RECLAIMING, H.LOST, H.STOLEN, H.DEAD})
AGAIN = 100_000  # times that a restart comes over a lock that an earlier one had ended already


@dataclass(slots=True)
class LockTable:
    """What servers and clients believe of locks, and what became of it."""

    pieces: Pieces = field(default_factory=Pieces)
    fates: list[Fate] = field(default_factory=list)
    thefts: list[Grant] = field(default_factory=list)
    collisions: list[Grant] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    again: int = 0  # how often a restart came over a lock that one had ended before
    orphans: list[Piece] = field(default_factory=list)  # as each was then; fates may be about parts of it
    _split: set[int] = field(default_factory=set)  # holds that were ever in several pieces
    _closed: set[int] = field(default_factory=set)  # those of them that are over unless a part is left

    def owner_of(self, claim: Claim) -> Owner:
        """Who of this client and svid has exactly this range; the owner of the claim if nobody has."""
        for owner in self.pieces.same(claim.file, claim.owner.client, claim.owner.svid):
            of = within(self.pieces.owners(claim.file)[owner], claim.start, claim.end)
            if [(piece.start, piece.end) for piece in of] == [(claim.start, claim.end)]:
                return owner
        return claim.owner

    def of(self, server: int | None = None, client: int | None = None) -> Iterator[tuple[File, Owner, Piece]]:
        """All pieces, of one server or one client if given."""
        return self.pieces.of(server, client)

    def grant(self, claim: Claim, event: E, at: At, asked: At, boot: Boot | None = None,
              monitored: bool = True) -> None:  # fmt: skip
        """A lock was granted: by an answer, by a callback, or as a reclaim (``event`` says which)."""
        self._take_from_others(claim, at, asked, boot)
        inside, outside = self._cut(claim)
        if event is E.RECLAIM_GRANTED:
            self._reclaimed(claim, inside, outside, at, asked, boot)
            return
        covered = bool(inside) and not holes(inside, claim.start, claim.end)
        won_already = covered and all(piece.state is H.HELD for piece in inside)
        again = [piece.state in ALIVE for piece in inside] == [True]
        for piece in inside:
            before = piece.state
            self._step(piece, event, at)
            if before in (H.ORPHANED, H.RECLAIMING):
                self._fate(claim, piece, Outcome.REGAINED, at)
        if event is E.CALLBACK and won_already:  # by a poll; the callback comes too late and changes nothing
            self._set(claim, inside, outside)
            return
        if again and (inside[0].start, inside[0].end, inside[0].exclusive) == claim[2:]:
            new = replace(inside[0], granted=at, boot=None)
        else:
            for piece in inside:
                self._close(piece, at, "replaced")
            new = self._open(claim, claim.start, claim.end, at, asked)
            new.monitored = monitored
            self._step(new, event, at)
        self._put(claim, put(outside, new), [*outside, new], at)

    def refuse_reclaim(self, claim: Claim, status: str, at: At, call: At, boot: Boot | None) -> list[Piece]:
        """A reclaim was refused. Returns the pieces that it named, as they were before."""
        inside, outside = self._cut(claim)
        before = [replace(piece) for piece in inside]
        if boot is not None:
            inside += self._unknown(claim, inside, call, call, boot)
        for piece in inside:
            was = piece.state
            self._step(piece, E.RECLAIM_REFUSED, at)
            if piece.state is H.LOST and was is not H.LOST:
                piece.reclaim = call
                self._fate(claim, piece, Outcome.REFUSED, at, status)
        self._set(claim, inside, outside)
        return before

    def ask_reclaim(self, claim: Claim, call: At) -> None:
        """A reclaim was sent."""
        inside, outside = self._cut(claim)
        for piece in inside:
            self._step(piece, E.RECLAIM, call)
            piece.reclaim = call
        self._set(claim, inside, outside)

    def unlock(self, claim: Claim, event: E, at: At, too_late: bool) -> None:
        """An UNLOCK was sent or answered. After the grace period it is ``too_late``: an orphan was lost until then."""
        inside, outside = self._cut(claim)
        for piece in inside:
            before = piece.state
            self._step(piece, event, at)
            if piece.state is H.RELEASED and before in (H.ORPHANED, H.RECLAIMING):
                late = Outcome.MISSING if before is H.ORPHANED else Outcome.UNANSWERED
                self._fate(claim, piece, late if too_late else Outcome.RELEASED, at)
            if piece.state is H.RELEASED:
                self._close(piece, at, UNLOCKED)
        self._set(claim, inside, outside)

    def answer_callback(self, claim: Claim, event: E, at: At) -> None:
        """The waiter accepted or refused what the server handed it. After the UNLOCK that gives nothing back."""
        inside, outside = self._cut(claim)
        for piece in inside:
            before = piece.state
            if before is H.HANDED or (before is H.HELD and event is E.CALLBACK_REFUSED):
                self._step(piece, event, at)
                if piece.state is H.RELEASED:
                    self._close(piece, at, "callback refused")
        self._set(claim, inside, outside)

    def held_by(self, client: int) -> list[tuple[File, Owner, Piece]]:
        """Copies of what servers hold, or may hold, for a client."""
        return [(f, o, replace(p)) for f, o, p in self.of(client=client) if p.truth.server_holds != "no"]

    def client_event(self, server: int | None, client: int, what: E, at: At, but: Container[Owner] = ()) -> list[Claim]:
        """FREED, NOTIFIED_ALIVE or CLIENT_RESTARTED: to a client's pieces, not ``but`` some. Returns what is gone."""
        of = [item for item in self.of(server, client) if item[1] not in but]
        return [Claim.whole(*item) for item in of if self._client_event(*item, what, at)]

    def noticed(self, server: int, client: int, at: At) -> list[Claim]:
        """SM_NOTIFY after a restart: frees the old life's pieces, perhaps those of the new. Returns what is gone."""
        of = [(item, E.FREED if item[2].state is H.DEAD else E.NOTIFIED_ALIVE) for item in self.of(server, client)]
        return [Claim.whole(*item) for item, event in of if self._client_event(*item, event, at)]

    def _client_event(self, file: File, owner: Owner, piece: Piece, event: E, at: At) -> bool:
        before = piece.state
        if event is E.CLIENT_RESTARTED and self._too_often(file, owner, piece, at):
            return False
        self._step(piece, event, at)
        if piece.state is H.RELEASED:
            if before in (H.ORPHANED, H.RECLAIMING):
                self._fate(Claim.whole(file, owner, piece), piece, Outcome.GONE, at)
            self._drop(file, owner, piece, at, event.value)
        elif piece.state is not before:
            self.pieces.restated(file, owner, piece)
        return piece.state is H.RELEASED

    def _too_often(self, file: File, owner: Owner, piece: Piece, at: At) -> bool:
        """Whether a lock that a restart had ended before is not followed over one more: there were too many."""
        self.again += (again := piece.state in ENDED_BEFORE)
        if often := again and self.again > AGAIN:
            self._drop(file, owner, piece, at, "restarted too often")
        return often

    def server_restarted(self, boot: Boot) -> None:
        """The server forgot everything; what clients believe to hold are orphans of this restart."""
        at = boot.not_after
        for file, owner, piece in list(self.of(server=boot.host)):
            if self._too_often(file, owner, piece, at):
                continue
            if piece.state in (H.ORPHANED, H.RECLAIMING):
                self._fate(Claim.whole(file, owner, piece), piece, Outcome.SUPERSEDED, at)
            self._step(piece, E.SERVER_RESTARTED, at)
            if piece.state is H.ORPHANED:
                piece.boot, piece.reclaim = boot.number, None
                self._orphaned(piece)
            elif piece.state is H.RELEASED:
                self._drop(file, owner, piece, at, "server restarted")
                continue
            self.pieces.restated(file, owner, piece)

    def finish(self) -> None:
        """Orphans that nothing decided."""
        for file, owner, piece in self.of():
            if piece.state is H.ORPHANED:
                self._fate(Claim.whole(file, owner, piece), piece, Outcome.MISSING, None)
            elif piece.state is H.RECLAIMING:
                self._fate(Claim.whole(file, owner, piece), piece, Outcome.UNANSWERED, None)

    def _reclaimed(self, claim: Claim, inside: list[Piece], outside: list[Piece], at: At, asked: At,
                   boot: Boot | None) -> None:  # fmt: skip
        inside += self._unknown(claim, inside, at, asked, boot)
        for piece in inside:
            before = piece.state
            self._step(piece, E.RECLAIM_GRANTED, at)
            if before in (H.ORPHANED, H.RECLAIMING, H.UNSEEN):
                piece.reclaim = asked
                self._fate(claim, piece, Outcome.RECLAIMED, at)
            piece.granted, piece.exclusive, piece.boot = at, claim.exclusive, None
        all_of, merged = [*outside, *inside], outside
        for piece in inside:
            merged = put(merged, piece)
        self._put(claim, merged, all_of, at)

    def _unknown(self, claim: Claim, inside: list[Piece], at: At, asked: At, boot: Boot | None) -> list[Piece]:
        """What a reclaim names beyond the known pieces: locks that were taken before the capture began."""
        found = []
        for start, end in holes(inside, claim.start, claim.end):
            piece = self._open(claim, start, end, at, asked)
            piece.known, piece.boot = False, boot.number if boot else None
            self._orphaned(piece)
            found.append(piece)
        return found

    def _take_from_others(self, claim: Claim, at: At, asked: At, boot: Boot | None) -> None:
        file, owner, owners = claim.file, claim.owner, self.pieces.owners(claim.file)
        for other in self.pieces.over(claim, settled=False):
            pieces = owners[other]
            if (other.client, other.svid) == (owner.client, owner.svid) or not in_conflict(pieces, *claim[2:]):
                continue
            inside, outside = self._cut(claim, other)
            for piece in inside:
                if piece.state in SETTLED or not conflicts(piece, *claim[2:]):
                    continue
                before, was, number = piece.state, replace(piece), boot.number if boot else piece.boot
                self._step(piece, E.CONFLICT, at)
                grant = Grant(file, other, was, before, owner, *claim[2:], at, asked, number)
                if piece.state is H.STOLEN and before is not H.STOLEN:
                    self.thefts.append(grant)
                    if before in (H.ORPHANED, H.RECLAIMING):
                        self._fate(Claim.whole(file, other, piece), piece, Outcome.STOLEN, at, by=owner)
                elif piece.state is H.DOUBTED and before is H.HELD:
                    self.collisions.append(grant)
                elif piece.state is H.RELEASED:
                    self._close(piece, at, "released unseen")
            self._set(Claim(file, other, claim.start, claim.end, claim.exclusive), inside, outside)

    def _fate(self, claim: Claim, piece: Piece, outcome: Outcome, at: At | None, status: str = "",
              by: Owner | None = None) -> None:  # fmt: skip
        if piece.boot is not None:
            self.fates.append(Fate(piece.boot, claim.file, claim.owner, replace(piece), outcome, at, status, by))

    def _orphaned(self, piece: Piece) -> None:
        piece.orphan = len(self.orphans)
        self.orphans.append(replace(piece))

    def _step(self, piece: Piece, event: E, at: At) -> None:
        piece.state, step = HOLD.step(at, piece.hold, piece.state, event)
        self.steps.append(step)

    def _open(self, claim: Claim, start: int, end: int, at: At, asked: At) -> Piece:
        self.rows.append(Row(len(self.rows), claim.file, claim.owner, start, end, claim.exclusive, asked, at))
        return Piece(len(self.rows) - 1, start, end, claim.exclusive, at)

    def _close(self, piece: Piece, at: At, how: str) -> None:
        row = self.rows[piece.hold]
        row.released, row.how = at, how
        if piece.hold in self._split:
            self._closed.add(piece.hold)

    def _cut(self, claim: Claim, owner: Owner | None = None) -> tuple[list[Piece], list[Piece]]:
        pieces = self.pieces.owners(claim.file).get(owner or claim.owner, [])
        inside, outside = cut(pieces, claim.start, claim.end)
        if len(inside) + len(outside) > len(pieces):
            self._split.update(piece.hold for piece in inside)
        return inside, outside

    def _drop(self, file: File, owner: Owner, piece: Piece, at: At, how: str) -> None:
        self._close(piece, at, how)
        _, outside = cut(self.pieces.owners(file)[owner], piece.start, piece.end)
        self._set(Claim.whole(file, owner, piece), [], outside)

    def _set(self, claim: Claim, inside: list[Piece], outside: list[Piece]) -> None:
        merged = between([piece for piece in inside if piece.state is not H.RELEASED], outside, claim.start)
        self.pieces.keep(*claim[:2], merged, claim.start, claim.end)
        if merged:
            self._go_on(merged)

    def _put(self, claim: Claim, merged: list[Piece], parts: list[Piece], at: At) -> None:
        """Keep what an owner has after a grant. Holds of ``parts`` that are in none of ``merged`` went into another."""
        self.pieces.keep(*claim[:2], merged, claim.start, claim.end)
        self._go_on(merged)
        if len(merged) == len(parts):
            return
        left = {piece.hold for piece in merged}
        for piece in (piece for piece in parts if piece.hold not in left):
            self._close(piece, at, "joined")

    def _go_on(self, pieces: list[Piece]) -> None:
        """A hold of which a part is left is not over."""
        for piece in pieces if self._closed else ():
            if piece.hold in self._closed:
                self._closed.discard(piece.hold)
                self.rows[piece.hold].released, self.rows[piece.hold].how = None, ""
            if not self._closed:
                break
        self._closed.clear()
