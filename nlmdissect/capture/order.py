"""One direction of a TCP connection on the slow road: segments in any order become bytes in order, with holes.

Sequence numbers are unwrapped into positions that only grow, so that nothing else needs to know that they wrap.
Of bytes that arrive twice the first copy counts: the frame of a message is that in which its last missing byte came.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from .marks import START_LIMIT, Records, Sink, Stamp
from .probe import WINDOW, plausible

MASK = 0xFFFFFFFF
HALF = 1 << 31

MAX_WAITING = 8 << 20
"""Bytes of one direction that wait for missing ones; more than any usual TCP window."""

MAX_PIECES = 16384
OLD = 1 << 22
FAR = 1 << 30
"""A segment so many bytes behind or ahead belongs to another life of the connection, whose SYN was not captured."""

HELD_SEGMENTS = 32
HELD_BYTES = 1 << 16
"""A stream without a beginning is held for so long, and for HOLD_TIME: its first segments may come in any order."""

MAX_LOST = 64
"""Missing ranges that are remembered, in case the bytes come after all."""


class Piece(NamedTuple):
    """Some bytes that wait: ``data`` of ``size`` bytes on the wire, from position ``at`` on."""

    at: int
    data: bytes
    size: int
    stamp: Stamp

    @property
    def end(self) -> int:
        """The position behind it."""
        return self.at + self.size


class Direction:
    """Order of one flow. ``next`` is the position of the next byte; ``started`` says whether it is known."""

    __slots__ = (
        "ack_stamp", "acked", "acked_since", "buffered", "empty", "fin", "first_ack", "flow", "keep", "lost", "lost_at",
        "next", "records", "silent", "sink", "started", "waiting", "waiting_since",
    )  # fmt: skip

    def __init__(self, sink: Sink, flow: int, keep: int) -> None:
        self.sink = sink
        self.flow = flow
        self.keep = keep
        self.silent = False  # its peer acknowledges bytes, and it was never seen
        self._clear()

    def _clear(self) -> None:
        self.started = False
        self.empty = False  # nothing came yet since the SYN
        self.next = 0
        self.records = Records(self.sink, self.flow, self.keep, searching=True)
        self.waiting: list[Piece] = []
        self.waiting_since = 0
        self.buffered = 0
        self.acked: int | None = None  # highest position that the peer acknowledged
        self.first_ack = 0
        self.acked_since = 0  # when it first acknowledged bytes that are not here
        self.ack_stamp: Stamp = (0, 0, 0, 0)
        self.fin: int | None = None
        self.lost: list[tuple[int, int]] = []
        self.lost_at = 0

    @property
    def idle(self) -> bool:
        """Is nothing waiting?"""
        return self.records.lost or not (self.waiting or not self.records.idle or self.unseen)

    @property
    def unseen(self) -> int:
        """Bytes that the peer has acknowledged and that are not here, nor waiting."""
        if self.acked is None or self.records.lost:
            return 0
        if not self.started:
            return 0 if self.waiting else self.acked - self.first_ack
        known = self.waiting[-1].end if self.waiting else self.next
        return max(self.acked - known - (self.fin is not None and self.fin <= known), 0)

    def position(self, seq: int) -> int:
        """Unwrap a sequence number near what is known."""
        near = self.next if self.started else self.waiting[0].at if self.waiting else (1 << 40) + seq
        return near + ((seq - near + HALF) & MASK) - HALF

    def begin(self, seq: int, *, at_start: bool) -> None:
        """The stream begins (or goes on, with a record's state set by the caller) at this sequence number."""
        self.next = self.position(seq)
        self.started, self.empty = True, at_start
        if at_start:
            self.records = Records(self.sink, self.flow, self.keep, patience=START_LIMIT)

    def restart(self) -> None:
        """Another life of the flow: let go of this one."""
        self.flush()
        self._clear()

    def take(self, seq: int, data: bytes, size: int, stamp: Stamp) -> None:
        """A segment with ``size`` > 0 bytes of payload."""
        at = self.position(seq)
        if not self.started:
            if not self.waiting:
                self.waiting_since = stamp[1]
            self._wait(at, data, size, stamp)
            if len(self.waiting) >= HELD_SEGMENTS or self.buffered >= HELD_BYTES:
                self.commit()
            return
        if self.records.lost:
            if not plausible(data, 0, min(len(data), WINDOW)) > 0:
                return
            self.waiting, self.buffered, self.lost = [], 0, []
            self.records = Records(self.sink, self.flow, self.keep)
            self.next = at
        before = self.empty and at < self.next and size > 1  # then the SYN's number was not what it seems
        if before or at - self.next > FAR or self.next - at - size > OLD:
            self.restart()
            self.take(seq, data, size, stamp)
        elif at + size <= self.next:
            self._late(at, data, size, stamp)
        elif at > self.next:
            if not self.waiting:
                self.waiting_since = stamp[1]
            self._wait(at, data, size, stamp)
        else:
            if self.lost and at < self.next:
                self._late(at, data, self.next - at, stamp)
            if self.waiting:  # of what is here already the first copy counts
                known = self.next - at
                self._wait(self.next, data[known:], size - known, stamp)
                self.drain()
            else:
                self._pass(Piece(at, data, size, stamp))

    def acknowledge(self, ack: int, stamp: Stamp) -> None:
        """The peer has everything before ``ack``."""
        self.ack_stamp = stamp
        if self.started and not self.waiting and self.acked is not None:
            at = self.position(ack)
            if self.acked <= at <= self.next <= at + FAR:  # the usual case: nothing is missing, before and after
                self.acked = at
                return
        if not self.started and not self.waiting:
            if self.acked is None:
                self.acked = self.first_ack = (1 << 40) + ack
            at = self.acked + ((ack - self.acked + HALF) & MASK) - HALF
        else:
            at = self.position(ack)
        before = self.unseen
        if self.acked is None or self.acked < at < self.acked + FAR or self.acked > at + OLD:
            self.acked = at
        if self.started and abs(self.acked - self.next) > FAR:
            self.acked = None
        elif not before and self.unseen:
            self.acked_since = stamp[1]

    def commit(self) -> None:
        """Begin a stream that has no beginning, with the lowest byte seen so far."""
        self.next = self.waiting[0].at
        if self.acked is not None:
            self.acked = self.position(self.acked & MASK)
        self.started = True
        self.lost = [(self.next - OLD, self.next)]
        self.drain()

    def drain(self) -> None:
        """Hand on what is in order now."""
        done = 0
        for piece in self.waiting:
            if piece.at > self.next:
                break
            done += 1
            self.buffered -= len(piece.data)
            self._pass(piece)
        del self.waiting[:done]
        if done and self.waiting:
            self.waiting_since = self.waiting[0].stamp[1]

    def skip(self, to: int, now: int = 0) -> int:
        """Give up what is missing before position ``to``; how many bytes that was."""
        count = to - self.next
        self.empty, self.lost_at = False, now
        self.lost.append((self.next, to))
        del self.lost[:-MAX_LOST]
        self.records.hole(count)
        self.next = to
        self.drain()
        return count

    def flush(self) -> list[tuple[int, Stamp]]:
        """Nothing follows: hand on everything, over all gaps. Returns (missing bytes, stamp of what came behind)."""
        gaps: list[tuple[int, Stamp]] = []
        if self.waiting and not self.started:
            self.commit()
        while self.waiting:
            stamp = self.waiting[0].stamp
            gaps.append((self.skip(self.waiting[0].at), stamp))
        self.records.finish()
        return gaps

    def _pass(self, piece: Piece) -> None:
        known = self.next - piece.at
        if known >= piece.size:
            return
        self.empty = False
        data = piece.data[known:] if known else piece.data
        self.records.feed(data, piece.stamp)
        missing = piece.size - max(known, 0) - len(data)
        if missing:  # cut by the capture's snaplen
            self.records.hole(missing)
        self.next = piece.end

    def _wait(self, at: int, data: bytes, size: int, stamp: Stamp) -> None:
        """Keep those bytes that are not waiting already."""
        if not self.waiting or at >= self.waiting[-1].end:  # the usual case
            self.waiting.append(Piece(at, data, size, stamp))
            self.buffered += len(data)
            return
        end = at + size
        i = bisect_right(self.waiting, at, key=lambda piece: piece.at)
        start = max(at, self.waiting[i - 1].end) if i else at
        while start < end:
            stop = min(end, self.waiting[i].at) if i < len(self.waiting) else end
            if stop > start:
                part = data[start - at : stop - at]
                self.waiting.insert(i, Piece(start, part, stop - start, stamp))
                self.buffered += len(part)
                i += 1
            if i >= len(self.waiting):
                break
            start = max(start, self.waiting[i].end)
            i += 1

    def _late(self, at: int, data: bytes, size: int, stamp: Stamp) -> None:
        """Bytes that were given up, or lie before the beginning: whole messages among them are still worth having."""
        left: list[tuple[int, int]] = []
        for a, b in self.lost:
            start, stop = max(a, at), min(b, at + size)
            if start >= stop:
                left.append((a, b))
                continue
            left += [part for part in ((a, start), (stop, b)) if part[0] < part[1]]
            records = Records(self.sink, self.flow, self.keep, searching=True)
            records.feed(data[start - at : stop - at], stamp)
        self.lost = left if len(left) <= MAX_LOST else sorted(sorted(left, key=_length)[-MAX_LOST:])


def _length(gap: tuple[int, int]) -> int:
    return gap[1] - gap[0]
