"""The pieces of all owners on all files, found by file, by host, and by place.

A file that a few owners have a few pieces of is looked through. Of a *crowd* the pieces are kept by place as well
(``Spans``), so that a grant looks at those in its way and at no others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice

from nlmdissect.history.fates import Claim, File, Owner
from nlmdissect.machines.ranges import SETTLED, Piece, end_of, start_of
from nlmdissect.machines.spans import Spans

FEW = 16  # owners of a file, or pieces of one of them

Kind = tuple[bool, bool]  # exclusive, settled
KINDS: tuple[Kind, ...] = ((True, False), (False, False), (True, True), (False, True))


@dataclass(slots=True)
class _Crowd:
    """The pieces of one file by place. Owners are numbered as they come."""

    spans: dict[Kind, Spans] = field(default_factory=lambda: {kind: Spans() for kind in KINDS})
    numbers: dict[Owner, int] = field(default_factory=dict)
    owners: dict[int, Owner] = field(default_factory=dict)
    kept: dict[tuple[int, int], tuple[int, Kind]] = field(default_factory=dict)  # (number, start) -> end, kind
    _next: Iterator[int] = field(default_factory=count)

    def change(self, owner: Owner, before: Iterable[Piece], after: list[Piece], gone: bool) -> None:
        """Some pieces of an owner became others; ``gone``: it has none any more."""
        if owner not in self.numbers:
            self.numbers[owner] = number = next(self._next)
            self.owners[number] = owner
        number = self.numbers[owner]
        for piece in before:
            end, kind = self.kept.pop((number, piece.start))
            self.spans[kind].remove(piece.start, end, number)
        for piece in after:
            kind = piece.exclusive, piece.state in SETTLED
            self.kept[number, piece.start] = piece.end, kind
            self.spans[kind].add(piece.start, piece.end, number)
        if gone:
            del self.owners[self.numbers.pop(owner)]

    def over(self, start: int, end: int, kinds: Iterable[Kind]) -> Iterator[int]:
        """The numbers of those who have pieces of these kinds that overlap a range: each once, in no order."""
        seen: set[int] = set()
        for kind in kinds:
            for number in self.spans[kind].over(start, end):
                if number not in seen:
                    seen.add(number)
                    yield number


@dataclass(slots=True)
class Pieces:
    """``files[file][owner]`` are the sorted, disjoint pieces of one owner on one file; nobody has an empty list."""

    files: dict[File, dict[Owner, list[Piece]]] = field(default_factory=dict)
    _crowds: dict[File, _Crowd] = field(default_factory=dict)
    _order: dict[File, int] = field(default_factory=dict)
    _of_server: dict[int, dict[File, None]] = field(default_factory=dict)
    _of_client: dict[int, dict[int, dict[tuple[File, Owner], None]]] = field(default_factory=dict)  # and server
    _clients: dict[int, set[int]] = field(default_factory=dict)  # of a server
    _same: dict[tuple[File, int, int], dict[Owner, None]] = field(default_factory=dict)

    def owners(self, file: File) -> dict[Owner, list[Piece]]:
        """Who has pieces of a file; empty if nobody has."""
        return self.files.get(file, {})

    def same(self, file: File, client: int, svid: int) -> list[Owner]:
        """Who of a client and svid has pieces of a file."""
        return list(self._same.get((file, client, svid), ()))

    def clients(self, server: int) -> set[int]:
        """The clients that have pieces at a server."""
        return self._clients.get(server, set())

    def of(self, server: int | None = None, client: int | None = None) -> Iterator[tuple[File, Owner, Piece]]:
        """All pieces, of one server or one client if given, by file as they came. Change nothing meanwhile."""
        if client is not None:
            servers = self._of_client.get(client, {})
            of = [item for at in (servers if server is None else (server,)) for item in servers.get(at, ())]
            for file, owner in sorted(of, key=lambda item: self._order[item[0]]):
                yield from ((file, owner, piece) for piece in self.files[file][owner])
            return
        files = self.files if server is None else self._of_server.get(server, ())
        for file in sorted(files, key=self._order.__getitem__):
            for owner, pieces in self.files[file].items():
                yield from ((file, owner, piece) for piece in pieces)

    def keep(self, file: File, owner: Owner, pieces: list[Piece], start: int, end: int) -> None:
        """An owner has these pieces now. Between ``start`` and ``end``, and at what touches them, they are new."""
        owners = self.files.get(file)
        if owners is None:
            owners = self.files[file] = {}
            self._of_server.setdefault(file.server, {})[file] = None
            self._order.setdefault(file, len(self._order))
        before = owners.get(owner, [])
        if pieces:
            owners[owner] = pieces
        elif before:
            del owners[owner]
        crowd = self._crowds.get(file)
        if crowd is not None:
            new = within(pieces, start - 1, end + 1)
            first, last = (min(start, new[0].start), max(end, new[-1].end)) if new else (start, end)
            crowd.change(owner, within(before, first, last), new, not pieces)
        elif len(owners) > FEW or len(pieces) > FEW:
            crowd = self._crowds[file] = _Crowd()
            for other, of in owners.items():
                crowd.change(other, (), of, False)
        if bool(pieces) != bool(before):
            self._comes_or_goes(file, owner, bool(pieces))

    def restated(self, file: File, owner: Owner, piece: Piece) -> None:
        """A piece that is kept is in another state."""
        if (crowd := self._crowds.get(file)) is not None:
            crowd.change(owner, [piece], [piece], False)

    def over(
        self, claim: Claim, settled: bool, wanted: Callable[[Owner], bool] = lambda _: True, most: int | None = None
    ) -> list[Owner]:
        """Owners who may have something that conflicts with a claim; what is SETTLED does only if ``settled``. Of those
        that are ``wanted`` only some if there are more than ``most``.
        """
        crowd = self._crowds.get(claim.file)
        if crowd is None:
            return list(islice(filter(wanted, self.owners(claim.file)), most))
        kinds = (kind for kind in KINDS if (claim.exclusive or kind[0]) and (settled or not kind[1]))
        found = (number for number in crowd.over(claim.start, claim.end, kinds) if wanted(crowd.owners[number]))
        return [crowd.owners[number] for number in sorted(islice(found, most))]

    def _comes_or_goes(self, file: File, owner: Owner, comes: bool) -> None:
        servers = self._of_client.setdefault(owner.client, {})
        of = servers.setdefault(file.server, {})
        same = self._same.setdefault((file, owner.client, owner.svid), {})
        if comes:
            of[file, owner] = same[owner] = None
            self._clients.setdefault(file.server, set()).add(owner.client)
            return
        del of[file, owner], same[owner]
        if not same:
            del self._same[file, owner.client, owner.svid]
        if not of:
            del servers[file.server]
            self._clients[file.server].discard(owner.client)
        if not self.files[file]:
            del self.files[file], self._of_server[file.server][file]
            self._crowds.pop(file, None)


def within(pieces: list[Piece], start: int, end: int) -> list[Piece]:
    """Those of sorted, disjoint pieces that overlap a range."""
    return pieces[bisect_left(pieces, start, key=end_of) : bisect_right(pieces, end, key=start_of)]
