"""IP fragments become packets again (RFC 791, RFC 8200 section 4.5).

A fragment belongs to (source, destination, protocol, identification), and on IPv6 not to the protocol. Whole packets go
back to the hot loop as one raw IP frame without fragmentation.

Of two fragments that say different things about the same bytes, the later one wins and the earlier packet is dropped:
on a busy UDP mount the 16 bits of identification come round within seconds, and what is left of a packet that lost a
fragment must not be mixed with the next one.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

TIMEOUT = 60 * 10**9
"""ns (RFC 8200; RFC 1122 says 60 to 120 s)."""

COPY = 50_000_000
"""ns within which fragments of a packet that is complete are second copies."""

MAX_PACKETS = 1024
MAX_BYTES = 16 << 20
MAX_PACKET = 65535
MAX_PARTS = 2048
"""Fragments of one packet: the largest packet over the smallest MTU (68) makes 1366."""

Key = tuple[int, int, int, int, int]

_offset: Callable[[Fragment], int] = lambda part: part.offset  # noqa: E731


class Fragment(NamedTuple):
    """``data`` is what was captured of ``size`` bytes, at ``offset`` of the packet's payload."""

    offset: int
    size: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.size


@dataclass(slots=True)
class _Packet:
    """``parts`` are sorted; ``longest`` is the size of the longest; ``covered`` bytes are in any of them."""

    since: int
    total: int = -1
    parts: list[Fragment] = field(default_factory=list)
    bytes: int = 0
    longest: int = 0
    covered: int = 0

    def near(self, new: Fragment) -> list[Fragment]:
        """The parts that may overlap a fragment."""
        first = bisect_left(self.parts, new.offset - self.longest, key=_offset)
        return self.parts[first : bisect_left(self.parts, new.end, key=_offset)]

    def take(self, new: Fragment) -> bool:
        """Keep a fragment, unless it is there already."""
        near = self.near(new)
        if new in near:
            return False
        reached = new.offset
        for part in near:
            if part.end > reached:
                self.covered += max(min(part.offset, new.end) - reached, 0)
                reached = part.end
        self.covered += max(new.end - reached, 0)
        insort(self.parts, new, key=_offset)
        self.longest = max(self.longest, new.size)
        self.bytes += len(new.data)
        return True


class Fragments:
    """Packets of which some fragments are here. ``defect(reason)`` hears of what is wrong with them."""

    def __init__(self, defect: Callable[[str], None]) -> None:
        self.defect = defect
        self.packets: dict[Key, _Packet] = {}
        self.complete: dict[Key, int] = {}
        self.bytes = 0

    def add(self, key: Key, offset: int, more: bool, size: int, data: bytes, time: int) -> tuple[bytes, int] | None:
        """Take a fragment. When the packet is complete: its payload, as far as captured without holes, and its size."""
        self.expire(time)
        if not size or offset + size > MAX_PACKET or (more and size & 7):
            self.defect("bad_fragment")
            return None
        done = self.complete.get(key)
        if done is not None and abs(time - done) <= COPY:
            return None
        packet = self.packets.get(key)
        new = Fragment(offset, size, data)
        if packet and (_disagree(packet.near(new), new) or _past_the_end(packet, new, more)):
            self.defect("conflicting_fragments")
            self._drop(key)
            packet = None
        if packet is None:
            packet = self.packets[key] = _Packet(time)
        if not more:
            packet.total = new.end
        if packet.take(new):
            self.bytes += len(data)
        if packet.covered == packet.total:
            self._drop(key)
            self.complete[key] = time
            return _join(packet.parts), packet.total
        if len(packet.parts) > MAX_PARTS:
            self.defect("too_many_fragments")
            self._drop(key)
        while len(self.packets) > MAX_PACKETS or self.bytes > MAX_BYTES:
            self.defect("too_many_fragments")
            self._drop(next(iter(self.packets)))
        return None

    def expire(self, time: int) -> None:
        """Drop what has waited for too long."""
        while self.packets:
            key, packet = next(iter(self.packets.items()))
            if time - packet.since <= TIMEOUT:
                break
            self.defect("incomplete_fragments")
            self._drop(key)
        while self.complete:
            key, done = next(iter(self.complete.items()))
            if time - done <= COPY and len(self.complete) <= MAX_PACKETS:
                break
            del self.complete[key]

    def finish(self) -> None:
        """End of the recording."""
        for _ in self.packets:
            self.defect("incomplete_fragments")
        self.packets.clear()

    def _drop(self, key: Key) -> None:
        self.bytes -= self.packets.pop(key).bytes


def _disagree(parts: list[Fragment], new: Fragment) -> bool:
    for part in parts:
        start, stop = max(part.offset, new.offset), min(part.end, new.end)
        mine = new.data[start - new.offset : max(stop - new.offset, 0)]
        other = part.data[start - part.offset : max(stop - part.offset, 0)]
        known = min(len(mine), len(other)) if start < stop else 0
        if mine[:known] != other[:known]:
            return True
    return False


def _past_the_end(packet: _Packet, new: Fragment, more: bool) -> bool:
    """Do two fragments disagree about where the packet ends?"""
    if packet.total >= 0 and (new.end > packet.total or (not more and new.end != packet.total)):
        return True
    return not more and any(part.end > new.end for part in packet.parts)


def _join(parts: list[Fragment]) -> bytes:
    """The bytes from the start to the first that was not captured."""
    joined = bytearray()
    for part in sorted(parts):
        if part.offset > len(joined):
            break
        joined += part.data[len(joined) - part.offset :]
    return bytes(joined)


def raw_packet(v6: bool, src: bytes, dst: bytes, protocol: int, ident: int, payload: bytes) -> bytes:
    """A raw IP packet of length "0, count yourself", for the hot loop."""
    if v6:
        return b"\x60\0\0\0\0\0" + bytes((protocol, 64)) + src + dst + payload
    head = b"\x45\0\0\0" + ident.to_bytes(2, "big") + b"\0\0" + bytes((64, protocol, 0, 0))
    return head + src + dst + payload
