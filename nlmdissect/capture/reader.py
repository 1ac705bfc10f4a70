"""From a recording to RPC messages, batch by batch; and what else was visible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from nlmdissect.findings import At

from .block import Block
from .collect import Collector
from .control import read_arp, read_unreachable
from .dns import Answer, Answers
from .engine import Engine
from .files import Progress, Recording
from .fragments import Fragments, raw_packet
from .ledger import FRAME_BITS, Ledger
from .marks import Stamp
from .messages import I64, Batch, Kind, Quoted, Signal, Traffic
from .part import Part
from .piece import Piece
from .rows import (
    ACTIVE,
    ARP,
    CALLS,
    CLOSED,
    DEFECT,
    DNS,
    FRAGMENT,
    ICMP,
    MAC,
    MESSAGE,
    REASONS,
    SEGMENT,
    SIGNAL,
    STRANGE,
    VERIFIER,
)  # fmt: skip
from .streams import SlowRoad
from .sums import TOLD, Sums
from .tables import GROW, endpoint, grow
from .transport import ACK, FIN, RST, SYN

Ends = tuple[int, int, int, int]

TOGETHER, MANY = 1 << 18, 1 << 12
"""Bytes of messages, and signals, that are worth a batch: in bulk data a block has next to none."""

OVERLAP = 100_000_000
"""ns. Files that overlap by less follow each other: a rotated set. Clocks of several queues differ by less."""


class MessageReader:
    """Reads the RPC messages of a recording: those of portmap, MOUNT, NLM and NSM, and the NFS procedures in ``keep``.

    ``keep`` is pairs of (NFS version 2 or 3, procedure). Everything else of NFS is counted, never kept. Iterate once
    for the batches; then ``traffic`` is complete. ``progress`` is as in ``Recording.blocks``. Without ``checksums`` a
    frame is taken for what it says, whether it is damaged or not.
    Errors: CaptureError, as ``Recording.blocks``. No bytes in the files raise.
    """

    def __init__(
        self,
        recording: Recording | Part | Piece,
        keep: Iterable[tuple[int, int]] = (),
        progress: Progress | None = None,
        checksums: bool = True,
    ) -> None:
        self._recording = recording
        self._tell = progress
        self._keep = nfs_bits(keep)
        self._engine = Engine()
        self._tables = self._engine.tables
        self._ledger = Ledger(self._tables)
        self._collector = Collector(self._tables, self._ledger)
        wrong = partial(self._ledger.defect, "tcp")
        self._slow = SlowRoad(self._tables, self._collector, self._keep, self._notice, wrong)
        self._fragments = Fragments(partial(self._ledger.defect, "ip"))
        self._signals: list[tuple[int, Signal]] = []
        self._macs: list[tuple[int, int, int]] = []
        self._lanes: list[list[int]] = []  # (last time, first capture) of files that follow each other
        self._lane = -1
        self._capture = -1
        self._frames = 0  # of all blocks before this one
        self._now = 0
        self._answers = Answers()
        self._sums = Sums() if checksums else None
        self._read: tuple[int, int | None] = (0, None)  # bytes, of how many
        self.ended = False  # all blocks are read: the batch that follows is of what waited for something

    @property
    def traffic(self) -> Traffic:
        """What was visible so far."""
        return self._ledger.traffic

    def __iter__(self) -> Iterator[Batch]:
        """The messages and signals of some blocks, and at last those that were waiting for something."""
        for block in self._recording.blocks(self._progress):
            self._block(block)
            if len(self._collector.arena) > TOGETHER or len(self._signals) + len(self._collector.copies) > MANY:
                yield self._batch()
        yield self._batch()
        self.ended = True
        self._slow.finish()
        self._fragments.finish()
        self._ledger.finish()
        self._ledger.traffic.answers = self._answers.all()
        for number, address in enumerate(self.traffic.endpoints.addresses):
            if self._sums and (vouched := self._sums.vouch(address)) is not None:
                (self.traffic.vouched if vouched else self.traffic.doubted).add(number)
        if self._collector.asked.forgotten:
            self._ledger.defect("rpc", "calls_forgotten")
        yield self._batch()

    def _batch(self) -> Batch:
        self._signals.sort(key=lambda pair: pair[0])
        signals = [signal for _, signal in self._signals]
        self._signals.clear()
        return Batch(self._collector.batch(self._now), signals)

    def _block(self, block: Block) -> None:
        if not len(block.at):
            return
        if block.capture != self._capture:
            self._enter(block.capture, int(block.time[0]))
        if self._engine.consider(len(block.at), *self._read):
            tables = self._engine.tables
            self._tables = self._ledger.tables = self._collector.tables = self._slow.tables = tables
        self._ledger.cut(block)
        done = 0
        while done < len(block.at):
            done = self._scan(block, done, self._frames)
            if self._slow.open and done < len(block.at):
                self._slow.settle(int(block.time[done - 1]), self._frames + done)
        self._frames += len(block.at)
        self._now = int(block.time.max())
        self._lanes[self._lane][0] = max(self._lanes[self._lane][0], self._now)
        self._slow.settle(self._now, self._frames)
        self._ledger.update(self._macs)
        self._macs.clear()

    def _enter(self, capture: int, time: int) -> None:
        """Another file begins. One that goes on where another ended shares its connections; others have their own."""
        self._capture = capture
        before = [n for n, (last, _) in enumerate(self._lanes) if last <= time + OVERLAP]
        if before:
            self._lane = max(before, key=lambda n: self._lanes[n][0])
        else:
            self._lanes.append([time, capture])
            self._lane = len(self._lanes) - 1

    def _progress(self, done: int, total: int | None) -> None:
        self._read = done, total
        if self._tell:
            self._tell(done, total)

    def _scan(self, block: Block, begin: int, order: int) -> int:
        """Scan frames of a block from ``begin`` on, and act on the rows; the first frame that is not done."""
        scope, slow = self._lanes[self._lane][1] + 1, len(self._slow.open)
        done, rows, times, full = self._engine.scan(block, begin, self._lane, scope, self._keep, slow)
        if full:
            self._ledger.defect("tcp", "table_full")
        self._take(block, rows, times, order)
        self._collector.forget()
        return done

    def _take(self, block: Block, rows: I64, times: I64, order: int) -> None:
        """Act on rows. ``order`` counts the frames of all blocks before this one."""
        buf, ledger = block.buf, self._ledger
        rows, times = self._undamaged(block, rows, times)
        others = (rows[:, 0] != MESSAGE).nonzero()[0]
        before = 0
        for place, row, time in zip(others.tolist(), rows[others].tolist(), times[others].tolist(), strict=True):
            self._messages(block, rows[before:place], times[before:place], order)
            before = place + 1
            kind, i, a, b, c, d, e, f, g, h = row
            stamp = (order + i, time, block.capture, block.first_frame + i)
            ledger.where = stamp[2:]
            if kind == SEGMENT:
                self._slow.segment(a, b, c, d, buf[e : e + f], g, h, stamp)
            elif kind == SIGNAL:
                self._tcp_signal(a, b, c, d, e, stamp)
            elif kind == CALLS:
                ledger.count(a, b, c, d)
            elif kind == CLOSED:
                ledger.close(a, b, c, d, e, f, g, h)
            elif kind == ACTIVE:
                ledger.span(a, b, c, d)
            elif kind == MAC:
                self._macs.append((a, b, stamp[2] << FRAME_BITS | stamp[3]))
            elif kind == FRAGMENT:
                self._fragment(a, b, buf[c : c + d], e, f, g, h, stamp)
            elif kind == ICMP:
                self._icmp(a, b, buf, c, d, bool(e), f, stamp)
            elif kind == ARP:
                self._arp(buf, a, b, stamp)
            elif kind == VERIFIER:
                ledger.verifier(a, b, c, d, e, f, g, h)
            elif kind == DNS:
                if not self._answers.add(Answer(At(*stamp[1:]), a, b, buf[c : c + d])):
                    ledger.defect("dns", "too_many_questions")
            elif kind == DEFECT:
                ledger.defect(*REASONS[a])

        self._messages(block, rows[before:], times[before:], order)

    def _undamaged(self, block: Block, rows: I64, times: I64) -> tuple[I64, I64]:
        """Without what damaged frames say."""
        left = rows[:, 0] != STRANGE
        damaged = rows[:0, 0] if self._sums is None else self._sums.damaged(block, rows)
        if not len(damaged):
            return (rows, times) if left.all() else (rows[left], times[left])
        for i in damaged.tolist():
            self._ledger.damaged(At(int(block.time[i]), block.capture, block.first_frame + i))
        left &= ~(TOLD[rows[:, 0]] & np.isin(rows[:, 1], damaged))
        return rows[left], times[left]

    def _messages(self, block: Block, rows: I64, times: I64, order: int) -> None:
        if len(rows):
            self._ledger.where = block.capture, block.first_frame + int(rows[0, 1])
            self._collector.several(rows, times, order, block)

    def _fragment(
        self, src: int, dst: int, data: bytes, size: int, part: int, ident: int, proto: int, stamp: Stamp
    ) -> None:
        protocol, v6 = proto >> 1, bool(proto & 1)
        key = (src, dst, 0 if v6 else protocol, ident, int(v6))
        whole = self._fragments.add(key, part >> 1, bool(part & 1), size, data, stamp[1])
        if whole is None:
            return
        self._ledger.update([])
        addresses = self._ledger.traffic.endpoints.addresses
        packet = raw_packet(v6, addresses[src], addresses[dst], protocol, ident & 0xFFFF, whole[0])
        wire = len(packet) - len(whole[0]) + whole[1]
        _, now, capture, frame = stamp
        columns = ([0], [len(packet)], [wire], [now], [229 if v6 else 228])
        self._scan(Block(packet, capture, frame, *(np.array(c, np.int64) for c in columns)), 0, stamp[0])

    def _tcp_signal(self, flow: int, seq: int, ack: int, flags: int, ident: int, stamp: Stamp) -> None:
        kind = Kind.RST if flags & RST else Kind.FIN if flags & FIN else Kind.SYNACK if flags & ACK else Kind.SYN
        words = bytes((flags,)) + seq.to_bytes(4, "big") + ack.to_bytes(4, "big")
        if self._collector.seen(flow, ident, stamp[1], words):
            return
        if flags & SYN:
            self._ledger.stream(flow).began = True
        elif flags & (RST | FIN):
            self._ledger.ended(flow, kind, stamp[1])
        self._signal(kind, stamp, self._ledger.ends(flow), seq, int(bool(flags & ACK)) if kind is Kind.RST else 0)

    def _icmp(self, src: int, dst: int, buf: bytes, at: int, have: int, v6: bool, ident: int, stamp: Stamp) -> None:
        said = read_unreachable(buf, at, have, v6) if have else None
        if said is None or self._collector.seen(-1, ident, stamp[1], buf[at : at + have]):
            return
        quoted = Quoted(
            self._address(said.source), self._address(said.destination), said.protocol, said.sport, said.dport
        )
        ends = (src, dst, said.sport, said.dport)
        self._signal(Kind.ICMP, stamp, ends, said.type, said.code, quoted)

    def _arp(self, buf: bytes, at: int, have: int, stamp: Stamp) -> None:
        said = read_arp(buf, at, have)
        if said is None or self._collector.seen(-2, 0, stamp[1], buf[at : at + 28]):
            return
        source, target = self._address(said.source), self._address(said.destination)
        self._signal(Kind.ARP, stamp, (source, target, 0, 0), said.op, said.mac)

    def _address(self, address: bytes) -> int:
        """The endpoint of an address that stands in a payload; 0 only if the table is full."""
        t, local = self._tables, (self._lanes[self._lane][1] + 1) * 2
        if t.used[GROW]:
            grow(t)
        w = [int.from_bytes(address[i : i + 4], "big") for i in range(0, len(address), 4)]
        if len(w) == 1:
            number = endpoint(t, local if w[0] >> 24 == 127 else 0, w[0], 0, 0, 0)
        else:
            here = w[0] >> 22 == 0x3FA or w == [0, 0, 0, 1]
            number = endpoint(t, local + 1 if here else 1, *w)
        return max(number, 0)

    def _notice(self, kind: Kind, flow: int, count: int, stamp: Stamp) -> None:
        self._signal(kind, stamp, self._ledger.ends(flow), count)

    def _signal(self, kind: Kind, stamp: Stamp, ends: Ends, a: int, b: int = 0, quoted: Quoted | None = None) -> None:
        order, time, capture, frame = stamp
        self._signals.append((order, Signal(kind, At(time, capture, frame), *ends, a, b, quoted)))


def nfs_bits(keep: Iterable[tuple[int, int]]) -> int:
    """(version, procedure) as bits, see ``probe.classify``."""
    return sum({1 << (procedure + (32 if version == 2 else 0)) for version, procedure in keep})
