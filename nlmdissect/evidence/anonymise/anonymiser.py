"""The blocks of a capture with other names in them, in the same order.

Theory of operation. A frame is passed on when all of its bytes have been decided. Most are at once; a TCP segment
waits until the RPC message that it is a part of is whole, an IP fragment until its packet is. Frames behind it wait
too, so that the order stays. When too much waits, what is missing is given up, oldest first: the rest of a message
becomes zeros. Memory is bounded by what may wait, not by the capture.

Frame numbers, times, drop counters, ports, xids, TCP flags, IP identifications and RPC status words stay, for that is
what an analysis goes by; everything that is not understood becomes zeros.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from nlmdissect.capture.dns import PORT as DNS
from nlmdissect.capture.probe import be16, be32
from nlmdissect.capture.whole import Record
from nlmdissect.evidence.anonymise import dns, headers
from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms
from nlmdissect.evidence.anonymise.rewrite import Edit
from nlmdissect.evidence.anonymise.rpc import Flow, Talk
from nlmdissect.evidence.anonymise.scrub import Made, rebuilt
from nlmdissect.evidence.anonymise.stream import Direction, Piece
from nlmdissect.evidence.packet import ARP, ICMP, ICMPV6, TCP, UDP, Ip, checksum, ip, network

WAITING_BYTES, WAITING_FRAMES = 64 << 20, 100_000
DIRECTIONS = 1 << 15  # of connections, that are known at a time
SYN, ACK = 2, 16


def _always() -> bool:
    return True


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Pending:
    """A record on its way. ``make`` gives its new bytes (None: it has no packet), when ``ready`` says so; ``give_up``
    helps it to that.
    """

    record: Record
    make: Callable[[], Made | None] = _nothing
    ready: Callable[[], bool] = _always
    give_up: Callable[[], None] = _nothing


@dataclass(slots=True)
class Datagram:
    """The fragments of one IP packet: (offset, bytes on the wire, what was captured)."""

    parts: list[tuple[int, int, bytes]] = field(default_factory=list)
    size: int | None = None  # of the whole payload, once the last fragment is here
    new: bytes | None = None


class Anonymiser:
    """``run`` over the blocks of a file, and of the files that go on where it ends."""

    def __init__(self, names: Pseudonyms) -> None:
        self._names = names
        self._talk = Talk(names)
        self._queue: deque[Pending] = deque()
        self._held = 0
        self._directions: dict[Flow, Direction] = {}
        self._syns: dict[Flow, int] = {}
        self._datagrams: dict[tuple[bytes, bytes, int, int], Datagram] = {}

    def run(self, blocks: Iterable[Record]) -> Iterator[Record]:
        """The new blocks. Those that are of no use without names (name resolution, secrets, logs) are left out."""
        for record in blocks:
            self._held += len(record.block)
            self._queue.append(self._begin(record))
            yield from self._flush()
            while self._held > WAITING_BYTES or len(self._queue) > WAITING_FRAMES:
                self._queue[0].give_up()
                yield from self._flush()
        while self._queue:
            self._queue[0].give_up()
            yield from self._flush()
        self._datagrams.clear()

    def _flush(self) -> Iterator[Record]:
        while self._queue and self._queue[0].ready():
            pending = self._queue.popleft()
            self._held -= len(pending.record.block)
            new = rebuilt(pending.record, pending.make())
            if new is not None:
                yield new

    def _begin(self, record: Record) -> Pending:
        if not record.frame or not record.at:
            return Pending(record)
        data = record.packet
        kind, at = network(record.link, data)
        packet = ip(data, at, record.wire, kind)
        if packet is None:
            return Pending(record, partial(self._other, record, kind, at))
        if packet.fragment:
            return self._fragment(record, packet)
        if packet.protocol == TCP and packet.payload + 20 <= packet.end:
            return self._segment(record, packet)
        return Pending(record, partial(self._plain, record, packet))

    def _other(self, record: Record, kind: int, at: int) -> Made:
        """No IP packet: a frame of ARP, or of which only the addresses of the link layer stay."""
        data = record.packet
        head = headers.link_layer(self._names, record.link, data, at)
        body = headers.arp(self._names, data[at:]) if kind == ARP else bytes(len(data) - at)
        return head + body, record.wire

    def _plain(self, record: Record, packet: Ip) -> Made:
        """A packet that stands for itself."""
        data = record.packet
        body, size = data[packet.payload : packet.end], packet.size
        whole = len(body) == packet.size
        if packet.protocol == UDP:
            new, size = headers.udp(self._names, body, size, packet.source, packet.target, self._datagram)
        elif packet.protocol in (ICMP, ICMPV6):
            new = headers.icmp(self._names, body, packet, self._datagram, whole=whole)
        else:
            new = bytes(len(body))
        return self._framed(record, packet, new, size)

    def _datagram(self, data: bytes, wire: int, source: bytes, port: int, target: bytes, other: int) -> bytes:
        if DNS in (port, other):
            new = dns.rewrite(self._names, data) if len(data) == wire else None
        else:
            new = self._talk.datagram(data, wire, (source, port, target, other, False))
        return bytes(len(data)) if new is None else new

    def _framed(self, record: Record, packet: Ip, body: bytes, size: int) -> Made:
        """The frame around a new IP payload of ``size`` bytes on the wire; what follows the packet becomes zeros."""
        data = record.packet
        head = headers.link_layer(self._names, record.link, data, packet.at)
        head += headers.ip_header(self._names, data, packet, size)
        return head + body + bytes(max(len(data) - packet.end, 0)), record.wire + size - packet.size

    def _fragment(self, record: Record, packet: Ip) -> Pending:
        key = packet.source, packet.target, packet.protocol, packet.ident
        whole = self._datagrams.setdefault(key, Datagram())
        body = record.packet[packet.payload : packet.end]
        whole.parts.append((packet.offset, packet.size, body))
        if not packet.more:
            whole.size = packet.offset + packet.size
        finish = partial(self._join, key, packet, whole)
        joined = _joined(whole)
        if whole.size is not None and len(joined) >= whole.size:
            finish()
        make = partial(self._part, record, packet, whole)
        return Pending(record, make, lambda: whole.new is not None, finish)

    def _join(self, key: tuple[bytes, bytes, int, int], packet: Ip, whole: Datagram) -> None:
        """Rewrite what is here of a packet. Of TCP in fragments only the header stays."""
        if self._datagrams.get(key) is whole:
            del self._datagrams[key]
        if whole.new is not None:
            return
        joined = _joined(whole)
        size = whole.size or max(len(joined), be16(joined, 4) if packet.protocol == UDP and len(joined) >= 8 else 0)
        if packet.protocol == UDP:
            whole.new, _ = headers.udp(self._names, joined, size, packet.source, packet.target, self._datagram)
        else:
            kept = joined[:16] if packet.protocol == TCP else b""
            whole.new = kept + bytes(len(joined) - len(kept))

    def _part(self, record: Record, packet: Ip, whole: Datagram) -> Made:
        assert whole.new is not None
        have, size = packet.end - packet.payload, packet.size
        if not packet.more and whole.size is not None and len(_joined(whole)) == whole.size:
            size += len(whole.new) - whole.size  # the last fragment is the one that may be longer or shorter
            have = size = max(size, 0)
        body = whole.new[packet.offset : packet.offset + have].ljust(have, b"\0")
        return self._framed(record, packet, body, size)

    def _segment(self, record: Record, packet: Ip) -> Pending:
        data = record.packet
        at = packet.payload
        head, flags = (data[at + 12] >> 4) * 4, data[at + 13]
        size = packet.size - head
        if head < 20 or size < 0:
            return Pending(record, partial(self._framed, record, packet, bytes(packet.end - at), packet.size))
        flow = packet.source, be16(data, at), packet.target, be16(data, at + 2), True
        seq, body = be32(data, at + 4), data[at + head : packet.end]
        me, peer = self._direction(flow, seq, flags, size), self._directions.get(_turned(flow))
        first = me.position((seq + 1) & 0xFFFFFFFF if flags & SYN else seq) if me else 0
        piece = Piece(first, size, body)
        if me is None or not size:
            piece.new = b""
        else:
            me.take(piece)
        make = partial(self._stretched, record, packet, piece, me, peer)
        return Pending(record, make, lambda: piece.new is not None, partial(me.give_up, piece) if me else _nothing)

    def _direction(self, flow: Flow, seq: int, flags: int, size: int) -> Direction | None:
        """The direction that a segment belongs to; another one begins with another SYN."""
        known = self._directions.get(flow)
        fresh = flags & SYN and (known is None or self._syns.get(flow) != seq)
        if known is not None and not fresh and not known.far(known.position(seq)):
            self._directions[flow] = self._directions.pop(flow)  # the latest are kept
            return known
        if not fresh and not size:
            return known
        if known is None and len(self._directions) >= DIRECTIONS:
            oldest = next(iter(self._directions))
            del self._directions[oldest]
            self._syns.pop(oldest, None)
        if flags & SYN:
            self._syns[flow] = seq
        start = (seq + 1) & 0xFFFFFFFF if flags & SYN else seq
        rewrite = partial(self._message, flow)
        made = self._directions[flow] = Direction(rewrite, (1 << 40) + start, at_start=bool(flags & SYN))
        return made

    def _message(self, flow: Flow, data: bytes) -> tuple[bytes, list[Edit]]:
        return self._talk.message(data, flow)

    def _stretched(
        self, record: Record, packet: Ip, piece: Piece, me: Direction | None, peer: Direction | None
    ) -> Made:
        """A segment whose bytes are known: its place in the stream, and what it acknowledges, move with them."""
        data, at = record.packet, packet.payload
        head = (data[at + 12] >> 4) * 4
        out = bytearray(data[at : min(at + head, packet.end)])
        seq, ack = be32(data, at + 4), be32(data, at + 8)
        by = 0
        if me is not None:
            by = (piece.new_at if piece.size else me.moved(piece.at)) - piece.at
        out[4:8] = ((seq + by) & 0xFFFFFFFF).to_bytes(4, "big")

        def moved(number: int) -> int:
            return peer.moved(peer.position(number)) & 0xFFFFFFFF if peer else number

        if data[at + 13] & ACK:
            out[8:12] = moved(ack).to_bytes(4, "big")
        out[16:20] = bytes(4)
        out[20:] = headers.tcp_options(bytes(out[20:]), moved)
        assert piece.new is not None
        new = piece.new if piece.size else b""
        size = packet.size + (piece.new_size - piece.size if piece.size else 0)
        out += new
        if len(out) == size:
            source, target = self._names.address(packet.source), self._names.address(packet.target)
            out[16:18] = checksum(source, target, TCP, out).to_bytes(2, "big")
        return self._framed(record, packet, bytes(out), size)


def _joined(whole: Datagram) -> bytes:
    """The bytes from the start to the first that is not here."""
    joined = bytearray()
    for offset, size, body in sorted(whole.parts):
        if offset > len(joined):
            break
        joined += body[len(joined) - offset :]
        if len(body) < size:
            break
    return bytes(joined)


def _turned(flow: Flow) -> Flow:
    return flow[2], flow[3], flow[0], flow[1], flow[4]
