"""The slow road of TCP: connections that the hot loop does not follow, until it can again.

When is something lost? A missing byte may be late (the network reordered it, or it will be retransmitted) or it may
have passed without being captured. It is given up when

* the peer has acknowledged it, and it did not turn up within REORDERED: then nobody will send it again;
* nothing at all is seen of the peer, for UNANSWERED: then nobody can say, and the recording is one-sided;
* too much waits behind it.

A byte that the peer still asks for is waited for as long as it takes: the retransmission may come after seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from .marks import Records, Sink, Stamp
from .messages import Kind
from .order import MASK, MAX_PIECES, MAX_WAITING, Direction
from .tables import FAST, LOST, SILENT, SYNC, UNSEEN, Tables
from .transport import ACK, FIN, RST, SYN

REORDERED = 100_000_000
"""ns. Mirrors of two ports, and hosts with several queues, swap frames by less."""

HOLD_TIME = 200_000_000
"""ns that a stream without a beginning is held, for earlier segments to turn up."""

UNANSWERED = 2_000_000_000
"""ns without any segment of the peer."""

REMEMBERED = 2_000_000_000
"""ns that bytes may still turn up after they were given up: so long the connection stays here."""

MAX_ALL = 64 << 20
"""Bytes that wait in all connections together."""

MAX_SLOW = 8192
"""Connections on the slow road at once."""

Notice = Callable[[Kind, int, int, Stamp], None]


class SlowRoad:
    """All connections that are SLOW.

    ``notice(kind, flow, bytes, stamp)`` hears of gaps, ``defect(reason)`` of limits that were reached.
    """

    def __init__(self, tables: Tables, sink: Sink, keep: int, notice: Notice, defect: Callable[[str], None]) -> None:
        self.tables = tables
        self.sink = sink
        self.keep = keep
        self.notice = notice
        self.defect = defect
        self.open: dict[int, tuple[Direction, Direction]] = {}
        self.dead: set[int] = set()

    def segment(
        self, flow: int, seq: int, ack: int, flags: int, data: bytes, size: int, fresh: int, stamp: Stamp
    ) -> None:
        """One SEGMENT row: ``data`` is what was captured of ``size`` bytes of payload."""
        number = flow >> 1
        both = self.open.get(number)
        if both is None:
            both = self.open[number] = (self._adopt(2 * number), self._adopt(2 * number + 1))
            if len(self.open) > MAX_SLOW:
                self._let_go(next(iter(self.open)))
                self.defect("too_many_slow_connections")
        me, peer = both[flow & 1], both[1 - (flow & 1)]
        if flags & RST:
            self.dead.add(number)
            return
        if flags & SYN:
            self.dead.discard(number)
            seq = (seq + 1) & MASK
            if fresh == 1:
                self._flush(me)
                me.restart()
            if fresh:
                me.begin(seq, at_start=True)
                if fresh == 2:
                    me.drain()
        if size:
            me.take(seq, data, size, stamp)
        if flags & FIN:
            me.fin = me.position((seq + size) & MASK)
        if flags & ACK:
            peer.acknowledge(ack, stamp)
        self._check(me, stamp)
        self._check(peer, stamp)

    def settle(self, now: int, order: int) -> None:
        """End of a block: give up what is to be given up, and give back what the hot loop can follow again."""
        for number in list(self.open):
            both = self.open[number]
            for direction in both:
                if number in self.dead:
                    self._flush(direction)
                else:
                    self._check(direction, (order, now, 0, 0))
            if number in self.dead or all(_can_go(direction, now) for direction in both):
                self._give_back(number)
        while sum(d.buffered for both in self.open.values() for d in both) > MAX_ALL:
            self.defect("too_much_out_of_order")
            self._let_go(max(self.open, key=lambda n: sum(d.buffered for d in self.open[n])))

    def finish(self) -> None:
        """End of the recording: hand on everything that is left."""
        for number in list(self.open):
            for direction in self.open[number]:
                self._flush(direction)
        self.open.clear()

    def _adopt(self, flow: int) -> Direction:
        """Take over a direction in the state that the hot loop left it in."""
        t = self.tables
        direction = Direction(self.sink, flow, self.keep)
        state = t.flow_state[flow]
        direction.silent = state == SILENT
        if state in (SYNC, LOST):
            direction.begin(t.flow_next[flow], at_start=False)
            records = direction.records = Records(self.sink, flow, self.keep)
            records.lost = state == LOST
            records.left = t.flow_left[flow]
            more = bool(t.flow_more[flow])
            records.more, records.continuing = more and records.left > 0, more and not records.left
            direction.empty = t.flow_next[flow] == (t.flow_isn[flow] + 1) & MASK
        return direction

    def _give_back(self, number: int) -> None:
        t = self.tables
        for direction in self.open.pop(number):
            flow, records = direction.flow, direction.records
            if number in self.dead or not direction.started:
                t.flow_state[flow] = SILENT if direction.silent else UNSEEN
                continue
            done = direction.next + (direction.fin is not None and direction.fin <= direction.next)
            t.flow_state[flow] = LOST if records.lost else SYNC
            t.flow_next[flow] = done & MASK
            t.flow_left[flow] = records.left
            t.flow_more[flow] = int(records.more or records.continuing)
        t.conn_mode[number] = FAST
        self.dead.discard(number)

    def _let_go(self, number: int) -> None:
        """Make room: hand on what waits, and try only the starts of segments from now on."""
        for direction in self.open[number]:
            self._flush(direction)
            direction.records.lost = True
        self._give_back(number)

    def _flush(self, direction: Direction) -> None:
        unseen = 0 if direction.silent else direction.unseen
        flow = direction.flow
        for count, stamp in direction.flush():
            if count:
                self.notice(Kind.GAP, flow, count, stamp)
        if unseen:
            self.notice(Kind.UNSEEN_ACK, flow, unseen, direction.ack_stamp)

    def _check(self, d: Direction, stamp: Stamp) -> None:
        """Give up what nobody will send again."""
        if d.started and not d.waiting and (d.acked is None or d.acked <= d.next):
            return  # the usual case: nothing is missing
        now = stamp[1]
        if not d.started:
            if d.waiting:
                if now - d.waiting_since >= HOLD_TIME:
                    d.commit()
            elif d.unseen and not d.silent and now - d.acked_since >= REORDERED:
                d.silent = True
                self.notice(Kind.UNSEEN_ACK, d.flow, d.unseen, d.ack_stamp)
            return
        if d.records.lost:
            return
        while d.waiting:
            first = d.waiting[0]
            waited = now - d.waiting_since
            known = d.acked is not None and d.acked >= first.at and waited >= REORDERED
            alone = d.ack_stamp[1] < d.waiting_since and waited >= UNANSWERED
            if not (known or alone or d.buffered > MAX_WAITING or len(d.waiting) > MAX_PIECES):
                break
            self.notice(Kind.GAP, d.flow, d.skip(first.at, now), first.stamp)
        if d.waiting or not d.unseen or now - d.acked_since < REORDERED:
            return
        self.notice(Kind.UNSEEN_ACK, d.flow, d.unseen, d.ack_stamp)
        assert d.acked is not None
        d.skip(d.acked, now)


def _can_go(direction: Direction, now: int) -> bool:
    """Is there nothing that the hot loop could not go on with?"""
    if not direction.started:
        return not direction.waiting and (direction.acked is None or direction.silent)
    return direction.idle and (not direction.lost_at or now - direction.lost_at >= REMEMBERED)
