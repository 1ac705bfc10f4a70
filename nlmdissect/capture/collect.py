"""Where messages arrive from both roads: which are kept, and the columns that they become."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from .asked import Asked
from .block import Block
from .ledger import FRAME_BITS, Ledger
from .marks import Stamp
from .messages import Messages
from .probe import CALL, OTHER, be32, is_reply
from .rows import WIDTH
from .tables import NFS_PORT, OTHER_CALLS, WANTED, WANTED_CALLS, Tables, asked_slot
from .verifiers import LONGEST, asked_nfs, take_answer

SWAPPED = 50_000_000
"""ns within which the same bytes with the same IP identification are a second copy of one frame. No RPC implementation
retransmits that fast (Linux: not before 100 ms), and copies of mirrors, taps and ``-i any`` lie some microseconds
apart; a routed hop adds a queue."""

ORPHAN = 4096
"""Longest reply without a call that is kept. Those of NLM, NSM and portmap are short; a READ reply is not."""

RESERVED = range(512, 1024)
"""UDP ports from which kernels and bindresvport() send RPC. A reply to nobody knows what is from or to one of them, or
from a port that was called: DNS, DHCP, NTP and SNMP live below, mDNS above."""


@dataclass(slots=True)
class _Columns:
    """One list a column of ``Messages``."""

    at: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    time: list[int] = field(default_factory=list)
    capture: list[int] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    flow: list[int] = field(default_factory=list)
    stream: list[int] = field(default_factory=list)
    duplicate: list[bool] = field(default_factory=list)


class Collector:
    """Takes messages of both roads in the order of their discovery (``marks.Sink``) and sorts them by frame."""

    def __init__(self, tables: Tables, ledger: Ledger) -> None:
        self.tables = tables
        self.ledger = ledger
        self.asked = Asked()
        self._stale = False  # the hot loop guesses from calls that are not remembered any more
        self.served: set[tuple[int, int]] = set()
        """UDP ports that calls went to: (endpoint, port)."""
        self.recent: dict[tuple[int, int, int, bytes], int] = {}
        self.arena = bytearray()
        self.rows = _Columns()

    def wants(self, flow: int, what: int, header: bytes, length: int) -> bool:
        """See ``marks.Sink``; the slow road asks before it collects a record."""
        t, number = self.tables, flow >> 1
        if what == CALL:
            t.conn_flags[number] |= WANTED_CALLS
            self._called(flow, header)
            return True
        if what == OTHER:
            t.conn_flags[number] |= OTHER_CALLS
            asked_nfs(t, flow, header, 0, len(header))
            self.ledger.count(flow, be32(header, 12), be32(header, 16) if len(header) >= 20 else 0, 1)
            return False
        if self.asked.reply(flow, be32(header, 0)) or (length <= LONGEST and self._answers_write(flow, header)):
            return True
        if length <= ORPHAN and not t.conn_flags[number] & (NFS_PORT | OTHER_CALLS):
            return True
        t.flow_replies[flow] += 1
        return False

    def message(self, flow: int, what: int, data: bytes, length: int, stamp: Stamp) -> None:
        """See ``marks.Sink``; a record that was wanted is complete, or as complete as it will be."""
        if what != CALL:
            if self._answers_write(flow, data) and not self.asked.reply(flow, be32(data, 0)):
                self._verifier(flow, data, length, stamp)
                return
            if not self._is_answer(flow, data, length, udp=False):
                return
            self.ledger.stream(flow).replies += 1
        self._keep(flow, data, length, stamp)

    def several(self, rows: list[list[int]], times: list[int], order: int, block: Block) -> None:
        """MESSAGE rows of the hot loop that follow each other. ``times`` are those of their frames, ``order`` that of
        the block's first frame. ``flags`` are the connection's, as they were at the message.
        """
        ledger, asked, served, buf = self.ledger, self.asked, self.served, block.buf
        kept, counts, datas, copies = [], dict[tuple[int, int, int], int](), [], []
        for place, (_, _, flow, at, have, length, what, ident, flags, _) in enumerate(rows):
            data, udp = buf[at : at + have], ident != -1
            xid = be32(data, 0)
            if what == CALL:
                self._stale |= asked.call(flow, xid)
                if have >= 20:
                    kind = flow, be32(data, 12), be32(data, 16)
                    counts[kind] = counts.get(kind, 0) + 1
                if udp:
                    served.add(ledger.ends(flow)[1::2])
            elif not asked.reply(flow, xid) and not (
                length <= ORPHAN
                and not flags & (NFS_PORT | OTHER_CALLS)
                and self._is_answer(flow, data, length, udp)
            ):
                self.tables.flow_replies[flow] += 1
                continue
            kept.append(place)
            datas.append(data)
            copies.append(udp and self.seen(flow, ident, times[place], data))
        streams = [ledger.stream_number(rows[place][2]) for place in kept]
        for (flow, program, version), calls in counts.items():
            ledger.count(flow, program, version, calls)
        for place, stream in zip(kept, streams, strict=True):
            if rows[place][6] != CALL:
                ledger.traffic.streams[stream].replies += 1
        ends = list(accumulate(map(len, datas), initial=len(self.arena)))
        self.arena += b"".join(datas)
        columns = self.rows
        columns.at += ends[:-1]
        columns.end += ends[1:]
        columns.flow += [rows[place][2] for place in kept]
        columns.length += [rows[place][5] for place in kept]
        columns.order += [order + rows[place][1] for place in kept]
        columns.time += [times[place] for place in kept]
        columns.capture += [block.capture] * len(kept)
        columns.frame += [block.first_frame + rows[place][1] for place in kept]
        columns.stream += streams
        columns.duplicate += copies

    def seen(self, flow: int, ident: int, time: int, data: bytes) -> bool:
        """Is this the second copy of a frame? ``data`` is what must be the same besides the IP identification."""
        src, dst, sport, dport = self.ledger.ends(flow) if flow >= 0 else (0, 0, 0, 0)
        key = (src << 32 | dst, sport << 16 | dport, ident, data)
        before = self.recent.get(key)
        self.recent[key] = time
        return before is not None and abs(time - before) <= SWAPPED

    def batch(self, now: int) -> Messages:
        """The messages since the last batch."""
        rows, flows = self.rows, np.array(self.rows.flow, np.int64)
        known, which = np.unique(flows, return_inverse=True)
        ends = np.array([self.ledger.ends(flow) for flow in known.tolist()], np.int32).reshape(-1, 4)
        src, dst, sport, dport = ends[which].T
        order = np.argsort(np.array(rows.order, np.int64), kind="stable")
        tcp = np.array([self.tables.conn_lane[flow >> 1] & 1 for flow in known.tolist()], np.bool_)[which]
        at, end, length, time, frame = (
            np.array(column, np.int64)[order] for column in (rows.at, rows.end, rows.length, rows.time, rows.frame)
        )
        capture, stream = (np.array(column, np.int32)[order] for column in (rows.capture, rows.stream))
        found = Messages(
            bytes(self.arena), at, end, length, time, capture, frame, src[order], dst[order],
            sport[order], dport[order], tcp[order], stream, np.array(rows.duplicate, np.bool_)[order],
        )  # fmt: skip
        self.arena = bytearray()
        self.rows = _Columns()
        self.recent = {key: time for key, time in self.recent.items() if now - time <= SWAPPED}
        return found

    def forget(self) -> None:
        """Let the hot loop guess from the calls that are remembered: of all there ever were it would always say yes.

        To be called when all of its rows are taken: until then it knows calls that are not remembered yet.
        """
        if not self._stale:
            return
        self._stale = False
        slots = np.frombuffer(self.tables.asked, np.uint8)
        slots &= 0xFF ^ WANTED
        for generation in (self.asked.young, self.asked.old):
            keys = np.fromiter(generation, np.int64, len(generation))
            slots[asked_slot(keys >> 32, keys & 0xFFFFFFFF)] |= WANTED  # type: ignore[arg-type]

    def _called(self, flow: int, data: bytes) -> None:
        xid = be32(data, 0)
        self._stale |= self.asked.call(flow, xid)
        self.tables.asked[asked_slot(flow, xid)] = WANTED
        if len(data) >= 20:
            self.ledger.count(flow, be32(data, 12), be32(data, 16), 1)

    def _answers_write(self, flow: int, data: bytes) -> bool:
        return len(data) >= 4 and self.tables.asked[asked_slot(flow ^ 1, be32(data, 0))] > WANTED

    def _verifier(self, flow: int, data: bytes, length: int, stamp: Stamp) -> None:
        """The answer to an NFSv3 WRITE or COMMIT: it tells its verifier and is not kept."""
        out = [0] * WIDTH
        _, now, capture, frame = stamp
        at = capture << FRAME_BITS | frame
        self.tables.flow_replies[flow] += 1
        if take_answer(self.tables, 0, flow, data, 0, len(data), length, now, at, out, 0):
            self.ledger.verifier(*out[2:])

    def _is_answer(self, flow: int, data: bytes, length: int, udp: bool) -> bool:
        """Is a reply kept whose call is not certain? Over UDP one end must be a port that RPC may use."""
        if len(data) >= 4 and self.asked.reply(flow, be32(data, 0)):
            return True
        if not is_reply(data, 0, len(data), length):
            return False
        if not udp:
            return True
        src, _, sport, dport = self.ledger.ends(flow)
        reserved = sport == 111 or sport in RESERVED or dport in RESERVED
        return reserved or (src, sport) in self.served

    def _keep(self, flow: int, data: bytes, length: int, stamp: Stamp) -> None:
        rows = self.rows
        rows.at.append(len(self.arena))
        self.arena += data
        rows.end.append(len(self.arena))
        rows.length.append(length)
        rows.order.append(stamp[0])
        rows.time.append(stamp[1])
        rows.capture.append(stamp[2])
        rows.frame.append(stamp[3])
        rows.flow.append(flow)
        rows.stream.append(self.ledger.stream_number(flow))
        rows.duplicate.append(False)
