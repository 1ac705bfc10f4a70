"""Where messages arrive from both roads: which are kept, and the columns that they become."""

from __future__ import annotations

from array import array
from itertools import accumulate

import numpy as np

from nlmdissect.groups import groups, in_order, mixed

from .asked import Asked
from .block import Block
from .copies import Copies, Key
from .ledger import FRAME_BITS, Ledger
from .marks import Stamp
from .messages import I64, Messages
from .probe import CALL, OTHER, be32, is_reply
from .rows import WIDTH
from .tables import NFS_PORT, OTHER_CALLS, WANTED, WANTED_CALLS, Tables, asked_slot
from .verifiers import LONGEST, asked_nfs, take_answer

ORPHAN = 4096
"""Longest reply without a call that is kept. Those of NLM, NSM and portmap are short; a READ reply is not."""

RESERVED = range(512, 1024)
"""UDP ports from which kernels and bindresvport() send RPC. A reply to nobody knows what is from or to one of them, or
from a port that was called: DNS, DHCP, NTP and SNMP live below, mDNS above."""


COLUMNS = ("at", "end", "length", "order", "time", "capture", "frame", "flow", "stream", "duplicate")
DENSE = 3
"""Of so many bytes at least one is of a message, where all are copied at once."""
MANY = 128
"""Messages in a row from where on it pays to look at them by column."""


class Collector:
    """Takes messages of both roads in the order of their discovery (``marks.Sink``) and sorts them by frame."""

    def __init__(self, tables: Tables, ledger: Ledger) -> None:
        self.tables = tables
        self.ledger = ledger
        self.asked = Asked()
        self._stale = False  # the hot loop guesses from calls that are not remembered any more
        self.served: set[tuple[int, int]] = set()
        """UDP ports that calls went to: (endpoint, port)."""
        self.copies = Copies()
        self.arena = bytearray()
        self.rows = _columns()

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

    def several(self, rows: I64, times: I64, order: int, block: Block) -> None:
        """MESSAGE rows of the hot loop that follow each other. ``times`` are those of their frames, ``order`` that of
        the block's first frame.
        """
        if len(rows) < MANY:
            self.few(rows.tolist(), times.tolist(), order, block)
        else:
            self.many(rows, times, order, block)

    def few(self, rows: list[list[int]], times: list[int], order: int, block: Block) -> None:
        """One by one. ``flags`` are the connection's, as they were at the message."""
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
        columns: tuple[list[int] | list[bool], ...] = (
            ends[:-1], ends[1:], [rows[place][5] for place in kept], [order + rows[place][1] for place in kept],
            [times[place] for place in kept], [block.capture] * len(kept),
            [block.first_frame + rows[place][1] for place in kept], [rows[place][2] for place in kept], streams, copies,
        )  # fmt: skip
        for name, values in zip(COLUMNS, columns, strict=True):
            self.rows[name].extend(values)

    def many(self, rows: I64, times: I64, order: int, block: Block) -> None:
        """The same as ``few``, by column where that is possible."""
        ledger, buf = self.ledger, block.buf
        word = np.ndarray((len(buf) - 3,), ">u4", buf, strides=(1,))  # at any position
        xid = word[rows[:, 3]].astype(np.int64)
        kept = self._asked_for(rows, xid, buf)
        rows, times, xid = rows[kept], times[kept], xid[kept]
        frame, flow, at, have, length, what, ident = rows[:, 1:8].T
        known, flows = groups(flow)
        ends = [ledger.ends(number) for number in flow[known].tolist()]
        copies = np.zeros(len(rows), np.bool_)
        udp = (ident != -1).nonzero()[0]
        if len(udp):
            whose = np.array(ends, np.int64)[flows[udp]]

            def key(place: int) -> Key:
                number = int(udp[place])
                return ends[flows[number]], int(ident[number]), buf[at[number] : at[number] + have[number]]

            mixes = mixed(*whose.T, ident[udp], xid[udp], have[udp])
            copies[udp] = self.copies.several(mixes, key, times[udp])
        streams = np.array([ledger.stream_number(number) for number in flow[known].tolist()], np.int64)[flows]
        whole = ((what == CALL) & (have >= 20)).nonzero()[0]
        kinds = flow[whole], word[at[whole] + 12].astype(np.int64), word[at[whole] + 16].astype(np.int64)
        calls, which = groups(*kinds)
        for place, count in zip(calls.tolist(), np.bincount(which).tolist(), strict=True):
            number, program, version = (int(column[place]) for column in kinds)
            ledger.count(number, program, version, count)
        for number, replies in enumerate(np.bincount(streams[what != CALL]).tolist()):
            ledger.traffic.streams[number].replies += replies
        copied = self._copy(buf, at, have)  # ``at`` stays what it is: ``key`` may be asked later
        columns = (
            copied, copied + have, length, order + frame, times, np.full(len(rows), block.capture),
            block.first_frame + frame, flow, streams, copies,
        )  # fmt: skip
        for name, values in zip(COLUMNS, columns, strict=True):
            self.rows[name].frombytes(values.astype(np.int64).tobytes())

    def _copy(self, buf: bytes, at: I64, have: I64) -> I64:
        """Where messages lie in the arena now. With what lies between them, where that is not much."""
        before, end = len(self.arena), at + have
        begin, stop = int(at.min(initial=len(buf))), int(end.max(initial=0))
        if stop - begin <= DENSE * have.sum():
            self.arena += memoryview(buf)[begin:stop]
            return at - begin + before
        self.arena += b"".join([buf[a:b] for a, b in zip(at.tolist(), end.tolist(), strict=True)])
        return np.cumsum(have) - have + before

    def _asked_for(self, rows: I64, xid: I64, buf: bytes) -> I64:
        """The places of calls, and of replies that are kept."""
        flow, at, have, length, what, ident, flags = rows[:, 2:9].T
        call = what == CALL
        kept, forgot = self.asked.many(call, np.where(call, flow, flow ^ 1) << 32 | xid)
        self._stale |= forgot
        served = (call & (ident != -1)).nonzero()[0]
        served = served[groups(flow[served])[0]]  # the first call of each flow
        for place in (~kept & (length <= ORPHAN) & (flags & (NFS_PORT | OTHER_CALLS) == 0)).nonzero()[0].tolist():
            before, served = served[served < place], served[served > place]
            self.served.update(self.ledger.ends(number)[1::2] for number in flow[before].tolist())
            data = buf[at[place] : at[place] + have[place]]
            kept[place] = self._is_answer(int(flow[place]), data, int(length[place]), bool(ident[place] != -1))
        self.served.update(self.ledger.ends(number)[1::2] for number in flow[served].tolist())
        for number in flow[~kept].tolist():
            self.tables.flow_replies[number] += 1
        return kept.nonzero()[0]

    def seen(self, flow: int, ident: int, time: int, data: bytes) -> bool:
        """Is this the second copy of a frame? ``data`` is what must be the same besides the IP identification."""
        return self.copies.seen((self.ledger.ends(flow) if flow >= 0 else (0, 0, 0, 0), ident, data), time)

    def batch(self, now: int) -> Messages:
        """The messages since the last batch."""
        rows = {name: np.frombuffer(column, np.int64) for name, column in self.rows.items()}
        order = in_order(rows["order"])
        rows = {name: column[order] for name, column in rows.items()}
        first, which = groups(rows["flow"])
        known = rows["flow"][first].tolist()
        ends = np.array([self.ledger.ends(flow) for flow in known], np.int32).reshape(-1, 4)
        src, dst, sport, dport = ends[which].T
        tcp = np.array([self.tables.conn_lane[flow >> 1] & 1 for flow in known], np.bool_)[which]
        found = Messages(
            bytes(self.arena), rows["at"], rows["end"], rows["length"], rows["time"], rows["capture"].astype(np.int32),
            rows["frame"], src, dst, sport, dport, tcp, rows["stream"].astype(np.int32), rows["duplicate"] == 1,
        )  # fmt: skip
        self.arena = bytearray()
        self.rows = _columns()
        self.copies.forget(now)
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
        for generation in self.asked.generations():
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
        order, time, capture, frame = stamp
        at = len(self.arena)
        self.arena += data
        stream = self.ledger.stream_number(flow)
        values = (at, len(self.arena), length, order, time, capture, frame, flow, stream, 0)
        for name, value in zip(COLUMNS, values, strict=True):
            self.rows[name].append(value)


def _columns() -> dict[str, array[int]]:
    return {name: array("q") for name in COLUMNS}
