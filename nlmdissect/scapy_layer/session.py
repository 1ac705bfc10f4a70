"""A session for ``sniff``: follows record marks through TCP streams, and remembers calls so that answers dissect.

Scapy's own TCPSession is not enough here: it takes the first data after a SYN for Raw, hands out retransmitted records
again, and fills what is lost with zeros.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from scapy.layers.inet import TCP
from scapy.packet import NoPayload, Packet, Padding
from scapy.sessions import IPSession

from nlmdissect.scapy_layer.rpc import NotRpcError, RpcCall, RpcRecord, RpcReply, record, take

PENDING = 1 << 16  # calls that are remembered; the oldest is forgotten first
AHEAD = 16  # segments that wait for one before them; then it counts as lost

Key = tuple[type[Packet], str, int, str, int, int]


class RpcSession(IPSession):  # type: ignore[misc]
    """``sniff(offline="x.pcap", session=RpcSession)``; ``RpcSession.follow(rdpcap("x.pcap"))`` for packets in a list.

    Every record is a packet of its own, behind the headers of the segment that ended it, as one fragment. Segments that
    end none, and repeated ones, are left out; those without data, and those in which no record begins, stay as they
    are. A call is known by its xid, hosts, ports and transport. IPv4 fragments are put together, those of IPv6 are not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: OrderedDict[Key, RpcCall] = OrderedDict()
        self.streams: dict[tuple[str, int, str, int], _Stream] = {}

    def recv(self, sock: Any) -> Iterator[Packet]:
        if (packet := sock.recv()) is not None:
            yield from self.messages(packet)

    @classmethod
    def follow(cls, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Packets that were read without a session: ``rdpcap`` takes none."""
        session = cls()
        for packet in packets:
            yield from session.messages(packet)

    def messages(self, packet: Packet) -> Iterator[Packet]:
        """What this packet completes: none, one or several packets."""
        whole = self.process(packet)
        if whole is None:
            return
        for one in self._follow(whole) if TCP in whole else (whole,):
            if (call := one.getlayer(RpcCall)) is not None:
                self.calls[_key(call, call.xid, turned=False)] = call
                if len(self.calls) > PENDING:
                    self.calls.popitem(last=False)
            elif (reply := one.getlayer(RpcReply)) is not None:
                asked = self.calls.get(_key(reply, reply.xid, turned=True))
                if asked is not None:
                    reply.results_of(asked)
            yield one

    def _follow(self, packet: Packet) -> Iterator[Packet]:
        segment = packet[TCP]
        ends = (segment.underlayer.src, segment.sport, segment.underlayer.dst, segment.dport)
        stream = self.streams.setdefault(ends, _Stream())
        if segment.flags.S:
            stream.start(segment.seq + 1)
        data = b"" if isinstance(segment.payload, NoPayload | Padding) else segment.payload.original
        followed = bool(data) and stream.add(segment.seq, data)
        for message in stream.records() if followed else ():
            one = packet.copy()
            one.time, one.wirelen = packet.time, packet.wirelen
            one[TCP].remove_payload()
            one[TCP].add_payload(RpcRecord(RpcRecord(length=len(message)).build() + message))
            yield one
        if not followed or stream.at is None:
            yield packet
        if segment.flags.R or (segment.flags.F and not stream.ahead):
            del self.streams[ends]


class _Stream:
    """One direction of a connection. ``at`` is the sequence number after ``data``; None: nobody knows where records
    begin.
    """

    def __init__(self) -> None:
        self.at: int | None = None
        self.data = bytearray()
        self.ahead: dict[int, bytes] = {}

    def start(self, at: int | None) -> None:
        self.at = at
        self.data.clear()
        self.ahead.clear()

    def add(self, at: int, data: bytes) -> bool:
        """Take a segment in; False where there is no telling what its bytes are."""
        if self.at is None:
            self.start(at if record(data) else None)
        if self.at is None:
            return False
        self.ahead[at] = data
        if len(self.ahead) > AHEAD:
            self._give_up()
        while (ready := next((seq for seq in self.ahead if self._far(seq) <= 0), None)) is not None:
            new = self.ahead.pop(ready)[-self._far(ready) :]
            self.data += new
            self.at = (self.at + len(new)) % 2**32
        return True

    def _give_up(self) -> None:
        """Go on after what is lost, where a segment begins with a record."""
        self.data.clear()
        waiting = sorted(self.ahead, key=self._far)
        self.at = next((seq for seq in waiting if record(self.ahead[seq])), waiting[-1])
        self.ahead = {seq: data for seq, data in self.ahead.items() if self._far(seq) >= 0}

    def _far(self, at: int) -> int:
        """How many bytes after the end of ``data``; below 0: before it."""
        assert self.at is not None
        return (at - self.at + 2**31) % 2**32 - 2**31

    def records(self) -> Iterator[bytes]:
        """The messages that are whole."""
        while True:
            try:
                message, used = take(self.data)
            except NotRpcError:
                self.start(None)
                return
            if message is None:
                return
            del self.data[:used]
            yield message


def _key(message: Packet, xid: int, *, turned: bool) -> Key:
    """What a call and its answer have in common: seen from the caller."""
    transport = message.underlayer
    while isinstance(transport, RpcRecord):
        transport = transport.underlayer
    network = transport.underlayer
    here, there = (network.src, transport.sport), (network.dst, transport.dport)
    caller, called = (there, here) if turned else (here, there)
    return type(transport), *caller, *called, xid
