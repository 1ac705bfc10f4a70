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

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from itertools import chain
from typing import NamedTuple

from nlmdissect.findings import At
from nlmdissect.hosts.boots import Boot
from nlmdissect.machines.hold import HOLD, E, H
from nlmdissect.machines.machine import Step
from nlmdissect.machines.ranges import Piece, conflicts, cut, holes, put


class File(NamedTuple):
    server: int
    fh: int


class Owner(NamedTuple):
    client: int
    oh: int
    svid: int


class Outcome(StrEnum):
    """What became of an orphan."""

    RECLAIMED = auto()
    REFUSED = auto()  # the reclaim was answered with anything but GRANTED
    STOLEN = auto()  # granted to another owner before or without a reclaim
    MISSING = auto()  # never asked for again while the server would have listened
    UNANSWERED = auto()  # a reclaim was sent and never answered
    RELEASED = auto()  # the client gave it up in time
    REGAINED = auto()  # never reclaimed, but granted again to the same owner as a new lock
    GONE = auto()  # the client restarted as well
    SUPERSEDED = auto()  # the server restarted again first


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one orphan, or of a part of it. ``at`` decided it; ``reclaim`` is the reclaim call, if there
    was one.
    """

    boot: int
    file: File
    owner: Owner
    piece: Piece
    outcome: Outcome
    at: At | None
    status: str = ""
    by: Owner | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant that took what another owner had: ``piece`` of ``owner``, in the state ``before``, went to ``by``."""

    file: File
    owner: Owner
    piece: Piece
    before: H
    by: Owner
    start: int
    end: int
    exclusive: bool
    at: At
    asked: At
    boot: int | None


@dataclass(slots=True)
class Row:
    """One hold from its grant to its end, for the table of locks."""

    hold: int
    file: File
    owner: Owner
    start: int
    end: int
    exclusive: bool
    asked: At
    granted: At
    released: At | None = None
    how: str = ""


@dataclass(slots=True)
class LockTable:
    """``pieces[file][owner]`` are the sorted, disjoint pieces of one owner on one file."""

    pieces: dict[File, dict[Owner, list[Piece]]] = field(default_factory=lambda: defaultdict(dict))
    fates: list[Fate] = field(default_factory=list)
    thefts: list[Grant] = field(default_factory=list)
    collisions: list[Grant] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    orphans: list[Piece] = field(
        default_factory=list
    )  # each as it was when it became one; fates may be about parts of it

    def owners(self, file: File) -> dict[Owner, list[Piece]]:
        """Who has pieces of a file; empty if nobody has."""
        return self.pieces.get(file, {})

    def of(self, server: int | None = None, client: int | None = None) -> Iterator[tuple[File, Owner, Piece]]:
        """All pieces, of one server or one client if given."""
        for file, owners in self.pieces.items():
            if server is None or file.server == server:
                for owner, pieces in owners.items():
                    if client is None or owner.client == client:
                        for piece in pieces:
                            yield file, owner, piece

    def grant(
        self, file: File, owner: Owner, start: int, end: int, exclusive: bool, event: E, at: At, asked: At, boot: Boot | None,
        monitored: bool = True,
    ) -> None:  # fmt: skip
        """A lock was granted: by an answer, by a callback, or as a reclaim (``event`` says which)."""
        self._take_from_others(file, owner, start, end, exclusive, at, asked, boot)
        inside, outside = cut(self.owners(file).get(owner, []), start, end)
        if event is E.RECLAIM_GRANTED:
            self._reclaimed(file, owner, inside, outside, start, end, exclusive, at, asked, boot)
            return
        won_already = bool(inside) and not holes(inside, start, end) and all(piece.state is H.HELD for piece in inside)
        for piece in inside:
            before = piece.state
            self._step(piece, event, at)
            if before in (H.ORPHANED, H.RECLAIMING):
                self._fate(file, owner, piece, Outcome.REGAINED, at)
        if event is E.CALLBACK and won_already:  # by a poll; the callback comes too late and changes nothing
            self._set(file, owner, inside, outside)
            return
        if len(inside) == 1 and (inside[0].start, inside[0].end, inside[0].exclusive) == (start, end, exclusive):
            new = replace(inside[0], granted=at, boot=None)
        else:
            for piece in inside:
                self._close(piece, at, "replaced")
            new = self._open(file, owner, start, end, exclusive, at, asked)
            new.monitored = monitored
            self._step(new, event, at)
        self.pieces[file][owner] = put(outside, new)

    def refuse_reclaim(
        self,
        file: File,
        owner: Owner,
        start: int,
        end: int,
        exclusive: bool,
        status: str,
        at: At,
        call: At,
        boot: Boot | None,
    ) -> list[Piece]:
        """A reclaim was refused. Returns the pieces that it named, as they were before."""
        inside, outside = cut(self.owners(file).get(owner, []), start, end)
        before = [replace(piece) for piece in inside]
        if boot is not None:  # the capture began after the grant: the reclaim itself tells what was held
            for low, high in holes(inside, start, end):
                piece = self._open(file, owner, low, high, exclusive, call, call)
                piece.known, piece.boot = False, boot.number
                self._orphaned(piece)
                inside.append(piece)
        for piece in inside:
            was = piece.state
            self._step(piece, E.RECLAIM_REFUSED, at)
            if piece.state is H.LOST and was is not H.LOST:
                piece.reclaim = call
                self._fate(file, owner, piece, Outcome.REFUSED, at, status)
        self._set(file, owner, inside, outside)
        return before

    def ask_reclaim(self, file: File, owner: Owner, start: int, end: int, call: At) -> None:
        """A reclaim was sent."""
        inside, outside = cut(self.owners(file).get(owner, []), start, end)
        for piece in inside:
            self._step(piece, E.RECLAIM, call)
            piece.reclaim = call
        self._set(file, owner, inside, outside)

    def unlock(self, file: File, owner: Owner, start: int, end: int, event: E, at: At, too_late: bool) -> None:
        """An UNLOCK was sent or answered. ``too_late``: after the grace period, when what was never reclaimed is
        lost.
        """
        inside, outside = cut(self.owners(file).get(owner, []), start, end)
        for piece in inside:
            before = piece.state
            self._step(piece, event, at)
            if piece.state is H.RELEASED and before in (H.ORPHANED, H.RECLAIMING):
                late = Outcome.MISSING if before is H.ORPHANED else Outcome.UNANSWERED
                self._fate(file, owner, piece, late if too_late else Outcome.RELEASED, at)
            if piece.state is H.RELEASED:
                self._close(piece, at, "unlocked")
        self._set(file, owner, inside, outside)

    def answer_callback(self, file: File, owner: Owner, start: int, end: int, event: E, at: At) -> None:
        """The waiter accepted or refused what the server handed it. An answer may come after the UNLOCK: it gives
        nothing back.
        """
        inside, outside = cut(self.owners(file).get(owner, []), start, end)
        for piece in inside:
            if piece.state is H.HANDED:
                self._step(piece, event, at)
                if piece.state is H.RELEASED:
                    self._close(piece, at, "callback refused")
        self._set(file, owner, inside, outside)

    def held_by(self, client: int) -> list[tuple[File, Owner, Piece]]:
        """Copies of what servers hold, or may hold, for a client."""
        return [(f, o, replace(p)) for f, o, p in self.of(client=client) if p.truth.server_holds != "no"]

    def client_event(self, server: int | None, client: int, event: E, at: At) -> None:
        """Something happened to every piece of a client: FREED, NOTIFIED_ALIVE or CLIENT_RESTARTED."""
        for file, owner, piece in list(self.of(server, client)):
            before = piece.state
            self._step(piece, event, at)
            if piece.state is H.RELEASED:
                if before in (H.ORPHANED, H.RECLAIMING):
                    self._fate(file, owner, piece, Outcome.GONE, at)
                self._close(piece, at, event.value)
                self._set(file, owner, [], [p for p in self.pieces[file][owner] if p is not piece])

    def server_restarted(self, boot: Boot) -> None:
        """The server forgot everything; what clients believe to hold are orphans of this restart."""
        at = boot.not_after
        for file, owner, piece in list(self.of(server=boot.host)):
            before = piece.state
            if before in (H.ORPHANED, H.RECLAIMING):
                self._fate(file, owner, piece, Outcome.SUPERSEDED, at)
            self._step(piece, E.SERVER_RESTARTED, at)
            if piece.state is H.ORPHANED:
                piece.boot, piece.reclaim = boot.number, None
                self._orphaned(piece)
            elif piece.state is H.RELEASED:
                self._close(piece, at, "server restarted")
                self._set(file, owner, [], [p for p in self.pieces[file][owner] if p is not piece])

    def finish(self) -> None:
        """Orphans that nothing decided."""
        for file, owner, piece in self.of():
            if piece.state is H.ORPHANED:
                self._fate(file, owner, piece, Outcome.MISSING, None)
            elif piece.state is H.RECLAIMING:
                self._fate(file, owner, piece, Outcome.UNANSWERED, None)

    def _reclaimed(
        self, file: File, owner: Owner, inside: list[Piece], outside: list[Piece], start: int, end: int, exclusive: bool,
        at: At, asked: At, boot: Boot | None,
    ) -> None:  # fmt: skip
        for low, high in holes(inside, start, end):
            piece = self._open(file, owner, low, high, exclusive, at, asked)
            piece.known, piece.boot = False, boot.number if boot else None
            self._orphaned(piece)
            inside.append(piece)
        for piece in inside:
            before = piece.state
            self._step(piece, E.RECLAIM_GRANTED, at)
            if before in (H.ORPHANED, H.RECLAIMING, H.UNSEEN):
                piece.reclaim = asked
                self._fate(file, owner, piece, Outcome.RECLAIMED, at)
            piece.granted, piece.exclusive, piece.boot = at, exclusive, None
        merged = outside
        for piece in sorted(inside, key=lambda p: p.start):
            merged = put(merged, piece)
        self.pieces[file][owner] = merged

    def _take_from_others(
        self, file: File, owner: Owner, start: int, end: int, exclusive: bool, at: At, asked: At, boot: Boot | None
    ) -> None:
        for other, pieces in list(self.owners(file).items()):
            if other == owner or (other.client, other.svid) == (owner.client, owner.svid):
                continue
            if not any(conflicts(piece, start, end, exclusive) for piece in pieces):
                continue
            inside, outside = cut(pieces, start, end)
            for piece in inside:
                if not conflicts(piece, start, end, exclusive):
                    continue
                before, was = piece.state, replace(piece)
                self._step(piece, E.CONFLICT, at)
                number = boot.number if boot else piece.boot
                grant = Grant(file, other, was, before, owner, start, end, exclusive, at, asked, number)
                if piece.state is H.STOLEN and before is not H.STOLEN:
                    self.thefts.append(grant)
                    if before in (H.ORPHANED, H.RECLAIMING):
                        self._fate(file, other, piece, Outcome.STOLEN, at, by=owner)
                elif piece.state is H.DOUBTED and before is H.HELD:
                    self.collisions.append(grant)
                elif piece.state is H.RELEASED:
                    self._close(piece, at, "released unseen")
            self._set(file, other, inside, outside)

    def _fate(
        self,
        file: File,
        owner: Owner,
        piece: Piece,
        outcome: Outcome,
        at: At | None,
        status: str = "",
        by: Owner | None = None,
    ) -> None:
        if piece.boot is not None:
            self.fates.append(Fate(piece.boot, file, owner, replace(piece), outcome, at, status, by))

    def _orphaned(self, piece: Piece) -> None:
        piece.orphan = len(self.orphans)
        self.orphans.append(replace(piece))

    def _step(self, piece: Piece, event: E, at: At) -> None:
        piece.state, step = HOLD.step(at, piece.hold, piece.state, event)
        self.steps.append(step)

    def _open(self, file: File, owner: Owner, start: int, end: int, exclusive: bool, at: At, asked: At) -> Piece:
        self.rows.append(Row(len(self.rows), file, owner, start, end, exclusive, asked, at))
        return Piece(len(self.rows) - 1, start, end, exclusive, at)

    def _close(self, piece: Piece, at: At, how: str) -> None:
        row = self.rows[piece.hold]
        row.released, row.how = at, how

    def _set(self, file: File, owner: Owner, inside: list[Piece], outside: list[Piece]) -> None:
        left = [piece for piece in inside if piece.state is not H.RELEASED]
        merged = sorted(chain(left, outside), key=lambda piece: piece.start)
        if merged:
            self.pieces[file][owner] = merged
        else:
            self.pieces[file].pop(owner, None)
