"""The books of what was visible: streams, programs, activity, defects."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ..findings import At
from .block import Block, Defect
from .messages import Kind, Span, Stream, Traffic, Verifier
from .rows import WIDTH
from .tables import CONNECTIONS, ENDPOINTS, NFS_PORT, PAIRS, Tables
from .verifiers import MAX_CHANGES, end_of_verifier

MAX_STREAMS = 1 << 18
MAX_SPANS = 1 << 20
MAX_PROGRAMS = 1 << 14
MAX_VERIFIERS = 1 << 16
MAX_DAMAGED = 1 << 20
APART = 10**9  # ns; damaged frames that are nearer to each other are one moment
FRAME_BITS = 40

K = TypeVar("K")


class Ledger:
    """Keeps ``traffic`` up to date from the rows of the hot loop."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.traffic = Traffic()
        self.now: dict[int, int] = {}
        """The stream that each flow's present life is, made when it is first needed."""
        self.where = (0, 0)
        """(capture, frame) that defects are about."""
        self._ends: dict[int, tuple[int, int, int, int]] = {}
        self._defects: dict[tuple[int, str, str], tuple[int, int]] = {}

    def ends(self, flow: int) -> tuple[int, int, int, int]:
        """(src, dst, sport, dport) of a flow."""
        known = self._ends.get(flow)
        if known is None:
            ends, ports = self.tables.conn_ends[flow >> 1], self.tables.conn_ports[flow >> 1]
            a, b, pa, pb = ends >> 20, ends & 0xFFFFF, ports >> 16, ports & 0xFFFF
            known = self._ends[flow] = (b, a, pb, pa) if flow & 1 else (a, b, pa, pb)
        return known

    def stream_number(self, flow: int) -> int:
        """The row of the stream that a flow is now."""
        number = self.now.get(flow)
        if number is None:
            streams = self.traffic.streams
            if len(streams) >= MAX_STREAMS:
                self.defect("tcp", "too_many_streams")
                return len(streams) - 1
            number = self.now[flow] = len(streams)
            streams.append(Stream(*self.ends(flow), tcp=bool(self.tables.conn_lane[flow >> 1] & 1)))
        return number

    def stream(self, flow: int) -> Stream:
        """The stream that a flow is now."""
        return self.traffic.streams[self.stream_number(flow)]

    def close(
        self, flow: int, packets: int, size: int, first: int, last: int, first_frame: int, last_frame: int, replies: int
    ) -> None:
        """Enter the counters of a life of a flow; its next packet is another stream."""
        stream = self.stream(flow)
        stream.capture, stream.first_frame = first_frame >> FRAME_BITS, first_frame & (1 << FRAME_BITS) - 1
        stream.last_frame = last_frame & (1 << FRAME_BITS) - 1
        stream.packets, stream.bytes, stream.first_time, stream.last_time = packets, size, first, last
        stream.replies += replies
        self.now.pop(flow, None)

    def ended(self, flow: int, kind: Kind, time: int) -> None:
        """A FIN or RST was sent along a flow."""
        by = self.ends(flow)[0]
        for one in (flow, flow ^ 1):
            stream = self.stream(one)
            if not stream.ended:
                stream.ended, stream.ended_by, stream.ended_time = kind.value, by, time

    def count(self, flow: int, program: int, version: int, calls: int) -> None:
        """Calls went along a flow."""
        src, dst, _, _ = self.ends(flow)
        self._add(self.traffic.programs, (program, version, src, dst), calls)
        self._add(self.stream(flow).programs, (program, version), calls)

    def span(self, key: int, first: int, last: int, packets: int) -> None:
        """A pair was active."""
        if len(self.traffic.activity) < MAX_SPANS:
            self.traffic.activity.append(Span(key >> 20, key & 0xFFFFF, first, last, packets))
        else:
            self.defect("ip", "too_many_spans")

    def verifier(
        self, flow: int, high: int, low: int, first: int, last: int, first_frame: int, last_frame: int, error: int
    ) -> None:
        """A VERIFIER row; ``flow`` is flow * 2 + loose."""
        if len(self.traffic.verifiers) >= MAX_VERIFIERS:
            self.defect("nfs", "too_many_verifiers")
            return
        server, client, _, _ = self.ends(flow >> 1)
        if error:
            self.traffic.failed_writes.append((server, error))
        if last_frame:
            value = high.to_bytes(4, "big") + low.to_bytes(4, "big")
            begin, end = _at(first, first_frame), _at(last, last_frame)
            self.traffic.verifiers.append(Verifier(server, client, value, begin, end, bool(flow & 1)))

    def defect(self, layer: str, reason: str) -> None:
        """Something is wrong with the frame at ``where``. Of one reason the first frame is kept, and how many."""
        key = (self.where[0], layer, reason)
        frame, count = self._defects.get(key, (self.where[1], 0))
        self._defects[key] = frame, count + 1

    def damaged(self, at: At) -> None:
        """The checksum of a frame is wrong."""
        self.where = at.capture, at.frame
        self.defect("ip", "damaged_frame")
        before = self.traffic.damaged
        if not before or (abs(at.time - before[-1].time) > APART and len(before) < MAX_DAMAGED):
            before.append(at)

    def update(self, macs: list[tuple[int, int, int]]) -> None:
        """Learn the endpoints that the hot loop numbered, and (endpoint, MAC, capture << 40 | frame) of its rows."""
        t, known = self.tables, self.traffic.endpoints
        for n in range(len(known), t.used[ENDPOINTS]):
            words = (t.ep_w0[n], t.ep_w1[n], t.ep_w2[n], t.ep_w3[n])
            address = b"".join(w.to_bytes(4, "big") for w in words[: 4 if t.ep_kind[n] & 1 else 1])
            known.add(t.ep_kind[n] >> 1, address)
        for endpoint, mac, frame in macs:
            if len(known.macs[endpoint]) < 64:
                known.sent_from(endpoint, mac.to_bytes(6, "big"), frame)

    def cut(self, block: Block) -> None:
        """Count the frames of which the capture has only the beginning."""
        cut = np.flatnonzero(block.captured < block.wire)
        if len(cut):
            traffic, first = self.traffic, int(cut[0])
            where = At(int(block.time[first]), block.capture, block.first_frame + first)
            traffic.first_cut = traffic.first_cut or where
            traffic.cut += len(cut)
            traffic.longest_cut = max(traffic.longest_cut, int(block.captured[cut].max()))

    def finish(self) -> None:
        """End of the recording."""
        t = self.tables
        row = [0] * WIDTH
        for flow in range(2 * t.used[CONNECTIONS]):
            if end_of_verifier(t, 0, flow, row, 0):
                self.verifier(*row[2:])
            elif t.flow_verf_changes[flow] >= MAX_CHANGES:
                self.defect("nfs", "too_many_verifiers")
            c = flow >> 1  # UDP replies that nobody believed are no stream
            believed = t.conn_lane[c] & 1 or t.flow_calls[flow] or t.conn_flags[c] & NFS_PORT
            if flow in self.now or (t.flow_packets[flow] and believed):
                if t.flow_calls[flow]:
                    self.count(flow, t.flow_prog[flow], t.flow_vers[flow], t.flow_calls[flow])
                self.close(
                    flow, t.flow_packets[flow], t.flow_bytes[flow], t.flow_first[flow], t.flow_last[flow],
                    t.flow_first_frame[flow], t.flow_last_frame[flow], t.flow_replies[flow],
                )  # fmt: skip
        for p in range(t.used[PAIRS]):
            if t.pair_packets[p]:
                self.span(t.pair_key[p], t.pair_first[p], t.pair_last[p], t.pair_packets[p])
        self.traffic.activity.sort(key=lambda span: span.first)
        self.traffic.verifiers.sort(key=lambda verifier: verifier.first)
        self.traffic.defects = [
            Defect(capture, frame, layer, reason, count)
            for (capture, layer, reason), (frame, count) in self._defects.items()
        ]

    def _add(self, table: dict[K, int], key: K, count: int) -> None:
        if key not in table and len(table) >= MAX_PROGRAMS:
            self.defect("rpc", "too_many_programs")
        else:
            table[key] = table.get(key, 0) + count


def _at(time: int, place: int) -> At:
    return At(time, place >> FRAME_BITS, place & (1 << FRAME_BITS) - 1)
