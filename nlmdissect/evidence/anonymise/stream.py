"""One direction of a TCP connection, whose bytes get other names and here and there another length.

Positions are sequence numbers that do not wrap. A name that is the text of an address may become longer or shorter;
from there on sequence numbers and acknowledgements move with it, so that the new connection is as whole, or has the
same holes, as the old one.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from nlmdissect.capture.order import MAX_LOST
from nlmdissect.evidence.anonymise.marks import Marks, Rewrite
from nlmdissect.evidence.anonymise.rewrite import Edit

MASK = 0xFFFFFFFF
HALF = 1 << 31
FAR = 1 << 30  # bytes; a segment so far away belongs to another life
KEPT = 1 << 16  # bytes that are known for retransmissions; of older ones zeros are sent again


@dataclass(slots=True)
class Piece:
    """``size`` bytes on the wire from position ``at``, ``data`` of which were captured; what became of them, when
    ``new`` is not None.
    """

    at: int
    size: int
    data: bytes
    new: bytes | None = None
    new_at: int = 0
    new_size: int = 0


class Direction:
    """What went one way. ``take`` every segment; its ``new`` is filled in then, or later. A stream whose beginning was
    not captured begins with the first segment that was.
    """

    def __init__(self, rewrite: Rewrite, at: int, *, at_start: bool) -> None:
        self._rewrite = rewrite
        self._first = at  # the position at which the marks began to count
        self._next = at
        self._marks = Marks(rewrite, at_start=at_start)
        self._waiting: list[Piece] = []
        self._unresolved: list[Piece] = []
        self._resolved = at  # how much of the marks' work the unresolved pieces know
        self._edits: list[Edit] = []  # with ``by`` summed up
        self._ends: list[int] = []
        self._kept = bytearray()
        self._kept_from = at  # in the new stream
        self._holes: list[tuple[int, int]] = []

    def position(self, seq: int) -> int:
        return self._next + ((seq - self._next + HALF) & MASK) - HALF

    def far(self, at: int) -> bool:
        return abs(at - self._next) > FAR

    def take(self, piece: Piece) -> None:
        """A segment with data."""
        self._put(piece)
        self._settle(piece)

    def _put(self, piece: Piece) -> None:
        if piece.at > self._next:
            self._waiting.insert(bisect_right(self._waiting, piece.at, key=lambda p: p.at), piece)
            return
        self._pass(piece)
        while self._waiting and self._waiting[0].at <= self._next:
            self._pass(self._waiting.pop(0))
        self._collect()

    def give_up(self, piece: Piece) -> None:
        """Do not wait any longer for what is missing before the end of a piece."""
        while piece.new is None:
            self._give_up()

    def _give_up(self) -> None:
        if self._marks.waiting:
            self._marks.finish()
        else:
            missing = self._waiting[0].at - self._next
            if missing > 0:
                self._holes.append((self._next, self._waiting[0].at))
                del self._holes[:-MAX_LOST]
                self._missing(missing)
            self._put(self._waiting.pop(0))
        self._collect()

    def moved(self, at: int) -> int:
        """Where an old position is in the new stream."""
        place = bisect_right(self._ends, at)
        by = self._edits[place - 1].by if place else 0
        if place < len(self._edits) and self._edits[place].start < at:  # within a text that has another length
            edit = self._edits[place]
            return min(at + by, edit.end + edit.by)
        return at + by

    def _settle(self, piece: Piece) -> None:
        if piece.at + len(piece.data) <= self._first + self._marks.done:
            self._resolve(piece)
        else:
            self._unresolved.append(piece)

    def _resolve(self, piece: Piece) -> None:
        """Fill in what became of a piece."""
        start, stop = self.moved(piece.at), self.moved(piece.at + piece.size)
        last = self.moved(piece.at + len(piece.data)) if len(piece.data) < piece.size else stop
        piece.new_at, piece.new_size = start, stop - start
        piece.new = self._late(piece)
        if piece.new is None:
            unknown = bytes(min(max(self._kept_from - start, 0), last - start))
            new = unknown + self._kept[max(start - self._kept_from, 0) : max(last - self._kept_from, 0)]
            piece.new = bytes(new).ljust(last - start, b"\0")

    def _pass(self, piece: Piece) -> None:
        known = self._next - piece.at
        if known >= piece.size:
            return
        self._marks.feed(piece.data[known:])
        self._next = max(self._next, piece.at + max(len(piece.data), known))
        missing = piece.at + piece.size - self._next
        if missing > 0:
            self._missing(missing)

    def _missing(self, count: int) -> None:
        self._marks.finish()
        self._collect()
        self._marks.hole(count)
        self._next += count
        if count > KEPT:
            self._kept_from += len(self._kept) + count - KEPT
            self._kept.clear()
        self._kept += bytes(min(count, KEPT))

    def _collect(self) -> None:
        """Take over what the marks have done."""
        marks = self._marks
        self._kept += marks.out
        marks.out.clear()
        for edit in marks.edits:
            before = self._edits[-1].by if self._edits else 0
            start, end = edit.start + self._first, edit.end + self._first
            self._edits.append(Edit(start, end, before + edit.by))
            self._ends.append(end)
        marks.edits.clear()
        done = self._first + marks.done
        if done > self._resolved:  # a long record comes in many segments, and all but the last change nothing
            self._resolved, pieces, self._unresolved = done, self._unresolved, []
            for piece in pieces:
                self._settle(piece)
        if len(self._kept) > 2 * KEPT:
            self._kept_from += len(self._kept) - KEPT
            del self._kept[:-KEPT]

    def _late(self, piece: Piece) -> bytes | None:
        """New bytes for what turns up when it was given up: whole messages in it are read by themselves."""
        if piece.at >= self._first and not any(a <= piece.at < b for a, b in self._holes):
            return None
        marks = Marks(self._rewrite, at_start=False)
        marks.feed(piece.data)
        marks.finish()
        return bytes(marks.out) if not marks.edits else bytes(len(piece.data))
