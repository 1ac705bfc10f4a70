"""POSIX byte ranges of one owner on one file: split, merge, upgrade. The only arithmetic on ranges.

Theory of operation. One owner's locks on one file are a sorted list of disjoint *pieces*. LOCK replaces what lies
under it (upgrade, downgrade, extension) and joins neighbours of the same kind; UNLOCK takes away what lies under it
and may cut a piece in two. Both parts of a split keep everything but their bounds: state, grant frame, restart. A
joined piece carries the frame of the newest grant. Reclaims name the client's pieces after all that, never the
ranges of the original requests.

Units: ``start`` and ``end`` are byte positions, both inclusive; ``END`` stands for "to the end of the file" (l_len
= 0).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter

from nlmdissect.findings import At
from nlmdissect.machines.hold import TRUTHS, H, Truth

SETTLED = frozenset({H.DOUBTED, H.STOLEN})  # another conflict tells nothing new of them


@dataclass(slots=True)
class Piece:
    """One piece of a file, held by one owner; the owner and the file are the caller's business.

    ``hold`` numbers the hold for steps; ``granted`` is the frame that granted it; ``boot`` is the server's restart
    that it has to be reclaimed after, and ``orphan`` its number among the pieces that restarts orphaned;
    ``monitored`` is False for NM_LOCK; ``known`` is False where only a reclaim proves it.
    """

    hold: int
    start: int
    end: int
    exclusive: bool
    granted: At
    state: H = H.UNSEEN
    boot: int | None = None
    orphan: int = -1
    reclaim: At | None = None
    monitored: bool = True
    known: bool = True

    @property
    def truth(self) -> Truth:
        return TRUTHS[self.state]


def overlap(piece: Piece, start: int, end: int) -> bool:
    return piece.start <= end and start <= piece.end


def cut(pieces: list[Piece], start: int, end: int) -> tuple[list[Piece], list[Piece]]:
    """Split ``pieces`` (sorted, disjoint) at the bounds of a range: those inside it, and those outside. Both lists stay
    sorted. Of thousands of pieces only those inside are looked at.
    """
    first, behind = bisect_left(pieces, start, key=end_of), bisect_right(pieces, end, key=start_of)
    inside: list[Piece] = []
    outside = pieces[:first]
    for piece in pieces[first:behind]:
        if piece.start < start:
            outside.append(replace(piece, end=start - 1))
        if piece.end > end:
            outside.append(replace(piece, start=end + 1))
        inside.append(replace(piece, start=max(piece.start, start), end=min(piece.end, end)))
    outside += pieces[behind:]
    return inside, outside


def between(inside: list[Piece], outside: list[Piece], start: int) -> list[Piece]:
    """The two lists of ``cut`` as one again; ``start`` is that of the range."""
    place = bisect_left(outside, start, key=start_of)
    return [*outside[:place], *sorted(inside, key=start_of), *outside[place:]]


def holes(inside: list[Piece], start: int, end: int) -> list[tuple[int, int]]:
    """What of ``start..end`` none of the sorted, disjoint pieces ``inside`` covers."""
    gaps: list[tuple[int, int]] = []
    for piece in inside:
        if piece.start > start:
            gaps.append((start, piece.start - 1))
        start = piece.end + 1
    if start <= end:
        gaps.append((start, end))
    return gaps


def put(outside: list[Piece], piece: Piece) -> list[Piece]:
    """Add a piece to those that do not overlap it, and join it with neighbours of the same kind and state."""
    joined = piece
    first = behind = bisect_left(outside, piece.start, key=start_of)
    if first and outside[first - 1].end + 1 == piece.start and _same_kind(outside[first - 1], piece):
        first -= 1
        joined = replace(joined, start=outside[first].start)
    while behind < len(outside) and joined.end + 1 == outside[behind].start and _same_kind(outside[behind], joined):
        joined = replace(joined, end=outside[behind].end)
        behind += 1
    return [*outside[:first], joined, *outside[behind:]]


def conflicts(piece: Piece, start: int, end: int, exclusive: bool) -> bool:
    """Whether another owner's lock on ``start..end`` is incompatible with ``piece``."""
    return overlap(piece, start, end) and (exclusive or piece.exclusive)


def in_conflict(pieces: list[Piece], start: int, end: int, exclusive: bool) -> bool:
    """Whether ``conflicts`` is true of any of them that it would change: what is SETTLED stays as it is."""
    for piece in pieces[bisect_left(pieces, start, key=end_of) :]:
        if piece.start > end:
            return False
        if (exclusive or piece.exclusive) and piece.state not in SETTLED:
            return True
    return False


def _same_kind(a: Piece, b: Piece) -> bool:
    return a.exclusive == b.exclusive and a.state is b.state and a.boot == b.boot and a.monitored == b.monitored


start_of: Callable[[Piece], int] = attrgetter("start")
end_of: Callable[[Piece], int] = attrgetter("end")
