"""A small picture of a capture, to hold it beside others: which packets, when, between which hosts.

Theory of operation.  Two captures of one packet differ in everything that a capture point or a router touches: link
header, TTL, IP checksum, the transport checksum (a sender that leaves it to the network card shows a wrong one), where
it was cut, and even its size, when the card splits or joins TCP segments. What stays is addresses, ports, the IPv4
identification, the TCP sequence numbers, and the first bytes of a UDP payload (the RPC xid). A fingerprint is a hash of
these. Segments without data are left out: keep-alives and repeated acknowledgements look like one another.

A sketch keeps the fingerprints that are divisible by a power of two, and doubles that when it is full. The same packets
are thus kept in every file, whatever else the files hold, and memory stays bounded. Two sketches share about as many
fingerprints, relative to their size, as the captures share packets.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .block import Block

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
Keys = np.ndarray[tuple[int], np.dtype[np.uint64]]

ETHERNET, SLL, SLL2 = 1, 113, 276
# Where the EtherType and the packet behind it are. The others have no EtherType, only bytes before the packet.
TYPED = {ETHERNET: (12, 14), SLL: (14, 16), SLL2: (0, 20)}
BARE = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
VLAN = (0x8100, 0x88A8, 0x9100)
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
TCP, UDP = 6, 17
MAX_HOSTS = 1 << 16


@dataclass(slots=True)
class Sketch:
    """The picture of one capture. ``room`` is how many fingerprints it may keep, ``with_hosts`` whether it has hosts.
    Without room it has no ``data`` either.

    ``hosts`` are addresses of 4 or 16 bytes, without loopback, multicast and the like. ``looped`` counts the IP packets
    that a host sent to itself, ``packets`` all IP packets, ``data`` those with a fingerprint. ``whole``: nothing of the
    capture is missing in it.
    """

    room: int
    with_hosts: bool = True
    keys: Keys = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    times: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    step: int = 1
    hosts: set[bytes] = field(default_factory=set)
    packets: int = 0
    looped: int = 0
    data: int = 0
    first: int | None = None
    last: int | None = None
    whole: bool = False

    @property
    def loopback(self) -> bool:
        """Is this a capture of a loopback interface? Then nothing left the host."""
        return 0 < self.packets == self.looped

    def add(self, block: Block) -> None:
        """Add the frames of a block."""
        low, high = int(block.time.min()), int(block.time.max())
        self.first = low if self.first is None else min(self.first, low)
        self.last = high if self.last is None else max(self.last, high)
        keys, times = self._fingerprints(_Fields(block))
        self.data += len(keys)
        chosen = keys & np.uint64(self.step - 1) == 0
        self.keys = np.concatenate([self.keys, keys[chosen]])
        self.times = np.concatenate([self.times, times[chosen]])
        while len(self.keys) > self.room:
            self.step *= 2
            chosen = self.keys & np.uint64(self.step - 1) == 0
            self.keys, self.times = self.keys[chosen], self.times[chosen]

    def overlaps(self, other: Sketch, slack: int = 0) -> bool:
        """Were both captured at one time? ``slack`` in ns. A capture that is known in part only has no end."""
        if self.first is None or self.last is None or other.first is None or other.last is None:
            return False
        return (not other.whole or self.first <= other.last + slack) and (
            not self.whole or other.first <= self.last + slack
        )

    def once(self) -> tuple[Keys, Ints]:
        """The fingerprints that occur once: a packet seen twice says nothing about clocks."""
        keys, at, count = np.unique(self.keys, return_index=True, return_counts=True)
        return keys[count == 1], self.times[at[count == 1]]

    def _fingerprints(self, fields: _Fields) -> tuple[Keys, Ints]:
        four, six = fields.is_ip(4, 20), fields.is_ip(6, 40)
        ip = fields.packet
        source = np.where(six, fields.fold(ip + 8, 4), fields.fold(ip + 12, 1))
        target = np.where(six, fields.fold(ip + 24, 4), fields.fold(ip + 16, 1))
        for of, size, sender, receiver in ((four, 4, 12, 16), (six, 16, 8, 24), (fields.is_arp(), 4, 14, 24)):
            self._note_hosts(fields, ip[of] + sender, size)
            self._note_hosts(fields, ip[of] + receiver, size)
        any_ip = four | six
        loop = (four & (fields.byte(ip + 12) == 127)) | (source == target)
        self.packets += int(any_ip.sum())
        self.looped += int((any_ip & loop).sum())
        if not self.room:
            return self.keys, self.times

        transport = ip + np.where(four, (fields.byte(ip) & 15) * 4, 40)
        protocol = fields.byte(ip + np.where(four, 9, 6))
        whole = six | (fields.word(ip + 4) & 0x1FFF == 0)  # not a later fragment
        mark = np.where(four, fields.word(ip + 4) >> 16, 0)  # the IPv4 identification
        length = np.where(four, fields.word(ip) & 0xFFFF, (fields.word(ip + 4) >> 16) + 40)
        behind = ip + length - transport  # bytes of transport header and data; negative for length 0 (a huge segment)
        udp = any_ip & whole & (protocol == UDP) & fields.has(transport, 16)
        tcp = any_ip & whole & (protocol == TCP) & fields.has(transport, 20)
        # More than one byte: a keep-alive may carry one.
        tcp &= (behind < 0) | (behind - (fields.byte(transport + 12) >> 4) * 4 > 1)
        key = _mix(source * np.uint64(3) + target, fields.word(transport))
        key = _mix(key, mark * 256 + protocol)
        key = _mix(key, fields.word(transport + np.where(udp, 8, 4)))
        key = _mix(key, fields.word(transport + np.where(udp, 12, 8)))
        chosen = udp | tcp
        return key[chosen], fields.time[chosen]

    def _note_hosts(self, fields: _Fields, at: Ints, size: int) -> None:
        if not self.with_hosts or not len(at) or len(self.hosts) >= MAX_HOSTS:
            return
        _, some = np.unique(fields.fold(at, size // 4), return_index=True)
        places: list[int] = at[some].tolist()
        self.hosts.update(address for place in places if is_host(address := fields.buf[place : place + size]))


def is_host(address: bytes) -> bool:
    """Is this the address of one host, as others see it? Not loopback, multicast, broadcast or unspecified."""
    if len(address) == 4:
        return address[0] != 127 and address[0] < 224 and address[0] != 0
    return address[0] != 0xFF and address[:15] != bytes(15)


class _Fields:
    """Numbers at places in the frames of one block. A place beyond the buffer reads as something; see ``has``."""

    def __init__(self, block: Block) -> None:
        buf = block.buf if len(block.buf) >= 4 else block.buf.ljust(4, b"\0")
        self.buf = buf
        self._bytes = np.frombuffer(buf, dtype=np.uint8)
        self._words = np.ndarray((len(buf) - 3,), dtype=">u4", buffer=buf, strides=(1,))
        at = block.at
        link = block.link
        self.time = block.time
        self.end: Ints = at + block.captured
        type_at, packet = at.copy(), at.copy()
        typed = np.zeros(len(at), dtype=np.bool_)
        known = np.zeros(len(at), dtype=np.bool_)
        for number, (to_type, to_packet) in TYPED.items():
            mine = link == number
            type_at[mine] += to_type
            packet[mine] += to_packet
            typed |= mine
        for number, to_packet in BARE.items():
            mine = link == number
            packet[mine] += to_packet
            known |= mine
        self.packet: Ints = packet
        ethertype = self._type(type_at)
        for _ in range(3):
            tagged = typed & np.isin(ethertype, VLAN)
            if not tagged.any():
                break
            ethertype = np.where(tagged, self._type(packet + 2), ethertype)
            packet[tagged] += 4
        self._ethertype = np.where(typed, ethertype, 0)
        self._bare = known

    def byte(self, at: Ints) -> Ints:
        return self._bytes[np.minimum(at, len(self._bytes) - 1)].astype(np.int64)

    def word(self, at: Ints) -> Ints:
        return self._words[np.minimum(at, len(self._words) - 1)].astype(np.int64)

    def _type(self, at: Ints) -> Ints:
        return self.byte(at) * 256 + self.byte(at + 1)

    def has(self, at: Ints, size: int) -> Bools:
        """Were ``size`` bytes from ``at`` captured?"""
        enough: Bools = at + size <= self.end
        return enough

    def is_ip(self, version: int, size: int) -> Bools:
        expected = self._bare | (self._ethertype == (IPV4 if version == 4 else IPV6))
        found: Bools = expected & self.has(self.packet, size) & (self.byte(self.packet) >> 4 == version)
        return found

    def is_arp(self) -> Bools:
        found: Bools = (self._ethertype == ARP) & self.has(self.packet, 28)
        return found

    def fold(self, at: Ints, count: int) -> Keys:
        """``count`` words as one number."""
        key = np.zeros(len(at), dtype=np.uint64)
        for i in range(count):
            key = _mix(key, self.word(at + 4 * i))
        return key


def _mix(key: Keys, value: Ints) -> Keys:
    """One more number into a 64-bit hash (the finish of splitmix64, so that its low bits are worth keeping by)."""
    key = (key ^ value.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
